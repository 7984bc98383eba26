//! The order of time.

use std::time::Duration;

use zk_proto::ErrorCode;

use super::super::testing::{Plan, run};
use super::super::*;
use super::*;

/// Two writes of two clients, of which the log has the second one first; all in one moment of the
/// clock, so that nothing but the order of events tells when each was under way.
fn turned_round(overlap: bool) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let at = Duration::from_secs(1);
    let begin = |story: &mut Story, client, data| {
        let write = Command::Write(set(data));
        story.history.invoke(at, client, write)
    };
    let set_ended = || Ended::Reply(Reply::Set(None));
    let a = begin(&mut story, A, b"1");
    if overlap {
        let b = begin(&mut story, B, b"2");
        story.history.end(at, a, set_ended(), None);
        story.history.end(at, b, set_ended(), None);
    } else {
        story.history.end(at, a, set_ended(), None);
        let b = begin(&mut story, B, b"2");
        story.history.end(at, b, set_ended(), None);
    }
    for (client, data) in [(B, b"2"), (A, b"1")] {
        story.apply(client, &set(data));
        story.log.entries.last_mut().unwrap().at = at;
    }
    story
}

#[test]
fn what_is_answered_before_another_one_begins_has_the_lower_zxid() {
    turned_round(true).accepted();
    turned_round(false).refused(Rule::RealTime);
}

/// A write that is refused for want of a node, which is created before it begins or not.
fn refused_in_vain(created_before: bool) -> Story {
    let mut story = Story::new();
    let at = Duration::from_secs(1);
    let a = story.history.invoke(at, A, Command::Write(create()));
    let created = || {
        Ended::Reply(Reply::Created {
            path: "/a".to_owned(),
            stat: None,
        })
    };
    if created_before {
        story.history.end(at, a, created(), None);
    }
    let b = story.history.invoke(at, B, Command::Write(set(b"b")));
    if !created_before {
        story.history.end(at, a, created(), None);
    }
    let refusal = Reply::Refused(ErrorCode::NO_NODE.into());
    story.history.end(at, b, Ended::Reply(refusal), None);
    story.apply(A, &create());
    story.log.entries.last_mut().unwrap().at = at;
    story
}

#[test]
fn a_refusal_has_its_place_in_time() {
    refused_in_vain(false).accepted();
    refused_in_vain(true).refused(Rule::Linearizable);
}

#[test]
fn not_to_know_is_a_refusal_unless_that_is_not_wanted() {
    let story = refused_in_vain(true);
    let judge = |budget, undecided| {
        let options = Options {
            budget,
            undecided,
            ..Options::default()
        };
        check_all(&story.history, &story.log, options)
    };
    let violation = judge(1, Undecided::Refused).unwrap_err();
    assert!(!violation.text.contains("not decided"), "{violation}");
    let mut story = Story::new();
    story.write(A, &create());
    story.write(A, &set(b"1"));
    let options = Options {
        budget: 1,
        ..Options::default()
    };
    let violation = check_all(&story.history, &story.log, options).unwrap_err();
    assert_eq!(violation.rule, Rule::Linearizable);
    assert!(
        violation.text.contains("not decided in 1 steps"),
        "{violation}"
    );
    let counted = Options {
        undecided: Undecided::Counted,
        ..options
    };
    let summary = check_all(&story.history, &story.log, counted).unwrap();
    assert_eq!((summary.parts, summary.undecided), (1, 1));
}

/// Unanswered writes that are alike are as good as one of them, however many there are.
#[test]
fn many_that_may_have_been_done_do_not_make_it_hard() {
    for shown in [12, 13] {
        let mut story = Story::new();
        story.write(A, &create());
        for data in [b"1", b"2", b"3", b"4"] {
            for _ in 0..3 {
                let op = story.begin(A, &set(data));
                story.apply(A, &set(data));
                story.end(op, Ended::Unknown);
            }
        }
        let Reply::Data { data, stat } = story.get() else {
            panic!("it is there")
        };
        let version = shown;
        let stat = zk_proto::Stat { version, ..stat };
        story.read(B, Strength::Linearizable, Reply::Data { data, stat });
        let (verdict, _) = search_alone(&story.history, &story.log);
        assert_eq!(verdict.is_ok(), shown == 12, "{verdict:?}");
    }
}

