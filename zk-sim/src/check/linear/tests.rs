use proptest::prelude::*;

use super::*;

/// A register: `Ok` is a read, `Err` a write.
struct Register(u32);

#[derive(Debug)]
struct Op(Result<u32, u32>);

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(value) => write!(f, "read {value}"),
            Err(value) => write!(f, "write {value}"),
        }
    }
}

impl Model for Register {
    type Op = Op;
    type Undo = u32;

    fn apply(&mut self, op: &Op) -> Option<u32> {
        let before = self.0;
        match op.0 {
            Ok(value) if value != before => return None,
            Ok(_) => {}
            Err(value) => self.0 = value,
        }
        Some(before)
    }

    fn undo(&mut self, undo: u32) {
        self.0 = undo;
    }

    fn fingerprint(&self) -> u128 {
        u128::from(self.0)
    }

    fn is_look(op: &Op) -> bool {
        op.0.is_ok()
    }

    fn related(_: &Op, _: &Op) -> bool {
        true
    }
}

fn within(begin: u64, end: u64, op: Result<u32, u32>) -> (Span, Op) {
    (Span::Within(begin, end), Op(op))
}

fn is_linearizable(ops: &[(Span, Op)]) -> bool {
    match linearize(Register(0), ops, 1000) {
        Verdict::Linearizable(_) => true,
        Verdict::Refuted(_) => false,
        Verdict::Undecided(steps) => panic!("no verdict after {steps} steps"),
    }
}

#[test]
fn reads_are_old_or_new_while_a_write_is_under_way_and_do_not_go_back() {
    let write = || within(0, 10, Err(1));
    assert!(is_linearizable(&[
        write(),
        within(1, 2, Ok(0)),
        within(3, 4, Ok(1))
    ]));
    assert!(is_linearizable(&[
        write(),
        within(1, 2, Ok(0)),
        within(1, 2, Ok(1))
    ]));
    assert!(!is_linearizable(&[
        write(),
        within(1, 2, Ok(1)),
        within(3, 4, Ok(0))
    ]));
    assert!(!is_linearizable(&[write(), within(11, 12, Ok(0))]));
}

#[test]
fn what_may_have_been_done_may_be_late_or_never() {
    let write = || (Span::AfterOrNever(5), Op(Err(1)));
    assert!(is_linearizable(&[
        within(6, 7, Ok(0)),
        within(20, 21, Ok(1)),
        write()
    ]));
    assert!(is_linearizable(&[within(20, 21, Ok(0)), write()]));
    assert!(!is_linearizable(&[
        within(20, 21, Ok(1)),
        within(22, 23, Ok(0)),
        write()
    ]));
    assert!(!is_linearizable(&[within(1, 2, Ok(1)), write()]));
}

#[test]
fn a_budget_ends_the_search_and_a_refusal_says_how_far_it_came() {
    let ops: Vec<_> = (0..12).map(|value| within(0, 10, Err(value))).collect();
    assert_eq!(linearize(Register(0), &ops, 3), Verdict::Undecided(3));
    let Verdict::Refuted(text) = linearize(Register(0), &[within(0, 1, Ok(7))], 10) else {
        panic!("there is no such order")
    };
    assert!(text.contains("read 7"), "{text}");
}

/// Some registers.
#[derive(Clone, Debug)]
struct Registers([u32; 2]);

/// What is done with them.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Read(usize, u32),
    Write(usize, u32),
    /// From one value to another.
    Swap(usize, u32, u32),
    Both(u32),
}

