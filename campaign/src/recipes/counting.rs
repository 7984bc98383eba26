//! Counters: what was confirmed was added once, what was refused not at all.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::Outcome;
use zk_recipes::Counter;

use crate::recipes::{Program, Scenario, Universe};

const PATH: &str = "/counter";

/// What is known of an addition. No two add the same, so that each is known by its difference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Begun,
    Added { before: i64, after: i64 },
    NotAdded,
}

type Book = Arc<Mutex<BTreeMap<i64, Fate>>>;

/// Every machine adds to one counter, half of them with marks.
#[derive(Default)]
pub(crate) struct Counters {
    next: Arc<AtomicI64>,
    book: Book,
}

impl Scenario for Counters {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let (next, book) = (Arc::clone(&self.next), Arc::clone(&self.book));
            universe.boot_several(machine, 2, move |program| {
                count(program, Arc::clone(&next), Arc::clone(&book))
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = BTreeMap::new();
        let mut value = 0;
        for text in universe.written(PATH) {
            let next: i64 = text.parse().map_err(|_| format!("{text:?} was written"))?;
            let delta = next - value;
            if seen.insert(delta, value).is_some() {
                return Err(format!("{delta} was added twice"));
            }
            if !book.contains_key(&delta) {
                return Err(format!("{delta} was added by nobody"));
            }
            value = next;
        }
        for (delta, fate) in &*book {
            match (fate, seen.get(delta)) {
                (Fate::Added { before, after }, Some(at))
                    if before == at && *after == at + delta => {}
                (Fate::Added { .. }, found) => {
                    return Err(format!(
                        "{delta} was confirmed as {fate:?}, and is {found:?}"
                    ));
                }
                (Fate::NotAdded, Some(_)) => {
                    return Err(format!("{delta} was refused, and added"));
                }
                (Fate::NotAdded, None) | (Fate::Begun, _) => {}
            }
        }
        let left = universe.nodes_below(PATH);
        if !left.is_empty() {
            return Err(format!("marks are left behind: {left:?}"));
        }
        Ok(())
    }
}

async fn count(mut program: Program, next: Arc<AtomicI64>, book: Book) {
    let client = program.client();
    let counter = planted!(program, Counter::new(&client, PATH));
    let counter = if program.name.ends_with('0') {
        counter
    } else {
        counter.marked()
    };
    while !program.world.is_over() {
        program.pause(Duration::from_millis(200)).await;
        let delta = next.fetch_add(1, Ordering::Relaxed) + 1;
        let tell = |fate| {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            book.insert(delta, fate);
        };
        tell(Fate::Begun);
        let add = counter.add(delta);
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        let added = if program.rng.chance(0.2) {
            add.timeout(limit).await
        } else {
            add.await
        };
        match added {
            Ok(change) => {
                program.world.count("added");
                tell(Fate::Added {
                    before: change.pre_value,
                    after: change.post_value,
                });
            }
            Err(error) if error.outcome() == Some(Outcome::NotApplied) => {
                program.world.count("not added");
                tell(Fate::NotAdded);
            }
            Err(_) => program.world.count("unknown"),
        }
    }
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}
