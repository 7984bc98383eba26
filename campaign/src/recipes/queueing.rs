//! Queues: no item twice, and none lost but as promised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{Client, Error, Outcome, SessionId};
use zk_recipes::locking_queue::Item;
use zk_recipes::{LockingQueue, Queue};
use zk_sim::Machine;
use zk_sim::check::{Effect, Txn};

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
    /// When which program has begun calls that may have taken an item without telling: in doubt,
    /// given up, or cut short by a crash.
    doubts: Arc<Mutex<BTreeMap<u64, Vec<Duration>>>>,
    /// Whose session which is.
    sessions: Arc<Mutex<BTreeMap<SessionId, u64>>>,
    lives: Arc<AtomicU64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    fn items(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        lock(&self.items)
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
    fn doubt(&self, life: &Life) {
        let mut doubts = lock(&self.doubts);
        doubts.entry(life.number).or_default().push(life.now());
        drop(doubts);
        self.meet(life);
    }

    /// It has told.
    fn told(&self, life: &Life) {
        lock(&self.doubts).entry(life.number).or_default().pop();
        self.meet(life);
    }

    /// Notes whose session it is.
    fn meet(&self, life: &Life) {
        if let Some((session, _)) = life.client.client_id() {
            lock(&self.sessions).insert(session, life.number);
        }
    }

    /// Every item was put once if at all; is done once if at all; is gone if it was done; and whoever
    /// has deleted it and not done it was in doubt.
    fn judge(&self, universe: &Universe, parent: &str) -> Result<(), String> {
        let log = Log::of(universe, parent)?;
        let mut lost: BTreeMap<u64, Vec<Duration>> = BTreeMap::new();
        for (item, known) in &*self.items() {
            let (made, gone) = log.items.get(item).copied().unwrap_or_default();
            let wrong = match known.put {
                Some(true) => made != 1,
                Some(false) => made != 0,
                None => made > 1,
            };
            if wrong {
                return Err(format!("{item} was put {made} times: {known:?}"));
            }
            if known.done > 1 {
                return Err(format!("{item} was done {} times", known.done));
            }
            match gone {
                None if known.done > 0 => return Err(format!("{item} was done, and is there")),
                Some((session, at)) if known.done == 0 => {
                    // A session that nobody has noted began and ended within one call.
                    if let Some(life) = lock(&self.sessions).get(&session) {
                        lost.entry(*life).or_default().push(at);
                    }
                }
                None | Some(_) => {}
            }
        }
        let doubts = lock(&self.doubts);
        for (life, mut lost) in lost {
            lost.sort_unstable();
            let doubts = doubts.get(&life).map_or(&[][..], |doubts| doubts);
            for (number, at) in lost.iter().enumerate() {
                let before = doubts.iter().filter(|begun| *begun <= at).count();
                if before <= number {
                    let why = format!("lost {}, in doubt {before} times", number + 1);
                    return Err(format!("up to {at:?} a program has {why}"));
                }
            }
        }
        Ok(())
    }
}

/// A program between two crashes.
struct Life {
    number: u64,
    client: Client,
    machine: Machine,
}

impl Life {
    fn new(program: &Program, client: &Client, book: &Book) -> Self {
        Self {
            number: book.lives.fetch_add(1, Ordering::Relaxed),
            client: client.clone(),
            machine: program.machine.clone(),
        }
    }

    fn now(&self) -> Duration {
        self.machine.sim_now()
    }
}

/// What servers know of items: how often each was put, and who has deleted it when.
#[derive(Default)]
struct Log {
    items: BTreeMap<u64, (u32, Option<(SessionId, Duration)>)>,
}

