//! Changes of right histories that make them wrong, whatever else is in them.

use proptest::prelude::*;
use zk_proto::{Stat, Zxid};

use super::super::testing::{Plan, run};
use super::super::*;
use super::*;

/// A right history, and what the checks make of it.
fn right(plan: Plan) -> (History, CommittedLog) {
    let (history, log) = run(plan);
    if let Err(violation) = check_all(&history, &log, options()) {
        panic!("{history}\n{log}\n{violation}");
    }
    (history, log)
}

fn without_faults(seed: u64) -> Plan {
    Plan {
        faults: 0,
        ..Plan::new(seed)
    }
}

/// The tree after all up to a zxid.
fn tree_at(log: &CommittedLog, zxid: Zxid) -> Tree {
    let mut tree = Tree::new();
    for entry in log.entries.iter().filter(|entry| entry.zxid <= zxid) {
        match &entry.txn {
            Txn::Open | Txn::Refused(_) => {}
            Txn::Close => drop(tree.close(entry.session, entry.stamp())),
            Txn::Change(effects) => log::apply(&mut tree, entry, effects).unwrap(),
        }
    }
    tree
}

fn reply_at(history: &mut History, place: usize) -> &mut Reply {
    let Event::Ended {
        ended: Ended::Reply(reply),
        ..
    } = &mut history.events_mut()[place].1
    else {
        panic!("event {place} is no answer")
    };
    reply
}

/// What is known of a node, if this shows it.
fn stat_of(reply: &Reply) -> Option<Stat> {
    if let Reply::Data { stat, .. } = reply {
        return Some(*stat);
    }
    if let Reply::Exists(stat) | Reply::Children { stat, .. } = reply {
        return *stat;
    }
    None
}

/// A read that was answered: where, what it showed, and whether it had to be fresh.
struct Answered {
    place: usize,
    invoked: usize,
    read: Read,
    reply: Reply,
    strength: Strength,
}

fn answered_reads(history: &History) -> Vec<Answered> {
    let operations = history.operations().unwrap();
    let answered = operations.iter().filter_map(|operation| {
        let (Command::Read(read, strength), Some((mark, Ended::Reply(reply)))) =
            (operation.command, operation.ended)
        else {
            return None;
        };
        Some(Answered {
            place: mark.index,
            invoked: operation.invoked.index,
            read: read.clone(),
            reply: reply.clone(),
            strength: *strength,
        })
    });
    answered.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_results_change_places(seed: u64, pick: usize) {
        let (mut history, log) = right(Plan::new(seed));
        let places: Vec<usize> = (0..history.events().len())
            .filter(|at| matches!(history.events()[*at].1,
                Event::Ended { ended: Ended::Reply(Reply::Set(Some(_))), .. }))
            .collect();
        prop_assume!(places.len() > 1);
        let (one, other) = (places[pick % places.len()], places[(pick + 1) % places.len()]);
        let (left, right) = (reply_at(&mut history, one).clone(), reply_at(&mut history, other).clone());
        // No two writes of the same session can have each other's result.
        prop_assume!(left != right);
        *reply_at(&mut history, one) = right;
        *reply_at(&mut history, other) = left;
        prop_assert!(check_all(&history, &log, options()).is_err());
    }

    #[test]
    fn a_strong_read_is_stale(seed: u64, pick: usize) {
        let (mut history, log) = right(Plan::new(seed));
        let operations = history.operations().unwrap();
        let matching = outcomes::match_up(&history, &operations, &log, Unrecorded::Nothing).unwrap();
        // Answered before the read began: what it showed then, without the write and with it.
        let mut stale = Vec::new();
        for answered in answered_reads(&history) {
            if answered.strength == Strength::Plain {
                continue;
            }
            let newest = matching.entries.iter()
                .filter(|(at, _)| matches!(operations[**at].ended,
                    Some((mark, Ended::Reply(_))) if mark.index < answered.invoked))
                .map(|(_, entry)| log.entries[*entry].zxid)
                .max();
            let Some(newest) = newest else { continue };
            let before = tree_at(&log, Zxid(newest.0 - 1)).read(&answered.read);
            let after = tree_at(&log, newest).read(&answered.read);
            // One with a stat never comes back.
            if before != after && stat_of(&before).is_some() {
                stale.push((answered.place, before));
            }
        }
        prop_assume!(!stale.is_empty());
        let (place, reply) = stale.swap_remove(pick % stale.len());
        *reply_at(&mut history, place) = reply;
        let violation = check_all(&history, &log, options()).unwrap_err();
        prop_assert_eq!(violation.rule, Rule::Reads);
    }

    #[test]
    fn a_read_is_from_the_future(seed: u64, pick: usize) {
        let (mut history, log) = right(Plan::new(seed));
        let mut future = Vec::new();
        let trees: Vec<Tree> = log.entries.iter().map(|entry| tree_at(&log, entry.zxid)).collect();
        for answered in answered_reads(&history) {
            let ended = history.events()[answered.place].0;
            let count = log.entries.partition_point(|entry| entry.at <= ended);
            let now = trees[count - 1].read(&answered.read);
            let mut later = trees[count..].iter().map(|tree| tree.read(&answered.read));
            if let Some(reply) = later.find(|reply| *reply != now && stat_of(reply).is_some()) {
                future.push((answered.place, answered.reply, reply));
            }
        }
        prop_assume!(!future.is_empty());
        let (place, was, reply) = future.swap_remove(pick % future.len());
        prop_assume!(was != reply);
        *reply_at(&mut history, place) = reply;
        let violation = check_all(&history, &log, options()).unwrap_err();
        prop_assert_eq!(violation.rule, Rule::Reads);
    }

    #[test]
    fn an_update_is_lost(seed: u64, pick: usize) {
        let (history, mut log) = right(without_faults(seed));
        let operations = history.operations().unwrap();
        let matching = outcomes::match_up(&history, &operations, &log, Unrecorded::Nothing).unwrap();
        // Nobody else does the same: it is a write of data that no other one has.
        let updates: Vec<usize> = matching.entries.iter()
            .filter(|(at, _)| matches!(operations[**at].command, Command::Write(Write::SetData { .. })))
            .map(|(_, entry)| *entry)
            .collect();
        prop_assume!(!updates.is_empty());
        log.entries.remove(updates[pick % updates.len()]);
        let violation = check_all(&history, &log, options()).unwrap_err();
        prop_assert_eq!(violation.rule, Rule::Applied);
    }

    #[test]
    fn an_update_is_done_twice(seed: u64, pick: usize) {
        let (history, mut log) = right(without_faults(seed));
        let operations = history.operations().unwrap();
        let matching = outcomes::match_up(&history, &operations, &log, Unrecorded::Nothing).unwrap();
        let last = log.entries.last().unwrap().clone();
        let end = tree_at(&log, last.zxid);
        // The node is there, so the log is right; only nobody asked for it.
        let updates: Vec<usize> = matching.entries.iter()
            .filter(|(at, _)| matches!(operations[**at].command,
                Command::Write(Write::SetData { path, .. }) if end.node(path).is_some()))
            .map(|(_, entry)| *entry)
            .collect();
        prop_assume!(!updates.is_empty());
        let again = log.entries[updates[pick % updates.len()]].clone();
        log.entries.push(Entry { zxid: Zxid(last.zxid.0 + 1), at: last.at, millis: last.millis + 10, ..again });
        let violation = check_all(&history, &log, options()).unwrap_err();
        prop_assert_eq!(violation.rule, Rule::NotApplied);
    }
}
