//! Truth of sessions: none is dropped while its client may think that it lives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_proto::SessionId;

use super::history::{ClientNo, Event, History, Standing};
use super::log::{CommittedLog, Txn};
use super::violation::{Rule, Violation};

/// Compares what clients said of their sessions with when those were ended. A client that closes
/// its session says so itself; that is no excuse for the end of one that it has only later.
///
/// # Errors
/// [`Rule::SessionTruth`].
pub fn check_sessions(history: &History, log: &CommittedLog) -> Result<usize, Violation> {
    let closes: BTreeMap<_, Duration> = log
        .entries
        .iter()
        .filter(|entry| matches!(entry.txn, Txn::Close))
        .map(|entry| (entry.session, entry.at))
        .collect();
    // The sessions that each client has had, those that it had when it was asked to close, and
    // since when it closes the one that it is about to get.
    let mut had: BTreeMap<ClientNo, BTreeSet<SessionId>> = BTreeMap::new();
    let mut closing: BTreeMap<(ClientNo, SessionId), Duration> = BTreeMap::new();
    let mut coming: BTreeMap<ClientNo, Duration> = BTreeMap::new();
    let mut standings: BTreeMap<ClientNo, Vec<(Duration, Standing)>> = BTreeMap::new();
    for (at, event) in history.events() {
        if let Event::Closing { client } = event {
            for session in had.get(client).into_iter().flatten() {
                closing.entry((*client, *session)).or_insert(*at);
            }
            let last = standings.get(client).and_then(|standings| standings.last());
            if last.is_none_or(|(_, standing)| *standing == Standing::Lost) {
                coming.entry(*client).or_insert(*at);
            }
        } else if let Event::Stands { client, standing } = event {
            standings.entry(*client).or_default().push((*at, *standing));
            if let Standing::Connected { session, .. } | Standing::Suspended { session, .. } =
                standing
                && had.entry(*client).or_default().insert(*session)
                && let Some(asked) = coming.remove(client)
            {
                closing.insert((*client, *session), asked);
            }
        }
    }
    let end = history
        .events()
        .last()
        .map_or(Duration::ZERO, |(at, _)| *at);
    let mut count = 0;
    for (client, standings) in &standings {
        let ends = standings.iter().skip(1).map(|(at, _)| *at).chain([end]);
        let lost: Vec<Duration> = standings
            .iter()
            .filter(|(_, standing)| *standing == Standing::Lost)
            .map(|(at, _)| *at)
            .collect();
        for ((from, standing), next) in standings.iter().zip(ends) {
            let (session, until) = match *standing {
                Standing::Lost => continue,
                Standing::Connected { session, until } => (session, until.unwrap_or(next)),
                Standing::Suspended { session, until } => (session, until),
            };
            // What is said to be lost is claimed no longer: its client may close it.
            let taken_back = lost.get(lost.partition_point(|at| at < from));
            let until = taken_back.map_or(until, |lost| until.min(*lost));
            count += 1;
            let Some(dropped) = closes.get(&session).copied() else {
                continue;
            };
            let asked = closing.get(&(*client, session));
            let asked = asked.is_some_and(|asked| *asked <= dropped);
            // An empty interval claims nothing.
            if dropped < until && *from < until && !asked {
                let text = format!(
                    "client {} said at {from:?} that {session} lives until {until:?}, but it was dropped at {dropped:?}",
                    client.0
                );
                return Err(Violation::new(Rule::SessionTruth, text));
            }
        }
    }
    Ok(count)
}

/// Nothing is left over: all of these are zero.
///
/// # Errors
/// [`Rule::Leak`], naming all that are not.
pub fn check_leaks<N: AsRef<str>>(counters: &[(N, u64)]) -> Result<(), Violation> {
    let left: Vec<String> = counters
        .iter()
        .filter(|(_, count)| *count != 0)
        .map(|(name, count)| format!("{} = {count}", name.as_ref()))
        .collect();
    if left.is_empty() {
        Ok(())
    } else {
        Err(Violation::new(Rule::Leak, left.join(", ")))
    }
}
