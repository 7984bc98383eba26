//! Barriers: the removal of one releases all who wait for it, and nothing else does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Client, Error};
use zk_recipes::Barrier;
use zk_sim::check::{Effect, Txn};

use crate::recipes::{Program, Scenario, TICK, Universe};

const PATH: &str = "/gate";

/// One program sets up a barrier and removes it, round after round; all others wait for it.
#[derive(Default)]
pub(crate) struct Gates(Book);

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Waits>>);

#[derive(Default)]
struct Waits {
    /// Since when who waits.
    waiting: BTreeMap<String, Duration>,
    released: Vec<Wait>,
}

/// A wait that came to its end by a release, in true time.
struct Wait {
    who: String,
    from: Duration,
    to: Duration,
}

impl Book {
    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scenario for Gates {
    fn start(&mut self, universe: &Universe) {
        for (number, machine) in universe.machines.iter().enumerate() {
            let book = self.0.clone();
            universe.boot_several(machine, 3, move |program| {
                let book = book.clone();
                async move {
                    if number == 0 && program.name.ends_with('0') {
                        keep(program, book).await;
                    } else {
                        wait(program, book).await;
                    }
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let standing = standing(universe);
        for wait in &self.0.waits().released {
            // From before it began to after its end.
            let kept = standing
                .iter()
                .find(|(made, gone)| *made <= wait.from && *gone > wait.to);
            if let Some(kept) = kept {
                let Wait { who, from, to } = wait;
                return Err(format!(
                    "{who} was let through, {from:?} to {to:?}, with a barrier there {kept:?}"
                ));
            }
        }
        Ok(())
    }
}

/// From when until when there was a barrier.
fn standing(universe: &Universe) -> Vec<(Duration, Duration)> {
    let mut all = Vec::new();
    let mut made = None;
    for entry in universe.servers.log().entries {
        let Txn::Change(effects) = entry.txn else {
            continue;
        };
        for effect in effects {
            match effect {
                Effect::Create { path, .. } if path == PATH => made = Some(entry.at),
                Effect::Delete { path } if path == PATH => {
                    all.extend(made.take().map(|made| (made, entry.at)));
                }
                Effect::Create { .. }
                | Effect::Delete { .. }
                | Effect::SetData { .. }
                | Effect::SetAcl { .. }
                | _ => {}
            }
        }
    }
    all.extend(made.map(|made| (made, Duration::MAX)));
    all
}

/// Sets it up, and removes it.
async fn keep(mut program: Program, book: Book) {
    let client = program.client();
    let barrier = planted!(program, Barrier::new(&client, PATH));
    while !program.world.is_over() {
        let made = barrier.create().await;
        program.pause(Duration::from_millis(1500)).await;
        let removed = barrier.remove().await;
        if let (Ok(()), Ok(true)) = (made, removed) {
            program.world.count("rounds");
        }
        // Often there is the next one at once.
        if program.rng.chance(0.4) {
            program.pause(Duration::from_millis(800)).await;
        }
    }
    if let Err(error) = finish(&mut program, &barrier, &book).await {
        let why = format!("a barrier could not be kept: {error:?}");
        program.world.broken(why);
    }
    rest(program, client).await;
}

/// All who have seen a barrier are released by its removal, though there is another one at once.
async fn finish(program: &mut Program, barrier: &Barrier, book: &Book) -> Result<(), Error> {
    let quiet = program.world.timeout * 2 + Duration::from_secs(10);
    barrier.create().await?;
    // Whoever waits has seen it, or the one before.
    program.machine.sleep(quiet).await;
    // Often they do not see it happen.
    let away = program.rng.chance(0.5);
    if away {
        program.world.leave_alone(Some(program.machine.name()));
        program.machine.sleep(TICK * 2).await;
    }
    barrier.remove().await?;
    barrier.create().await?;
    if away {
        program.world.leave_alone(None);
    }
    program.machine.sleep(quiet).await;
    if let Some(stuck) = book.waits().waiting.first_key_value() {
        let why = format!("a removal has not released who waited: {stuck:?}");
        program.world.broken(why);
    }
    barrier.remove().await.map(drop)
}

/// Waits for it.
async fn wait(mut program: Program, book: Book) {
    let client = program.client();
    let barrier = planted!(program, Barrier::new(&client, PATH));
    let who = program.name.clone();
    // It waited when it was killed.
    book.waits().waiting.remove(&who);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        if program.rng.chance(0.1) {
            // Which is no removal.
            drop(client.set(PATH, "x").await);
        }
        if program.world.is_over() {
            break;
        }
        let from = program.machine.sim_now();
        book.waits().waiting.insert(who.clone(), from);
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        let wait = barrier.wait();
        let ended = if program.rng.chance(0.15) {
            wait.timeout(limit).await
        } else {
            wait.await
        };
        let to = program.machine.sim_now();
        let mut waits = book.waits();
        waits.waiting.remove(&who);
        match ended {
            Ok(()) => {
                program.world.count("released");
                let who = who.clone();
                waits.released.push(Wait { who, from, to });
            }
            Err(Error::Timeout { .. }) => program.world.count("given up"),
            Err(error) => program.world.broken(format!("waiting failed: {error:?}")),
        }
    }
    rest(program, client).await;
}

async fn rest(program: Program, client: Client) {
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}
