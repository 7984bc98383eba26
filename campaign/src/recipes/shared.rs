//! Readers and writers, semaphores, elections, latches and several locks at once: who may hold what
//! together.

use std::pin::pin;
use std::time::Duration;

use zk_client::{Client, Error};
use zk_recipes::{Election, LeaderLatch, MultiLock, ReadLock, Semaphore, WriteLock};

use crate::recipes::contend::{Book, Grant, Held, Taking, contend, granted, granted_at_once, hold};
use crate::recipes::lock::{REGISTER, check_register};
use crate::recipes::{Program, Scenario, Universe};

/// Takes from a recipe that has `acquire` and `try_acquire`.
macro_rules! take {
    ($program:ident, $client:ident, $recipe:expr, $held:path) => {{
        if $program.rng.chance(0.15) {
            let pending = $recipe.try_acquire();
            Taking::AtOnce(granted_at_once($program, $client, pending, $held))
        } else {
            Taking::Blocking(granted($program, $client, $recipe.acquire(), $held))
        }
    }};
}

fn nothing_left(universe: &Universe, path: &str) -> Result<(), String> {
    let left = universe.nodes_below(path);
    if left.is_empty() {
        return Ok(());
    }
    Err(format!("nodes are left behind: {left:?}"))
}

/// Many readers, or one writer.
#[derive(Default)]
pub(crate) struct ReadersAndWriters {
    book: Book,
}

