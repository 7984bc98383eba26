//! Who stands in whose way, by names alone.

use super::*;

/// The number at the end of a name, as servers append it.
fn numbered(prefix: &str, number: i32) -> String {
    format!("{prefix}{number:010}")
}

fn line(suffix: &'static str, rivals: &[&str]) -> Line {
    Line {
        path: "/l".to_owned(),
        layout: LockLayout::Kazoo,
        suffix,
        rivals: rivals.iter().map(|rival| (*rival).to_owned()).collect(),
        identifier: Vec::new(),
        plan: Plan::default(),
    }
}

fn lock() -> Line {
    line(layout::LOCK, &[layout::LOCK])
}

fn place(line: &Line, names: &[String], own: &str) -> Result<Place, Error> {
    let number = line.number_of(own)?.expect("it is a contender");
    line.place(names.iter().map(String::as_str), (own, number))
}

fn order(line: &Line, names: &[String]) -> Result<Vec<i32>, Error> {
    let order = line.order(names.iter().map(String::as_str))?;
    Ok(order.into_iter().map(|(number, _)| number.0).collect())
}

/// The numbers around the end of them all, in the order in which they are given out, with the
/// place before each.
const AROUND: [i32; 6] = [
    i32::MAX - 2,
    i32::MAX - 1,
    i32::MAX,
    i32::MIN,
    i32::MIN + 1,
    i32::MIN + 2,
];

fn around() -> Vec<String> {
    // Ids that sort the other way round.
    let named = |(at, number): (usize, &i32)| numbered(&format!("{:x}__lock__", 15 - at), *number);
    AROUND.iter().enumerate().map(named).collect()
}

#[test]
fn names_around_the_overflow_are_those_of_servers() {
    let names = around();
    assert_eq!(names[2], "d__lock__2147483647");
    assert_eq!(names[3], "c__lock__-2147483648");
    for (name, number) in names.iter().zip(AROUND) {
        assert_eq!(lock().number_of(name), Ok(Some(Sequence(number))));
    }
}

/// Each waits for the one before it, in whatever order the names are listed. kazoo compares texts.
#[test]
fn quirk_the_line_goes_on_around_the_overflow() {
    let names = around();
    let mut listed = names.clone();
    for turn in 0..listed.len() {
        listed.rotate_left(1);
        if turn % 2 == 0 {
            listed.reverse();
        }
        assert_eq!(order(&lock(), &listed).unwrap(), AROUND);
        assert_eq!(place(&lock(), &listed, &names[0]).unwrap(), Place::First);
        for pair in names.windows(2) {
            let behind = Place::Behind(format!("/l/{}", pair[0]));
            assert_eq!(place(&lock(), &listed, &pair[1]).unwrap(), behind);
        }
    }
}

/// When all before it have left, whoever came after the overflow is first, and so stays.
#[test]
fn a_holder_from_before_the_overflow_hands_over_once() {
    let mut names = around();
    while names.len() > 1 {
        let gone = names.remove(0);
        assert_eq!(place(&lock(), &names, &names[0]).unwrap(), Place::First);
        let behind = Place::Behind(format!("/l/{}", names[0]));
        if let Some(next) = names.get(1) {
            assert_eq!(place(&lock(), &names, next).unwrap(), behind);
        }
        assert_eq!(place(&lock(), &names, &gone).unwrap(), Place::Nowhere);
    }
}

/// From -1 to 0 the line goes on as well: texts would be the wrong way round here, too.
#[test]
fn the_line_goes_on_over_zero() {
    let numbers = [-1_000_000_000, -999_999_999, -10, -1, 0, 1];
    let names: Vec<_> = numbers
        .iter()
        .map(|number| numbered("a__lock__", *number))
        .collect();
    assert_eq!(order(&lock(), &names).unwrap(), numbers);
    for pair in names.windows(2) {
        let behind = Place::Behind(format!("/l/{}", pair[0]));
        assert_eq!(place(&lock(), &names, &pair[1]).unwrap(), behind);
    }
}

/// Half of all numbers apart nobody can tell who came first.
#[test]
fn what_cannot_be_ordered_is_an_error() {
    let unordered = |result: Result<Place, Error>| {
        let error = result.unwrap_err();
        assert!(
            matches!(error, Error::Recipe(RecipeError::Unordered { .. })),
            "{error:?}"
        );
    };
    let far = [
        numbered("a__lock__", i32::MIN),
        numbered("b__lock__", 0),
        numbered("c__lock__", i32::MAX),
    ];
    for own in &far {
        unordered(place(&lock(), &far, own));
    }
    assert!(order(&lock(), &far).is_err());
    // Each pair of neighbours is in order, all of them are not.
    let ring = [0, 1 << 30, i32::MIN, -(1 << 30)].map(|number| numbered("a__lock__", number));
    for own in &ring {
        unordered(place(&lock(), &ring, own));
    }
    assert!(order(&lock(), &ring).is_err());
    // Just within the limit.
    let near = [
        numbered("a__lock__", i32::MIN + 1),
        numbered("b__lock__", -1),
    ];
    let behind = Place::Behind(format!("/l/{}", near[0]));
    assert_eq!(place(&lock(), &near, &near[1]).unwrap(), behind);
    // The same number twice, and one that no server gives out.
    let same = [numbered("a__lock__", 7), numbered("b__lock__", 7)];
    unordered(place(&lock(), &same, &same[0]));
    for name in ["b__lock__99999999999", "b__lock__7", "b__lock__-0000000001"] {
        let names = [numbered("a__lock__", 7), name.to_owned()];
        unordered(place(&lock(), &names, &names[0]));
    }
}

#[test]
fn names_that_are_none_of_ours_are_passed_over() {
    let own = numbered("a__lock__", 7);
    for name in [
        "config",
        "a__rlock__0000000001",
        "x-lock-0000000001",
        "__lock__",
        "a__lock__b",
        "a__lock__00000000-1",
    ] {
        let names = [own.clone(), name.to_owned()];
        assert_eq!(place(&lock(), &names, &own), Ok(Place::First), "{name}");
    }
    // With a pattern for it, the same node is waited for.
    let wide = line(layout::LOCK, &[layout::LOCK, layout::CURATOR_LOCK]);
    let names = [own.clone(), "x-lock-0000000001".to_owned()];
    let behind = Place::Behind("/l/x-lock-0000000001".to_owned());
    assert_eq!(place(&wide, &names, &own), Ok(behind));
}

/// Readers wait for writers only, also around the overflow.
#[test]
fn readers_share_around_the_overflow() {
    let reader = line(layout::READ_LOCK, &[layout::LOCK]);
    let writer = line(layout::LOCK, &[layout::LOCK, layout::READ_LOCK]);
    let names = [
        numbered("a__lock__", i32::MAX - 1),
        numbered("b__rlock__", i32::MAX),
        numbered("c__rlock__", i32::MIN),
        numbered("d__lock__", i32::MIN + 1),
    ];
    let behind = |at: usize| Place::Behind(format!("/l/{}", names[at]));
    assert_eq!(place(&reader, &names, &names[1]), Ok(behind(0)));
    assert_eq!(place(&reader, &names, &names[2]), Ok(behind(0)));
    assert_eq!(place(&writer, &names, &names[3]), Ok(behind(2)));
    let without = &names[1..];
    assert_eq!(place(&reader, without, &names[2]), Ok(Place::First));
    assert_eq!(order(&writer, &names).unwrap().len(), 4);
}
