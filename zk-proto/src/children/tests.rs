use bytes::Bytes;

use super::*;
use crate::put_int;

const NAMES: [&str; 5] = ["c2", "", "null data", "\u{65e5}\u{672c}", "a"];

fn children() -> Children {
    NAMES.into_iter().collect()
}

/// A reply in which the names are these bytes.
fn decode(names: &[&[u8]]) -> Children {
    let mut out = Vec::new();
    put_len(&mut out, names.len());
    names
        .iter()
        .for_each(|name| crate::put_buffer(&mut out, Some(name)));
    Children::decode(&mut Reader::new(&Bytes::from(out))).unwrap()
}

#[test]
fn names_are_there_from_all_sides() {
    let children = children();
    assert_eq!((children.len(), children.is_empty()), (5, false));
    for (index, name) in NAMES.into_iter().enumerate() {
        assert_eq!(children.get(index), Some(name));
    }
    assert_eq!(children.get(5), None);
    assert!(children.iter().eq(NAMES));
    assert!(children.iter().rev().eq(NAMES.into_iter().rev()));
    assert_eq!(children.to_vec(), NAMES);
    assert_eq!(
        children.sorted(),
        ["", "a", "c2", "null data", "\u{65e5}\u{672c}"]
    );
    assert_eq!(
        format!("{:?}", Children::from_iter(["a", "b"])),
        r#"["a", "b"]"#
    );
    assert!(Children::default().is_empty());
    assert_ne!(
        children,
        Children::from_iter(["c2", "n", "ull data", "\u{65e5}\u{672c}", "a"])
    );
}

#[test]
fn iteration_from_both_ends_meets_in_the_middle() {
    let children = children();
    let mut iter = children.iter();
    assert_eq!(
        (iter.len(), iter.next(), iter.next_back()),
        (5, Some("c2"), Some("a"))
    );
    assert_eq!(
        (iter.len(), iter.next_back(), iter.next()),
        (3, Some("\u{65e5}\u{672c}"), Some(""))
    );
    assert_eq!(
        (iter.len(), iter.next(), iter.next()),
        (1, Some("null data"), None)
    );
    assert_eq!((iter.len(), iter.next_back()), (0, None));
}

#[test]
fn bytes_that_are_not_text_spoil_their_own_name_only() {
    let names = decode(&[b"a", b"b\xff", "\u{e9}".as_bytes()]);
    assert_eq!(names, Children::from_iter(["a", "b\u{fffd}", "\u{e9}"]));
}

#[test]
fn halves_of_a_character_do_not_become_one() {
    let names = decode(&[b"a\xc3", b"\xa9b"]);
    assert_eq!(names, Children::from_iter(["a\u{fffd}", "\u{fffd}b"]));
}

#[test]
fn null_reads_as_empty() {
    let mut out = Vec::new();
    put_int(&mut out, -1);
    assert_eq!(
        Children::decode(&mut Reader::new(&Bytes::from(out))),
        Ok(Children::default())
    );
    let mut out = Vec::new();
    put_len(&mut out, 1);
    put_int(&mut out, -1);
    assert_eq!(
        Children::decode(&mut Reader::new(&Bytes::from(out))),
        Ok(Children::from_iter([""]))
    );
}

#[test]
fn ten_thousand_names() {
    let many: Children = (0..10_000).map(|n| format!("lock-{n:010}")).collect();
    let mut out = Vec::new();
    many.encode(&mut out);
    assert_eq!(out.len(), 4 + 10_000 * 19);
    let bytes = Bytes::from(out);
    let decoded = Children::decode(&mut Reader::new(&bytes)).unwrap();
    assert_eq!(decoded, many);
    assert_eq!(decoded.names.capacity(), 150_000);
    assert_eq!(decoded.ends.capacity(), 10_000);
}