/// Asks the search alone, which believes nothing that the log says; and says how often it gave up.
fn search_alone(history: &History, log: &CommittedLog) -> (Result<(), Violation>, usize) {
    let operations = history.operations().unwrap();
    let matching = outcomes::match_up(history, &operations, log, Unrecorded::Nothing).unwrap();
    let options = Options {
        undecided: Undecided::Counted,
        ..Options::default()
    };
    match check_order(history, &operations, &matching, log, options) {
        Ok(searches) => (Ok(()), searches.undecided),
        Err(violation) => (Err(violation), 0),
    }
}

/// One answer is not what it was: in this way, at this place of those where it can be done.
pub(super) fn tamper(history: &mut History, way: usize, pick: usize) -> Option<()> {
    let operations = history.operations().ok()?;
    let is_strong = |op: &OpNo| {
        let found = operations.iter().find(|operation| operation.op == *op);
        found.is_some_and(|operation| {
            !matches!(operation.command, Command::Read(_, Strength::Plain))
        })
    };
    let can_be = |event: &Event| {
        let Event::Ended {
            op,
            ended: Ended::Reply(reply),
            ..
        } = event
        else {
            return false;
        };
        match way {
            0 => matches!(reply, Reply::Data { .. }) && is_strong(op),
            1 => matches!(reply, Reply::Exists(Some(_))) && is_strong(op),
            2 => matches!(reply, Reply::Set(Some(_))),
            _ => *reply == Reply::Refused(ErrorCode::NO_NODE.into()) && is_strong(op),
        }
    };
    let places: Vec<usize> = (0..history.events().len())
        .filter(|at| can_be(&history.events()[*at].1))
        .collect();
    let place = *places.get(pick.checked_rem(places.len())?)?;
    let Event::Ended {
        ended: Ended::Reply(reply),
        ..
    } = &mut history.events_mut()[place].1
    else {
        return None;
    };
    if let Reply::Data { stat, .. } | Reply::Set(Some(stat)) = reply {
        stat.version += 1;
    } else if let Reply::Exists(seen) = reply {
        *seen = None;
    } else {
        *reply = Reply::Refused(ErrorCode::BAD_VERSION.into());
    }
    Some(())
}

/// All are refused, though not all are proved to be wrong by the search alone, that has nothing but
/// results and times.
#[test]
fn what_is_wrong_is_refused_whether_or_not_that_is_decided() {
    let (mut refuted, mut accepted, mut undecided) = (0, 0, 0);
    for seed in 0..12 {
        let plan = Plan {
            faults: 4,
            ..Plan::new(seed)
        };
        let (right, log) = run(plan);
        let operations = right.operations().unwrap();
        let matching = outcomes::match_up(&right, &operations, &log, Unrecorded::Nothing).unwrap();
        for way in 0..4 {
            let mut history = right.clone();
            if tamper(&mut history, way, seed as usize * 7 + way).is_none() {
                continue;
            }
            let operations = history.operations().unwrap();
            let judge = |undecided| {
                let options = Options {
                    undecided,
                    ..options()
                };
                check_order(&history, &operations, &matching, &log, options)
            };
            match judge(Undecided::Counted) {
                Err(_) => refuted += 1,
                Ok(searches) if searches.undecided == 0 => accepted += 1,
                Ok(_) => {
                    undecided += 1;
                    judge(Undecided::Refused).unwrap_err();
                }
            }
        }
    }
    let figures = format!("{refuted} refuted, {accepted} accepted, {undecided} undecided");
    assert!(refuted > undecided, "{figures}");
}
