//! Locks: one holder at a time, tokens that grow, nothing left behind.

use std::time::Duration;

use zk_recipes::Lock;

use crate::recipes::contend::{Book, Held, Taking, contend, granted, granted_at_once};
use crate::recipes::{Program, Scenario, Universe};

const PATH: &str = "/locks/one";
/// What is written into under a lock.
pub(crate) const REGISTER: &str = "/register";

/// Every machine contends for one lock, and writes into a register while it holds it.
#[derive(Default)]
pub(crate) struct Locks {
    book: Book,
}

impl Scenario for Locks {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.book.clone();
            universe.boot(machine, move |program| live(program, book.clone()));
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        if !universe.world.beyond {
            self.book.check_alone()?;
            self.book.check_tokens()?;
        } else if self.book.check_alone().is_err() {
            // The deadline cannot help there; what is written has its order all the same.
            universe.world.count("two at once, by wild clocks");
        }
        check_register(universe, REGISTER)?;
        let left = universe.nodes_below(PATH);
        if !left.is_empty() {
            return Err(format!("nodes are left behind: {left:?}"));
        }
        Ok(())
    }
}

/// What was written under a lock is in the order of its holders, whatever the clocks say.
pub(crate) fn check_register(universe: &Universe, path: &str) -> Result<(), String> {
    let written = universe.written(path);
    let tokens: Vec<i64> = written
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    if tokens.is_sorted() {
        return Ok(());
    }
    Err(format!(
        "an earlier holder wrote after a later one: {tokens:?}"
    ))
}

async fn live(mut program: Program, book: Book) {
    let client = program.client();
    if client.ensure_path(REGISTER).await.is_err() {
        program.world.count("register not made");
    }
    let lock = Lock::new(&client, PATH).identifier(program.name.clone());
    #[cfg(zk_planted)]
    let lock = match program.world.planted {
        Some(planted) => lock.planted(planted),
        None => lock,
    };
    let canceller = lock.clone();
    let take = move |program: &mut Program, client: &zk_client::Client| {
        if program.rng.chance(0.15) {
            let pending = lock.try_acquire();
            return Taking::AtOnce(granted_at_once(program, client, pending, Held::Alone));
        }
        let pending = lock.acquire();
        let pending = if program.rng.chance(0.1) {
            pending.timeout(Duration::from_secs(5))
        } else {
            pending
        };
        Taking::Blocking(granted(program, client, pending, Held::Alone))
    };
    contend(program, client, book, Some(REGISTER), take, move || {
        canceller.cancel();
    })
    .await;
}
