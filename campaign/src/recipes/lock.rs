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
        if universe.world.rough {
            let machine = universe.sim.machine("vandal");
            universe.boot(&machine, |program| {
                vandal(program, Duration::from_secs(3), &[PATH])
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        self.book.check(universe)?;
        self.book.check_places(universe, PATH)?;
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
    let lock = planted!(program, lock);
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

/// Deletes nodes of lines that are not its own.
pub(crate) async fn vandal(mut program: Program, pause: Duration, paths: &'static [&'static str]) {
    let client = program.client();
    while !program.world.is_over() {
        program.pause(pause).await;
        let path = paths[program.rng.below(paths.len())];
        let Ok(names) = client.get_children(path).await else {
            continue;
        };
        let names: Vec<_> = names.iter().filter(|it| it.contains("__lock__")).collect();
        if let Some(name) = names.get(program.rng.below(names.len().max(1))) {
            let path = format!("{path}/{name}");
            if client.delete(&path).await.is_ok() {
                program.world.count("nodes deleted by a vandal");
            }
        }
    }
    program.rests();
    std::future::pending::<()>().await;
    drop(client);
}
