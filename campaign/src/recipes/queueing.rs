//! Queues: no item twice, and none lost but as promised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Client, Error, Outcome};
use zk_recipes::locking_queue::Item;
use zk_recipes::{LockingQueue, Queue};

use crate::recipes::{Program, Scenario, Universe};

const PLAIN: &str = "/plain";
const LOCKING: &str = "/locking";

/// What is known of an item.
#[derive(Clone, Debug, Default)]
struct Known {
    /// It was put for certain; or certainly not.
    put: Option<bool>,
    /// How often it was given out, or consumed.
    done: u32,
    /// Who held it and was certain of that, from when until when.
    held: Vec<(Duration, Duration)>,
}

#[derive(Clone, Default)]
struct Book {
    items: Arc<Mutex<BTreeMap<u64, Known>>>,
    next: Arc<AtomicU64>,
    /// Calls that may have taken an item without telling: in doubt, given up, or cut short by a
    /// crash.
    doubts: Arc<AtomicU64>,
}

impl Book {
    fn items(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, item: u64, change: impl FnOnce(&mut Known)) {
        change(self.items().entry(item).or_default());
    }

    /// Puts an item that nobody else puts.
    async fn put<T: Send + 'static>(
        &self,
        program: &mut Program,
        put: impl FnOnce(&str) -> zk_recipes::Pending<T>,
    ) {
        let item = self.next.fetch_add(1, Ordering::Relaxed);
        self.with(item, |known| known.put = None);
        let result = put(&item.to_string()).await;
        match result {
            Ok(_) => {
                program.world.count("put");
                self.with(item, |known| known.put = Some(true));
            }
            Err(error) if error.outcome() == Some(Outcome::NotApplied) => {
                self.with(item, |known| known.put = Some(false));
            }
            Err(_) => program.world.count("put in doubt"),
        }
    }

    /// A call that may take an item without telling.
    fn doubt(&self) -> u64 {
        self.doubts.fetch_add(1, Ordering::Relaxed)
    }

    /// It has told.
    fn told(&self) {
        self.doubts.fetch_sub(1, Ordering::Relaxed);
    }

    /// Nothing is done twice, and what was put and is neither done nor there was lost by a doubt.
    fn judge(&self, left: usize) -> Result<(), String> {
        let items = self.items();
        let mut missing: u64 = 0;
        for (item, known) in &*items {
            if known.done > 1 {
                return Err(format!("{item} was done {} times", known.done));
            }
            if known.put == Some(false) && known.done > 0 {
                return Err(format!("{item} was refused, and done"));
            }
            missing += u64::from(known.put == Some(true) && known.done == 0);
        }
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        let doubts = self.doubts.load(Ordering::Relaxed);
        if missing > left + doubts {
            return Err(format!(
                "{missing} are missing, {left} are left, {doubts} doubts"
            ));
        }
        Ok(())
    }
}

/// Every machine puts and gets.
#[derive(Default)]
pub(crate) struct Queues(Book);

impl Scenario for Queues {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.0.clone();
            universe.boot_several(machine, 2, move |program| {
                get_and_put(program, book.clone())
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        self.0.judge(universe.nodes_below(PLAIN).len())
    }
}

async fn get_and_put(mut program: Program, book: Book) {
    let client = program.client();
    let queue = Queue::new(&client, PLAIN);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(200)).await;
        if program.rng.chance(0.5) {
            let priority = [1, 100, 999][program.rng.below(3)];
            book.put(&mut program, |item| queue.put_with_priority(item, priority))
                .await;
            continue;
        }
        book.doubt();
        let get = queue.get();
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        let got = if program.rng.chance(0.1) {
            get.timeout(limit).await
        } else {
            get.await
        };
        match got {
            Ok(item) => {
                book.told();
                if let Some(item) = item {
                    program.world.count("taken");
                    done(&program, &book, &item);
                }
            }
            Err(_) => program.world.count("in doubt"),
        }
    }
    rest(program, client).await;
}

/// Every machine puts, claims, and consumes or gives back.
#[derive(Default)]
pub(crate) struct LockingQueues(Book);

impl Scenario for LockingQueues {
    fn start(&mut self, universe: &Universe) {
        for machine in &universe.machines {
            let book = self.0.clone();
            universe.boot_several(machine, 2, move |program| {
                claim_and_put(program, book.clone())
            });
        }
    }

    fn judge(&self, universe: &Universe) -> Result<(), String> {
        let claims = universe.nodes_below(&format!("{LOCKING}/taken"));
        if !claims.is_empty() {
            return Err(format!("claims are left behind: {claims:?}"));
        }
        for (item, known) in &*self.0.items() {
            let mut held = known.held.clone();
            held.sort_unstable();
            let twice = held
                .windows(2)
                .any(|two| two[1].0 < two[0].1 && two[1].0 < two[1].1);
            // Whose session is ended by others hears of it by the event only.
            let certain = !universe.world.beyond && !universe.world.rough;
            if twice && certain {
                return Err(format!("{item} was held by two at once: {held:?}"));
            }
        }
        self.0
            .judge(universe.nodes_below(&format!("{LOCKING}/entries")).len())
    }
}

async fn claim_and_put(mut program: Program, book: Book) {
    let client = program.client();
    let queue = LockingQueue::new(&client, LOCKING);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(200)).await;
        if program.rng.chance(0.5) {
            book.put(&mut program, |item| queue.put(item)).await;
            continue;
        }
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        match queue.get().timeout(limit).await {
            Ok(item) => work(&mut program, &book, item).await,
            Err(Error::Timeout { .. }) => program.world.count("nothing to get"),
            Err(error) => program.world.broken(format!("a get failed: {error:?}")),
        }
    }
    rest(program, client).await;
}

/// Holds an item for a while, and consumes it or gives it back.
async fn work(program: &mut Program, book: &Book, item: Item) {
    program.world.count("claimed");
    let Some(number) = number(program, item.data()) else {
        return;
    };
    let from = program.machine.sim_now();
    for _ in 0..program.rng.below(20) {
        program.pause(Duration::from_millis(100)).await;
        let now = program.machine.sim_now();
        if !item.is_held() {
            program.world.count("lost");
            break;
        }
        book.with(number, |known| match known.held.last_mut() {
            Some(held) if held.0 == from => held.1 = now,
            _ => known.held.push((from, now)),
        });
    }
    match program.rng.below(4) {
        0 => drop(item),
        1 => match item.release().await {
            Ok(()) | Err(Error::NotHeld) => {}
            Err(error) => program.world.broken(format!("a release failed: {error:?}")),
        },
        _ => {
            book.doubt();
            match item.consume().await {
                Ok(()) => {
                    book.told();
                    program.world.count("consumed");
                    book.with(number, |known| known.done += 1);
                }
                Err(error) if error.outcome() == Some(Outcome::NotApplied) => book.told(),
                Err(_) => program.world.count("in doubt"),
            }
        }
    }
}

fn done(program: &Program, book: &Book, item: &[u8]) {
    if let Some(number) = number(program, item) {
        book.with(number, |known| known.done += 1);
    }
}

fn number(program: &Program, item: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(item)
        .ok()
        .and_then(|text| text.parse().ok());
    if number.is_none() {
        program.world.broken(format!("nobody has put {item:?}"));
    }
    number
}

async fn rest(program: Program, client: Client) {
    program.rests();
    // The client stays open until everything is judged.
    std::future::pending::<()>().await;
    drop(client);
}
