//! Parties and persistent nodes: at rest, who says that it is there is there, and nobody else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Client, Error};
use zk_recipes::{Party, PersistentNode, ShallowParty};

use crate::recipes::state::State;
use crate::recipes::{Program, Scenario, Universe};

const DEEP: &str = "/party/deep";
const SHALLOW: &str = "/party/shallow";
const NODES: &str = "/party/nodes";

/// Every machine joins and leaves, and keeps a node of its own and one that all want.
#[derive(Default)]
pub(crate) struct Parties {
    guests: Arc<Mutex<BTreeMap<String, Guest>>>,
}

/// One program in its present life.
struct Guest {
    client: Client,
    deep: Party,
    shallow: ShallowParty,
    node: PersistentNode,
    data: String,
    /// Where all want to be.
    shared: PersistentNode,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scenario for Parties {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let guests = Arc::clone(&self.guests);
            universe.boot(machine, move |program| live(program, Arc::clone(&guests)));
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let state = universe.state();
        for node in state.nodes.values().filter(|node| node.owner.0 != 0) {
            if !state.sessions.contains(&node.owner) {
                return Err(format!("a node outlives its session: {node:?}"));
            }
        }
        let guests = lock(&self.guests);
        let mut deep = Vec::new();
        let mut shallow = Vec::new();
        for (name, guest) in guests.iter() {
            guest
                .check(name, &state)
                .map_err(|why| format!("{name}: {why}"))?;
            deep.extend(guest.deep.participating().then(|| name.clone()));
            shallow.extend(guest.shallow.participating().then(|| name.clone()));
        }
        for (path, said) in [(DEEP, deep), (SHALLOW, shallow)] {
            let mut there: Vec<_> = state
                .tree(path)
                .into_iter()
                .filter(|(node, _)| node != path)
                .map(|(_, node)| String::from_utf8_lossy(&node.data).into_owned())
                .collect();
            there.sort();
            if there != said {
                return Err(format!(
                    "{path} has {there:?}, and {said:?} say that they are there"
                ));
            }
        }
        // One of those who want it has the node that all want.
        let shared = state.nodes.get(&shared_path());
        let owner = shared.map(|node| node.owner);
        let holders = guests.values().filter(|guest| guest.shared.is_present());
        let holders: Vec<_> = holders
            .map(|guest| guest.client.client_id().map(|(id, _)| id))
            .collect();
        if holders != [owner] {
            return Err(format!(
                "the shared node is {owner:?}'s, and {holders:?} say theirs"
            ));
        }
        let data = shared.map(|node| String::from_utf8_lossy(&node.data).into_owned());
        let mut guests = guests.iter().filter(|(_, guest)| guest.shared.is_present());
        let holder = guests.next().map(|(name, _)| name.clone());
        if data != holder {
            return Err(format!("the shared node has {data:?}, and is {holder:?}'s"));
        }
        Ok(())
    }
}

fn shared_path() -> String {
    format!("{NODES}/shared")
}

impl Guest {
    fn check(&self, name: &str, state: &State) -> Result<(), String> {
        let session = self.client.client_id().map(|(id, _)| id);
        let path = format!("{NODES}/{name}");
        let Some(node) = state.nodes.get(&path) else {
            return Err("its node is not there".to_owned());
        };
        if Some(node.owner) != session || !self.node.is_present() {
            return Err(format!(
                "its node is of {:?}, it is {session:?}",
                node.owner
            ));
        }
        if node.data != self.data.as_bytes() {
            return Err(format!("its node has {:?}, not {}", node.data, self.data));
        }
        Ok(())
    }
}

async fn live(mut program: Program, guests: Arc<Mutex<BTreeMap<String, Guest>>>) {
    let client = program.client();
    let name = program.name.clone();
    let node = PersistentNode::new(&client, &format!("{NODES}/{name}"), "0");
    let shared = PersistentNode::new(&client, &shared_path(), &*name);
    let deep = Party::new(&client, DEEP).identifier(&*name).rejoining();
    let shallow = ShallowParty::new(&client, SHALLOW).identifier(&*name);
    #[cfg(zk_planted)]
    let (node, shared, deep, shallow) = match program.world.planted {
        Some(planted) => (
            node.planted(planted),
            shared.planted(planted),
            deep.planted(planted),
            shallow.planted(planted),
        ),
        None => (node, shared, deep, shallow),
    };
    let mut guest = Guest {
        deep,
        shallow,
        node,
        data: "0".to_owned(),
        shared,
        client,
    };
    guest.shared.start().detach();
    if let Err(error) = guest.node.start().await {
        program
            .world
            .broken(format!("a node was not made: {error:?}"));
    }
    let mut number = 0;
    while !program.world.is_over() {
        program.pause(Duration::from_millis(500)).await;
        number += 1;
        if let Err(error) = step(&mut program, &mut guest, number).await {
            program.world.broken(format!("a step failed: {error:?}"));
        }
    }
    // What was given up a moment ago may still be on its way.
    if let Err(error) = guest.node.start().await {
        program
            .world
            .broken(format!("a node was not made: {error:?}"));
    }
    guest.data = "last".to_owned();
    if let Err(error) = guest.node.set_data("last").await {
        program
            .world
            .broken(format!("data was not written: {error:?}"));
    }
    let before = lock(&guests).insert(name, guest);
    drop(before);
    program.rests();
    std::future::pending::<()>().await;
}

async fn step(program: &mut Program, guest: &mut Guest, number: u32) -> Result<(), Error> {
    let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
    let limit = limit.mul_f64(program.rng.unit().powi(2));
    let done = match program.rng.below(9) {
        0 => guest.deep.join().timeout(limit).await,
        1 => guest.shallow.join().timeout(limit).await,
        2 => guest.deep.leave().timeout(limit).await.map(drop),
        3 => guest.shallow.leave().timeout(limit).await.map(drop),
        4 => guest.node.set_data(number.to_string()).timeout(limit).await,
        5 => guest.node.close().timeout(limit).await.map(drop),
        6 => guest.node.start().timeout(limit).await,
        // Into a node of somebody else's it is never written.
        7 => guest.shared.set_data(&*program.name).timeout(limit).await,
        _ => {
            // Somebody who should not does it.
            let path = format!("{NODES}/{}", program.name);
            let delete = guest.client.delete(&path).await;
            program.world.count("nodes deleted");
            drop(delete);
            Ok(())
        }
    };
    match done {
        Ok(()) => program.world.count("steps"),
        // A start was taken back, or was waited for by one whose start was.
        Err(Error::Timeout { .. } | Error::Cancelled | Error::NotHeld) => {
            program.world.count("given up");
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
