//! Double barriers: who is let in was there with enough others, and who has left has left with them.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Error, RecipeError, SessionId, Zxid};
use zk_recipes::DoubleBarrier;
use zk_sim::check::{Effect, Txn};

use crate::recipes::{Program, Scenario, Universe};

const PATH: &str = "/meeting";
const READY: &str = "/meeting/ready";

/// Every machine enters and leaves, round after round.
#[derive(Default)]
pub(crate) struct Meetings(Arc<Mutex<Book>>);

/// What members have seen, in true time.
#[derive(Default)]
struct Book {
    /// The nodes of all who were let in, and when all others had left as far as they know.
    inside: BTreeMap<String, Option<Duration>>,
    /// Those who were told that they had missed it and when, by their identifiers, and the last
    /// transaction that they had heard of.
    missed: BTreeMap<String, (Duration, Zxid)>,
}

/// What servers know.
#[derive(Default)]
struct Rounds {
    present: BTreeMap<String, SessionId>,
    /// The last node of each identifier, whose it is, and when it was made.
    nodes: BTreeMap<String, (String, SessionId, Zxid)>,
    gone: BTreeMap<String, Duration>,
    /// For each node, all that were there when the barrier was opened while that was, and when.
    opened: BTreeMap<String, (Zxid, Arc<BTreeSet<String>>)>,
    closed: Vec<Zxid>,
    /// All transactions, and the sessions of empty ones: behind these go reads of what is.
    all: Vec<(Duration, Zxid, Option<SessionId>)>,
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rounds {
    fn of(universe: &Universe) -> Self {
        let mut rounds = Self::default();
        for entry in universe.servers.log().entries {
            let empty = matches!(&entry.txn, Txn::Change(effects) if effects.is_empty());
            let asks = empty.then_some(entry.session);
            rounds.all.push((entry.at, entry.zxid, asks));
            match entry.txn {
                Txn::Change(effects) => {
                    for effect in effects {
                        rounds.apply(entry.zxid, entry.at, effect);
                    }
                }
                Txn::Close => {
                    let (gone, session) = (&mut rounds.gone, entry.session);
                    rounds.present.retain(|path, owner| {
                        if *owner == session {
                            gone.insert(path.clone(), entry.at);
                        }
                        *owner != session
                    });
                }
                Txn::Open | Txn::Refused(_) | _ => {}
            }
        }
        rounds
    }

    fn apply(&mut self, zxid: Zxid, at: Duration, effect: Effect) {
        match effect {
            Effect::Create { path, .. } | Effect::SetData { path, .. } if path == READY => {
                // Whoever counted may have seen some who have just left.
                let all: Arc<BTreeSet<_>> = Arc::new(self.present.keys().cloned().collect());
                for node in &*all {
                    let round = || (zxid, Arc::clone(&all));
                    self.opened.entry(node.clone()).or_insert_with(round);
                }
            }
            Effect::Delete { path } if path == READY => self.closed.push(zxid),
            Effect::Create { path, owner, data } if owner.0 != 0 => {
                let identifier = String::from_utf8_lossy(&data).into_owned();
                self.nodes.insert(identifier, (path.clone(), owner, zxid));
                self.present.insert(path, owner);
            }
            Effect::Delete { path } => {
                if self.present.remove(&path).is_some() {
                    self.gone.insert(path, at);
                }
            }
            Effect::Create { .. } | Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
        }
    }

    /// Whoever was let in was there when it was opened; whoever has left did so when all others who
    /// were there then had.
    fn check(&self, node: &str, left: Option<Duration>) -> Result<(), String> {
        let Some((_, others)) = self.opened.get(node) else {
            return Err(format!(
                "{node} was let in and was not there when it opened"
            ));
        };
        let is_late = |other: &&String| {
            let gone = self.gone.get(*other).copied().unwrap_or(Duration::MAX);
            left.is_some_and(|left| gone > left)
        };
        match others.iter().find(is_late) {
            Some(other) => Err(format!("{node} left at {left:?}, and {other} was inside")),
            None => Ok(()),
        }
    }

    /// Nobody misses what was open as far as it has heard, or when it asked last how things are;
    /// who did not ask misses nothing that is open.
    fn check_missed(&self, identifier: &str, at: Duration, heard: Zxid) -> Result<(), String> {
        let Some((node, session, made)) = self.nodes.get(identifier) else {
            return Ok(());
        };
        let Some((opened, _)) = self.opened.get(node) else {
            return Ok(());
        };
        let mut before = self.all.iter().rev().skip_while(|(then, ..)| *then > at);
        let now = before.clone().next();
        let asked = before.find(|(_, zxid, asks)| *asks == Some(*session) && zxid > made);
        let known = asked.or(now).map_or(heard, |(_, zxid, _)| heard.max(*zxid));
        let closed = self.closed.iter().find(|closed| *closed >= opened);
        if *opened <= known && closed.is_none_or(|closed| *closed > known) {
            return Err(format!(
                "it was open from {opened} to {closed:?}, and {identifier} was not let in at {known}"
            ));
        }
        Ok(())
    }
}

impl Scenario for Meetings {
    fn start(&mut self, universe: &Universe) {
        let members = universe.machines.len();
        for machine in &universe.machines {
            let book = Arc::clone(&self.0);
            universe.boot(machine, move |program| {
                meet(program, Arc::clone(&book), members)
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let (rounds, book) = (Rounds::of(universe), lock(&self.0));
        for (node, left) in &book.inside {
            rounds.check(node, *left)?;
        }
        for (identifier, (at, heard)) in &book.missed {
            rounds.check_missed(identifier, *at, *heard)?;
        }
        let mut left = universe.nodes_below(PATH);
        left.retain(|node| node != READY);
        if !left.is_empty() {
            return Err(format!("members are left behind: {left:?}"));
        }
        Ok(())
    }
}

async fn meet(mut program: Program, book: Arc<Mutex<Book>>, members: usize) {
    let client = program.client();
    let barrier = planted!(program, DoubleBarrier::new(&client, PATH, members));
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        let limit = program
            .rng
            .duration(Duration::ZERO, Duration::from_secs(20));
        let identifier = format!("{} at {:?}", program.name, program.machine.sim_now());
        let enter = barrier.clone().identifier(&identifier).enter();
        let mut enter = enter.timeout(limit);
        // What it had heard of before its last look was answered: that look shows no less.
        let mut heard = Zxid::ZERO;
        let entered = poll_fn(|cx| {
            let entered = Pin::new(&mut enter).poll(cx);
            if entered.is_pending() {
                heard = client.last_zxid();
            }
            entered
        });
        match entered.await {
            Ok(member) => {
                program.world.count("let in");
                let node = member.znode().to_owned();
                lock(&book).inside.insert(node.clone(), None);
                program.pause(Duration::from_millis(300)).await;
                match member.leave().timeout(Duration::from_secs(60)).await {
                    Ok(()) => {
                        program.world.count("left together");
                        let now = program.machine.sim_now();
                        lock(&book).inside.insert(node, Some(now));
                    }
                    Err(Error::NotHeld) => program.world.count("left by the end of the session"),
                    // Others may be about to enter again.
                    Err(Error::Timeout { .. }) => program.world.count("left alone"),
                    Err(error) => program.world.broken(format!("leaving failed: {error:?}")),
                }
            }
            Err(Error::Timeout { .. }) => program.world.count("given up"),
            Err(Error::Recipe(RecipeError::Missed { .. })) => {
                program.world.count("missed");
                let missed = (program.machine.sim_now(), heard);
                lock(&book).missed.insert(identifier, missed);
            }
            Err(error) => program.world.broken(format!("entering failed: {error:?}")),
        }
    }
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}
