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
