//! Reads against the log: each shows a state that there was, not yet gone when the session had seen
//! something newer, and, where that is promised, not when anybody else had either.
//!
//! A read whose zxid is known from the header of its reply must show the state at that zxid. For one
//! without, the earliest possible is assumed, which is right if any is: the reads of a session go
//! forwards, so the earlier one is placed the more room is left for those behind it.

use std::collections::BTreeMap;

use zk_proto::{ErrorCode, Zxid};

use super::command::{Command, Ended, Read, Reply, Strength};
use super::history::{ClientNo, Event, History, Mark, Operation, Standing};
use super::log::Ledger;
use super::outcomes::Matching;
use super::results::{Deposed, check_real_time, is_answered, is_strong};
use super::violation::{Rule, Violation};

/// Between which zxids a read was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    pub(crate) least: Zxid,
    pub(crate) most: Zxid,
}

/// Where each read was made.
pub(crate) type Seens = BTreeMap<usize, Seen>;

/// What a client has seen in its session so far.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// No later read shows anything older.
    floor: Zxid,
    /// The state that some reply showed: no later write comes before it.
    shown: Zxid,
    /// How many losses of sessions were noticed.
    losses: usize,
}

/// Places every read that was answered.
pub(crate) fn check_reads(
    history: &History,
    operations: &[Operation<'_>],
    matching: &Matching,
    ledger: &Ledger<'_>,
    deposed: Deposed,
) -> Result<Seens, Violation> {
    // First by sessions alone, then by what strong reads of others saw, too.
    let loose = place(history, operations, matching, ledger, |_, _| Zxid::ZERO)?;
    let least = |index: usize| loose.get(&index).map(|seen: &Seen| seen.least);
    let floors = check_real_time(operations, matching, ledger, deposed, least)?;
    place(history, operations, matching, ledger, |index, strength| {
        if is_strong(strength, deposed) {
            floors[index]
        } else {
            Zxid::ZERO
        }
    })
}

fn place(
    history: &History,
    operations: &[Operation<'_>],
    matching: &Matching,
    ledger: &Ledger<'_>,
    floor_of: impl Fn(usize, Strength) -> Zxid,
) -> Result<Seens, Violation> {
    let losses = losses(history);
    let mut clients: BTreeMap<ClientNo, Progress> = BTreeMap::new();
    let mut seens = Seens::new();
    for (index, operation) in operations.iter().enumerate() {
        let progress = clients.entry(operation.client).or_default();
        let lost = losses.get(&operation.client).map_or(0, |at| {
            at.partition_point(|loss| *loss < operation.invoked.index)
        });
        if lost > progress.losses {
            *progress = Progress {
                losses: lost,
                ..Progress::default()
            };
        }
        match operation.command {
            Command::Write(_) => {
                if let Some(zxids) = matching.zxids(index, ledger.entries) {
                    wrote(operation, zxids, progress)?;
                }
            }
            Command::Read(read, strength) => {
                let Some((mark, reply)) = answer(operation) else {
                    continue;
                };
                let floor = progress.floor.max(floor_of(index, *strength));
                let seen = place_one(operation, read, reply, floor, mark, ledger)?;
                progress.floor = progress.floor.max(seen.least);
                let until = seen.most;
                if let Some((shown, _)) = ledger.shown_between(read, reply, progress.shown, until) {
                    progress.shown = shown;
                }
                seens.insert(index, seen);
            }
        }
        if let Some(header) = operation.header {
            progress.floor = progress.floor.max(header);
        }
    }
    Ok(seens)
}

/// Where in the history a client lost its session.
fn losses(history: &History) -> BTreeMap<ClientNo, Vec<usize>> {
    let mut losses: BTreeMap<ClientNo, Vec<usize>> = BTreeMap::new();
    for (mark, event) in history.marked() {
        if let Event::Stands {
            client,
            standing: Standing::Lost,
        } = event
        {
            losses.entry(*client).or_default().push(mark.index);
        }
    }
    losses
}

fn wrote(
    operation: &Operation<'_>,
    (least, most): (Zxid, Zxid),
    progress: &mut Progress,
) -> Result<(), Violation> {
    // Without an answer it may have been another one like it; and the session may go on at a server
    // that does not have it yet.
    if !is_answered(operation) {
        return Ok(());
    }
    if most <= progress.shown {
        let text = format!("{most} had been seen before it was written by {operation}");
        return Err(Violation::new(Rule::Reads, text));
    }
    progress.shown = progress.shown.max(least);
    progress.floor = progress.floor.max(least);
    Ok(())
}

/// What a read shows, if it shows anything.
fn answer<'a>(operation: &Operation<'a>) -> Option<(Mark, &'a Reply)> {
    match operation.ended {
        Some((_, Ended::Reply(Reply::Refused(refusal)))) if refusal.code != ErrorCode::NO_NODE => {
            None
        }
        Some((mark, Ended::Reply(reply))) => Some((mark, reply)),
        _ => None,
    }
}

fn place_one(
    operation: &Operation<'_>,
    read: &Read,
    reply: &Reply,
    floor: Zxid,
    mark: Mark,
    ledger: &Ledger<'_>,
) -> Result<Seen, Violation> {
    let newest = ledger.newest_at(mark.at);
    let broken = |why: &str| Err(Violation::new(Rule::Reads, format!("{why}: {operation}")));
    if let Some(header) = operation.header {
        return if header < floor {
            broken(&format!(
                "{header} is before {floor}, which was seen earlier"
            ))
        } else if header > newest {
            broken(&format!(
                "{header} is in the future, the newest is {newest}"
            ))
        } else if ledger.shows(read, reply, header) {
            Ok(Seen {
                least: header,
                most: header,
            })
        } else {
            broken(&format!("there was no such state at {header}"))
        };
    }
    match ledger.shown_between(read, reply, floor, newest) {
        Some((least, most)) => Ok(Seen { least, most }),
        None => match ledger.shown_between(read, reply, Zxid::ZERO, Zxid(i64::MAX)) {
            Some((_, last)) if last < floor => broken(&format!(
                "stale, of {last} or before, but {floor} was seen earlier"
            )),
            Some((first, _)) if first > newest => broken(&format!(
                "of {first}, in the future: the newest is {newest}"
            )),
            Some(_) | None => broken("there was no such state"),
        },
    }
}
