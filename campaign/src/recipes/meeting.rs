//! Double barriers: who is let in was there with enough others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::{Error, RecipeError};
use zk_recipes::DoubleBarrier;
use zk_sim::check::{Effect, Txn};

use crate::recipes::{Program, Scenario, Universe};

const PATH: &str = "/meeting";
const READY: &str = "/meeting/ready";

/// Every machine enters and leaves, round after round.
#[derive(Default)]
pub(crate) struct Meetings {
    /// The nodes of all who were let in.
    inside: Arc<Mutex<BTreeSet<String>>>,
    members: usize,
}

impl Scenario for Meetings {
    fn start(&mut self, universe: &Universe) {
        self.members = universe.machines.len();
        for machine in &universe.machines {
            let (inside, members) = (Arc::clone(&self.inside), self.members);
            universe.boot(machine, move |program| {
                meet(program, Arc::clone(&inside), members)
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let mut present: BTreeMap<String, _> = BTreeMap::new();
        let mut opened: BTreeSet<String> = BTreeSet::new();
        for entry in universe.servers.log().entries {
            match entry.txn {
                Txn::Change(effects) => {
                    for effect in effects {
                        match effect {
                            Effect::Create { path, .. } | Effect::SetData { path, .. }
                                if path == READY =>
                            {
                                // Whoever counted may have seen some who have just left.
                                opened.extend(present.keys().cloned());
                            }
                            Effect::Create { path, owner, .. } => drop(present.insert(path, owner)),
                            Effect::Delete { path } => drop(present.remove(&path)),
                            Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                        }
                    }
                }
                Txn::Close => present.retain(|_, owner| *owner != entry.session),
                Txn::Open | Txn::Refused(_) | _ => {}
            }
        }
        let inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(early) = inside.iter().find(|node| !opened.contains(*node)) {
            return Err(format!(
                "{early} was let in and was not there when it opened"
            ));
        }
        let mut left = universe.nodes_below(PATH);
        left.retain(|node| node != READY);
        if !left.is_empty() {
            return Err(format!("members are left behind: {left:?}"));
        }
        Ok(())
    }
}

async fn meet(mut program: Program, inside: Arc<Mutex<BTreeSet<String>>>, members: usize) {
    let client = program.client();
    let barrier = DoubleBarrier::new(&client, PATH, members);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        let limit = program
            .rng
            .duration(Duration::ZERO, Duration::from_secs(20));
        match barrier.enter().timeout(limit).await {
            Ok(member) => {
                program.world.count("let in");
                let node = member.znode().to_owned();
                inside
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(node);
                program.pause(Duration::from_millis(300)).await;
                match member.leave().timeout(Duration::from_secs(60)).await {
                    Ok(()) => program.world.count("left together"),
                    Err(Error::NotHeld) => program.world.count("left by the end of the session"),
                    // Others may be about to enter again.
                    Err(Error::Timeout { .. }) => program.world.count("left alone"),
                    Err(error) => program.world.broken(format!("leaving failed: {error:?}")),
                }
            }
            Err(Error::Timeout { .. }) => program.world.count("given up"),
            Err(Error::Recipe(RecipeError::Missed { .. })) => program.world.count("missed"),
            Err(error) => program.world.broken(format!("entering failed: {error:?}")),
        }
    }
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}