impl Scenario for ReadersAndWriters {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.book.clone();
            universe.boot(machine, move |mut program| {
                let book = book.clone();
                async move {
                    let client = program.client();
                    client.ensure_path(REGISTER).await.ok();
                    let read = planted!(program, ReadLock::new(&client, "/rw"));
                    let write = planted!(program, WriteLock::new(&client, "/rw"));
                    let (one, two) = (read.clone(), write.clone());
                    let take = move |program: &mut Program, client: &Client| {
                        if program.rng.chance(0.6) {
                            take!(program, client, read, Held::Together)
                        } else {
                            take!(program, client, write, Held::Alone)
                        }
                    };
                    let cancel = move || {
                        one.cancel();
                        two.cancel();
                    };
                    contend(program, client, book, Some(REGISTER), take, cancel).await;
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        self.book.check(universe)?;
        self.book.check_places(universe, "/rw")?;
        check_register(universe, REGISTER)?;
        nothing_left(universe, "/rw")
    }
}

/// So many leases and no more.
#[derive(Default)]
pub(crate) struct Semaphores {
    book: Book,
}

const LEASES: u32 = 2;

impl Scenario for Semaphores {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.book.clone();
            // Two of them on each machine, as there are more leases than one.
            universe.boot_several(machine, 2, move |mut program| {
                let book = book.clone();
                async move {
                    let client = program.client();
                    let semaphore = planted!(program, Semaphore::new(&client, "/sem", LEASES));
                    let canceller = semaphore.clone();
                    let take = move |program: &mut Program, client: &Client| {
                        take!(program, client, semaphore, Held::Together)
                    };
                    let cancel = move || canceller.cancel();
                    contend(program, client, book, None, take, cancel).await;
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        if !universe.world.beyond {
            self.book.check_ends(universe)?;
        }
        if !universe.world.beyond && !universe.world.rough {
            self.book.check_at_most(LEASES as usize)?;
        }
        nothing_left(universe, "/sem")?;
        nothing_left(universe, "/sem-__lock__")
    }
}

/// One leader, whose work is dropped when it is one no more.
#[derive(Default)]
pub(crate) struct Elections {
    book: Book,
}

impl Scenario for Elections {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.book.clone();
            universe.boot(machine, move |mut program| {
                let book = book.clone();
                async move {
                    let client = program.client();
                    client.ensure_path(REGISTER).await.ok();
                    if program.rng.chance(0.3) {
                        latch(program, client, book).await;
                    } else {
                        run_for_office(program, client, book).await;
                    }
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        self.book.check(universe)?;
        check_register(universe, REGISTER)?;
        nothing_left(universe, "/election")
    }
}

async fn run_for_office(mut program: Program, client: Client, book: Book) {
    let election = planted!(program, Election::new(&client, "/election"));
    while !program.world.is_over() {
        program.pause(Duration::from_millis(300)).await;
        let (mut leader, book) = (program.again(), book.clone());
        let client = client.clone();
        let run = election.run(move |guard| async move {
            let at = leader.machine.sim_now();
            let held = Held::Alone(guard);
            hold(
                &mut leader,
                &client,
                &book,
                Some(REGISTER),
                Grant { held, at },
            )
            .await;
            Ok(())
        });
        let run = if program.rng.chance(0.3) {
            let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
            run.timeout(limit)
        } else {
            run
        };
        match run.await {
            Ok(()) => program.world.count("terms served"),
            Err(Error::NotHeld) => program.world.count("terms cut short"),
            Err(Error::Timeout { .. } | Error::Cancelled) => program.world.count("given up"),
            Err(error) => program
                .world
                .broken(format!("an election failed: {error:?}")),
        }
    }
    program.rests();
    std::future::pending::<()>().await;
    drop(client);
}

fn start(program: &Program, client: &Client) -> LeaderLatch {
    #[cfg(zk_planted)]
    if let Some(planted) = program.world.planted {
        return LeaderLatch::planted(client, "/election", planted);
    }
    LeaderLatch::start(client, "/election", program.name.clone())
}

/// Leads whenever it can, and says so while it does.
async fn latch(mut program: Program, client: Client, book: Book) {
    while !program.world.is_over() {
        let latch = start(&program, &client);
        let term = program.rng.duration(Duration::ZERO, Duration::from_secs(8));
        let end = program.machine.now() + term;
        while program.machine.now() < end && !program.world.is_over() {
            if let Some(token) = latch.token() {
                program.world.count("a latch leads");
                book.seen(&program.name, token, program.machine.sim_now());
            }
            let mut changed = pin!(latch.changed());
            let pause = program
                .rng
                .duration(Duration::from_millis(5), Duration::from_millis(80));
            let mut pause = pin!(program.machine.sleep(pause));
            std::future::poll_fn(|cx| {
                if changed.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(());
                }
                pause.as_mut().poll(cx)
            })
            .await;
        }
        if program.rng.chance(0.5) {
            if let Err(error) = latch.close().await {
                program
                    .world
                    .broken(format!("closing a latch failed: {error:?}"));
            }
        }
    }
    program.rests();
    std::future::pending::<()>().await;
    drop(client);
}

/// Pairs of locks, in any order: nobody waits for ever.
#[derive(Default)]
pub(crate) struct Pairs {
    book: Book,
}

impl Scenario for Pairs {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.book.clone();
            universe.boot(machine, move |mut program| {
                let book = book.clone();
                async move {
                    let client = program.client();
                    let paths = ["/m/a", "/m/b", "/m/c"];
                    while !program.world.is_over() {
                        program.pause(Duration::from_millis(300)).await;
                        let pick = program.rng.below(3);
                        // All share the middle one, named first or last.
                        let pair = match pick {
                            0 => [paths[0], paths[1]],
                            1 => [paths[1], paths[0]],
                            _ => [paths[2], paths[1]],
                        };
                        let lock = planted!(program, MultiLock::new(&client, pair));
                        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(6));
                        let taking = if program.rng.chance(0.3) {
                            lock.acquire().timeout(limit)
                        } else {
                            lock.acquire()
                        };
                        let guard = match taking.await {
                            Ok(guard) => guard,
                            Err(Error::Timeout { .. }) => continue,
                            Err(error) => {
                                program.world.broken(format!("pairs failed: {error:?}"));
                                return;
                            }
                        };
                        program.world.count("pairs held");
                        let middle = guard.tokens()[usize::from(pick != 2)];
                        let end = program.machine.now() + limit / 4;
                        while guard.is_held() && program.machine.now() < end {
                            book.seen(&program.name, middle, program.machine.sim_now());
                            program.pause(Duration::from_millis(20)).await;
                        }
                        if program.rng.chance(0.5) {
                            guard.release().await.ok();
                        }
                    }
                    program.rests();
                    std::future::pending::<()>().await;
                    drop(client);
                }
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        self.book.check(universe)?;
        ["/m/a", "/m/b", "/m/c"]
            .iter()
            .try_for_each(|path| nothing_left(universe, path))
    }
}
