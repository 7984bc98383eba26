//! Partitioners: nobody has what another has, and at rest all items are somebody's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::Zxid;
use zk_recipes::SetPartitioner;
use zk_recipes::partitioner::{Partition, PartitionState};

use crate::recipes::{Program, Scenario, Universe};

const PATH: &str = "/set";
const ITEMS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// How long no member may come or go.
const BOUNDARY: Duration = Duration::from_secs(2);

/// Every machine takes part, lets go what it has to, and begins again when it has failed.
#[derive(Default)]
pub(crate) struct Partitions {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    parts: BTreeMap<String, Arc<Partition>>,
    terms: Vec<Term>,
}

/// Somebody had an item for certain, all of this time.
#[derive(Clone, Debug)]
struct Term {
    who: String,
    item: String,
    token: Zxid,
    from: Duration,
    to: Duration,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario for Partitions {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let shared = Arc::clone(&self.shared);
            universe.boot(machine, move |program| live(program, Arc::clone(&shared)));
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let shared = lock(&self.shared);
        if universe.world.beyond {
            // No deadline helps there.
            universe.world.count("not judged, by wild clocks");
        } else {
            // Whose session somebody has ended knows it within a session timeout.
            let late = if universe.world.rough {
                universe.world.timeout
            } else {
                Duration::ZERO
            };
            check_terms(&shared.terms, late)?;
        }
        let mut all = Vec::new();
        for (name, part) in &shared.parts {
            if part.state() != PartitionState::Acquired {
                return Err(format!("{name} is not at rest: {part:?}"));
            }
            all.extend(part.items());
        }
        all.sort();
        if all != ITEMS {
            return Err(format!(
                "at rest {all:?} are somebody's: {:?}",
                shared.parts
            ));
        }
        Ok(())
    }
}

/// Nobody has an item that another has for so long already, and its tokens grow.
fn check_terms(all: &[Term], late: Duration) -> Result<(), String> {
    for item in ITEMS {
        let mut terms: Vec<_> = all.iter().filter(|term| term.item == item).collect();
        terms.sort_by_key(|term| (term.from, term.to));
        let mut last: Option<&Term> = None;
        for term in terms {
            if let Some(last) = last {
                if last.to > term.from + late {
                    let who = format!("{} and {}", last.who, term.who);
                    return Err(format!("{who} have one at once: {last:?} and {term:?}"));
                }
                if last.token > term.token && last.from < term.from {
                    return Err(format!("tokens do not grow: {last:?} and {term:?}"));
                }
            }
            if last.is_none_or(|last| last.to <= term.to) {
                last = Some(term);
            }
        }
    }
    Ok(())
}

async fn live(mut program: Program, shared: Arc<Mutex<Shared>>) {
    let client = program.client();
    let mut quiet = Duration::ZERO;
    loop {
        let partitioner = SetPartitioner::new(&client, PATH, ITEMS)
            .identifier(&*program.name)
            .time_boundary(BOUNDARY);
        #[cfg(zk_planted)]
        let partitioner = match program.world.planted {
            Some(planted) => partitioner.planted(planted),
            None => partitioner,
        };
        let part = match partitioner.start().await {
            Ok(part) => Arc::new(part),
            Err(error) => {
                program.world.broken(format!("it has not begun: {error:?}"));
                return;
            }
        };
        program.world.count("begun");
        let before = lock(&shared)
            .parts
            .insert(program.name.clone(), Arc::clone(&part));
        drop(before);
        serve(&mut program, &part, &shared, &mut quiet).await;
        let before = lock(&shared).parts.remove(&program.name);
        drop((before, part));
    }
}

/// Goes on until it has failed, or wants to begin anew.
async fn serve(
    program: &mut Program,
    part: &Arc<Partition>,
    shared: &Mutex<Shared>,
    quiet: &mut Duration,
) {
    let mut open: BTreeMap<String, Term> = BTreeMap::new();
    loop {
        let now = program.machine.sim_now();
        for item in part.items() {
            let Some(token) = part.token(&item) else {
                continue;
            };
            let term = open.entry(item.clone()).or_insert_with(|| Term {
                who: program.name.clone(),
                item,
                token,
                from: now,
                to: now,
            });
            if term.token == token {
                term.to = now;
            } else {
                let fresh = Term {
                    token,
                    from: now,
                    to: now,
                    ..term.clone()
                };
                lock(shared).terms.push(std::mem::replace(term, fresh));
            }
        }
        match part.state() {
            PartitionState::Acquired => {
                if program.world.is_over() {
                    *quiet += Duration::from_millis(50);
                }
            }
            PartitionState::Release => {
                *quiet = Duration::ZERO;
                program.pause(Duration::from_millis(300)).await;
                match part.release_set().await {
                    Ok(()) => program.world.count("released"),
                    Err(error) => program.world.broken(format!("a release failed: {error:?}")),
                }
            }
            PartitionState::Failure => {
                program.world.count("failed");
                break;
            }
            PartitionState::Allocating | _ => *quiet = Duration::ZERO,
        }
        if *quiet > program.world.timeout * 2 + Duration::from_secs(10) {
            program.rests();
        }
        if !program.world.is_over() && program.rng.chance(0.002) {
            if let Err(error) = part.finish().await {
                let lost = part.state() == PartitionState::Failure;
                if !lost {
                    program.world.broken(format!("it has not ended: {error:?}"));
                }
            }
            program.world.count("finished");
            break;
        }
        program.pause(Duration::from_millis(25)).await;
    }
    lock(shared).terms.extend(open.into_values());
}
