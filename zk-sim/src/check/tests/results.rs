//! Outcomes, results, the log, reads and sessions.

use std::time::Duration;

use zk_proto::{Payload, Zxid};

use super::super::*;
use super::*;

/// Begins with a node, and ends a write of it like this, done or not.
fn ended(done: bool, ended: Ended) -> Story {
    let mut story = Story::new();
    story.write(A, &create());
    let op = story.begin(A, &set(b"1"));
    if done {
        story.apply(A, &set(b"1"));
    }
    story.end(op, ended);
    story
}

#[test]
fn outcomes_are_true() {
    ended(true, Ended::Unknown).accepted();
    ended(false, Ended::Unknown).accepted();
    ended(true, Ended::Applied).accepted();
    ended(false, Ended::Applied).refused(Rule::Applied);
    ended(false, Ended::NotApplied).accepted();
    ended(true, Ended::NotApplied).refused(Rule::NotApplied);
    ended(false, Ended::Reply(Reply::Set(None))).refused(Rule::Applied);
}

#[test]
fn nothing_is_done_twice_or_unasked() {
    let mut story = ended(true, Ended::Unknown);
    story.apply(A, &set(b"1"));
    story.refused(Rule::NotApplied);
    let mut story = ended(true, Ended::Unknown);
    story.apply(A, &set(b"2"));
    story.refused(Rule::NotApplied);
    let mut story = ended(true, Ended::Unknown);
    story.write(A, &set(b"2"));
    story.accepted();
}

#[test]
fn every_operation_ends_once() {
    let mut story = Story::new();
    let op = story.begin(A, &create());
    story.refused(Rule::EndsOnce);
    story.end(op, Ended::NotApplied);
    story.accepted();
    story.end(op, Ended::Unknown);
    story.refused(Rule::EndsOnce);
}

#[test]
fn results_are_those_of_the_log() {
    let mut story = Story::new();
    let op = story.begin(A, &create());
    let reply = story.apply(A, &create());
    let mut wrong = story.history.clone();
    let Reply::Created { path, stat } = reply.clone() else {
        panic!("{reply}")
    };
    let stat = stat.map(|stat| zk_proto::Stat { version: 5, ..stat });
    wrong.end(
        story.now(),
        op,
        Ended::Reply(Reply::Created { path, stat }),
        None,
    );
    story.end(op, Ended::Reply(reply));
    story.accepted();
    story.history = wrong;
    story.refused(Rule::Result);
}

#[test]
fn the_log_follows_from_the_empty_tree() {
    let mut story = Story::new();
    story.write(A, &create());
    let delete = |path: &str| {
        Txn::Change(vec![Effect::Delete {
            path: path.to_owned(),
        }])
    };
    let mut good = story.log.clone();
    story.commit(SessionId(9), delete("/b"));
    story.refused(Rule::Log);
    good.entries.push(story.log.entries.pop().unwrap());
    good.entries.last_mut().unwrap().txn = delete("/a");
    story.log = good;
    story.accepted();
    story.log.entries.last_mut().unwrap().zxid = Zxid(1);
    story.refused(Rule::Log);
}

#[test]
fn reads_go_forwards_and_strong_ones_keep_up_with_everybody() {
    let tell = |client, strength| {
        let mut story = Story::new();
        story.write(A, &create());
        let old = story.get();
        story.write(A, &set(b"1"));
        story.read(client, strength, old);
        story
    };
    tell(B, Strength::Plain).accepted();
    tell(A, Strength::Plain).refused(Rule::Reads);
    tell(B, Strength::Linearizable).refused(Rule::Reads);
    tell(B, Strength::Synced).refused(Rule::Reads);
    let story = tell(B, Strength::Synced);
    let deposed = Options {
        deposed: Deposed::Possible,
        ..options()
    };
    check_all(&story.history, &story.log, deposed).unwrap();
}

#[test]
fn a_read_shows_what_was_there() {
    let mut story = Story::new();
    story.write(A, &create());
    let Reply::Data { stat, .. } = story.get() else {
        panic!("it is there")
    };
    let invented = Reply::Data {
        data: Payload::from(bytes::Bytes::from_static(b"?")),
        stat,
    };
    story.read(B, Strength::Plain, story.get());
    story.accepted();
    story.read(B, Strength::Plain, invented);
    story.refused(Rule::Reads);
}

#[test]
fn a_session_lives_as_long_as_its_client_says() {
    let tell = |until: u64, asked: bool| {
        let mut story = Story::new();
        let (session, until) = (session(A), Some(Duration::from_millis(until)));
        story.stand(A, Standing::Connected { session, until });
        if asked {
            story.push(Event::Closing { client: A });
        }
        story.commit(session, Txn::Close);
        story
    };
    let dropped = tell(0, false).log.entries.last().unwrap().at.as_millis();
    let dropped = u64::try_from(dropped).unwrap();
    tell(dropped, false).accepted();
    tell(dropped + 10, false).refused(Rule::SessionTruth);
    tell(dropped + 10, true).accepted();
}

/// But for one that it was about to get: that one is closed as soon as it is there.
#[test]
fn whoever_has_closed_one_session_is_not_excused_for_the_next() {
    for lost in [true, false] {
        let mut story = Story::new();
        let stand = |session| Standing::Connected {
            session,
            until: Some(Duration::from_secs(1000)),
        };
        let mut closed = vec![session(A)];
        story.stand(A, stand(session(A)));
        if lost {
            story.stand(A, Standing::Lost);
        }
        story.push(Event::Closing { client: A });
        if lost {
            let coming = SessionId(0x776);
            story.commit(coming, Txn::Open);
            story.stand(A, stand(coming));
            closed.push(coming);
        }
        for session in closed {
            story.commit(session, Txn::Close);
        }
        let next = SessionId(0x777);
        story.commit(next, Txn::Open);
        story.stand(A, stand(next));
        story.accepted();
        story.commit(next, Txn::Close);
        story.refused(Rule::SessionTruth);
    }
}

#[test]
fn leaks_are_named() {
    check_leaks(&[("watches", 0), ("requests", 0)]).unwrap();
    let violation = check_leaks(&[("watches", 2), ("requests", 0)]).unwrap_err();
    assert_eq!(
        (violation.rule, &*violation.text),
        (Rule::Leak, "watches = 2")
    );
}