impl Step {
    fn at(&self) -> Option<usize> {
        match self {
            Self::Read(at, _) | Self::Write(at, _) | Self::Swap(at, ..) => Some(*at),
            Self::Both(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Model for Registers {
    type Op = Step;
    type Undo = [u32; 2];

    fn apply(&mut self, step: &Step) -> Option<[u32; 2]> {
        let before = self.0;
        match *step {
            Step::Read(at, value) if before[at] != value => return None,
            Step::Swap(at, from, _) if before[at] != from => return None,
            Step::Read(..) => {}
            Step::Write(at, value) | Step::Swap(at, _, value) => self.0[at] = value,
            Step::Both(value) => self.0 = [value; 2],
        }
        Some(before)
    }

    fn undo(&mut self, before: [u32; 2]) {
        self.0 = before;
    }

    fn fingerprint(&self) -> u128 {
        u128::from(self.0[0]) << 32 | u128::from(self.0[1])
    }

    fn is_look(step: &Step) -> bool {
        matches!(step, Step::Read(..))
    }

    fn related(left: &Step, right: &Step) -> bool {
        match (left.at(), right.at()) {
            (Some(left), Some(right)) => left == right,
            _ => true,
        }
    }

    fn alike(left: &Step, right: &Step) -> bool {
        left == right
    }
}

/// All orders, one after the other.
fn has_an_order(model: &mut Registers, ops: &[(Span, Step)], left: &mut Vec<usize>) -> bool {
    let end = |at: &usize| match ops[*at].0 {
        Span::Within(_, end) => Some(end),
        Span::AfterOrNever(_) => None,
    };
    let Some(first_end) = left.iter().filter_map(end).min() else {
        return true;
    };
    for place in 0..left.len() {
        let at = left[place];
        let (Span::Within(begin, _) | Span::AfterOrNever(begin)) = ops[at].0;
        if begin >= first_end {
            continue;
        }
        if let Some(before) = model.apply(&ops[at].1) {
            left.remove(place);
            let found = has_an_order(model, ops, left);
            left.insert(place, at);
            model.undo(before);
            if found {
                return true;
            }
        }
    }
    false
}

/// Does an order keep to all that was asked?
fn is_an_order(ops: &[(Span, Step)], order: &[usize]) -> bool {
    let mut model = Registers([0; 2]);
    let mut latest_begin = 0;
    for (place, at) in order.iter().enumerate() {
        let (begin, end) = match ops[*at].0 {
            Span::Within(begin, end) => (begin, end),
            Span::AfterOrNever(begin) => (begin, u64::MAX),
        };
        latest_begin = latest_begin.max(begin);
        if end <= latest_begin || order[..place].contains(at) || model.apply(&ops[*at].1).is_none()
        {
            return false;
        }
    }
    let required = |(at, (span, _)): (usize, &(Span, Step))| {
        matches!(span, Span::AfterOrNever(_)) || order.contains(&at)
    };
    ops.iter().enumerate().all(required)
}

fn step() -> impl Strategy<Value = Step> {
    let (at, value) = (0..2_usize, 0..3_u32);
    prop_oneof![
        3 => (at.clone(), value.clone()).prop_map(|(at, value)| Step::Read(at, value)),
        3 => (at.clone(), value.clone()).prop_map(|(at, value)| Step::Write(at, value)),
        2 => (at, value.clone(), value.clone()).prop_map(|(at, from, to)| Step::Swap(at, from, to)),
        1 => value.prop_map(Step::Both),
    ]
}

fn op() -> impl Strategy<Value = (Span, Step)> {
    let span = prop_oneof![
        3 => (0..12_u64, 1..6_u64).prop_map(|(begin, length)| Span::Within(begin, begin + length)),
        1 => (0..12_u64).prop_map(Span::AfterOrNever),
    ];
    // What may have been done and only looks is not given.
    (span, step()).prop_map(|(span, step)| match (span, &step) {
        (Span::AfterOrNever(begin), Step::Read(at, value)) => {
            (Span::AfterOrNever(begin), Step::Write(*at, *value))
        }
        _ => (span, step),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn there_is_an_order_exactly_if_one_is_found(ops in prop::collection::vec(op(), 1..9)) {
        let mut all: Vec<usize> = (0..ops.len()).collect();
        let truth = has_an_order(&mut Registers([0; 2]), &ops, &mut all);
        match linearize(Registers([0; 2]), &ops, 1_000_000) {
            Verdict::Linearizable(order) => prop_assert!(truth && is_an_order(&ops, &order), "{order:?}"),
            Verdict::Refuted(text) => prop_assert!(!truth, "{text}"),
            Verdict::Undecided(steps) => prop_assert!(false, "no verdict after {steps} steps"),
        }
    }
}