impl Log {
    fn of(universe: &Universe, parent: &str) -> Result<Self, String> {
        let mut log = Self::default();
        let mut nodes = BTreeMap::new();
        for entry in universe.servers.log().entries {
            let Txn::Change(effects) = entry.txn else {
                continue;
            };
            for effect in effects {
                match effect {
                    Effect::Create { path, data, .. } if is_below(&path, parent) => {
                        let text = String::from_utf8_lossy(&data).into_owned();
                        let item = text.parse().map_err(|_| format!("{text:?} was put"))?;
                        log.items.entry(item).or_default().0 += 1;
                        nodes.insert(path, item);
                    }
                    Effect::Delete { path } => {
                        if let Some(item) = nodes.remove(&path) {
                            let gone = Some((entry.session, entry.at));
                            log.items.entry(item).or_default().1 = gone;
                        }
                    }
                    Effect::Create { .. } | Effect::SetData { .. } | Effect::SetAcl { .. } | _ => {}
                }
            }
        }
        Ok(log)
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Whoever deletes an item deletes the claim on it with it, and that is its own.
fn check_claims(universe: &Universe) -> Result<(), String> {
    let (taken, entries) = (format!("{LOCKING}/taken"), format!("{LOCKING}/entries"));
    let mut claims: BTreeMap<String, SessionId> = BTreeMap::new();
    for entry in universe.servers.log().entries {
        let effects = match entry.txn {
            Txn::Change(effects) => effects,
            Txn::Close => {
                claims.retain(|_, owner| *owner != entry.session);
                continue;
            }
            Txn::Open | Txn::Refused(_) | _ => continue,
        };
        let mut own = Vec::new();
        for effect in effects {
            match effect {
                Effect::Create { path, owner, .. } if is_below(&path, &taken) => {
                    claims.insert(path, owner);
                }
                Effect::Delete { path } if is_below(&path, &taken) => {
                    if claims.remove(&path) == Some(entry.session) {
                        own.push(path);
                    }
                }
                Effect::Delete { path } if is_below(&path, &entries) => {
                    let claim = path.replacen(&entries, &taken, 1);
                    if !own.contains(&claim) {
                        return Err(format!("{path} was consumed without being held"));
                    }
                }
                Effect::Create { .. }
                | Effect::Delete { .. }
                | Effect::SetData { .. }
                | Effect::SetAcl { .. }
                | _ => {}
            }
        }
    }
    Ok(())
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
        self.0.judge(universe, PLAIN)
    }
}

async fn get_and_put(mut program: Program, book: Book) {
    let client = program.client();
    let queue = planted!(program, Queue::new(&client, PLAIN));
    let life = Life::new(&program, &client, &book);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(200)).await;
        if program.rng.chance(0.5) {
            let priority = [1, 100, 999][program.rng.below(3)];
            book.put(&mut program, |item| queue.put_with_priority(item, priority))
                .await;
            continue;
        }
        book.doubt(&life);
        let get = queue.get();
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        let got = if program.rng.chance(0.1) {
            get.timeout(limit).await
        } else {
            get.await
        };
        match got {
            Ok(item) => {
                book.told(&life);
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
        check_claims(universe)?;
        self.0.judge(universe, &format!("{LOCKING}/entries"))
    }
}

async fn claim_and_put(mut program: Program, book: Book) {
    let client = program.client();
    let queue = planted!(program, LockingQueue::new(&client, LOCKING));
    let life = Life::new(&program, &client, &book);
    while !program.world.is_over() {
        program.pause(Duration::from_millis(200)).await;
        if program.rng.chance(0.5) {
            book.put(&mut program, |item| queue.put(item)).await;
            continue;
        }
        let limit = program.rng.duration(Duration::ZERO, Duration::from_secs(4));
        match queue.get().timeout(limit).await {
            Ok(item) => work(&mut program, &book, &life, item).await,
            Err(Error::Timeout { .. }) => program.world.count("nothing to get"),
            Err(error) => program.world.broken(format!("a get failed: {error:?}")),
        }
    }
    rest(program, client).await;
}

/// Holds an item for a while, and consumes it or gives it back.
async fn work(program: &mut Program, book: &Book, life: &Life, item: Item) {
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
            book.doubt(life);
            match item.consume().await {
                Ok(()) => {
                    book.told(life);
                    program.world.count("consumed");
                    book.with(number, |known| known.done += 1);
                }
                Err(error) if error.outcome() == Some(Outcome::NotApplied) => book.told(life),
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
