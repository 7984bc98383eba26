//! Writes of all sorts, and whether what was said of each is true.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zk::{AsyncResult, Client, Error, Outcome};

use crate::faults::surely;
use crate::support::wait_until;

/// The first number of those that are written beside the others.
const BESIDE: u64 = 1 << 32;
const WINDOW: usize = 100;
/// What is written between two short pauses, so that servers are not filled with nodes.
const BATCH: u64 = 50;
const BATCH_PAUSE: Duration = Duration::from_millis(10);
/// Before a task tries again what has failed.
const PAUSE: Duration = Duration::from_millis(10);
/// Nodes are spread over so many parents, whose lists of children stay short.
const PARENTS: u64 = 64;
/// Background tasks.
const TASKS: usize = 3;

/// What was said of a write.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Fate {
    Acknowledged,
    NotApplied,
    Unknown,
}

fn fate<T>(result: &Result<T, Error>) -> Fate {
    match result {
        Ok(_) => Fate::Acknowledged,
        Err(error) => match error.outcome() {
            Some(Outcome::NotApplied) => Fate::NotApplied,
            Some(Outcome::Applied) => Fate::Acknowledged,
            Some(Outcome::Unknown) => Fate::Unknown,
            None => panic!("no outcome: {error}"),
        },
    }
}

/// Writes that go on until they are told to stop.
pub(crate) struct Load {
    client: Client,
    shared: Arc<Shared>,
    writer: std::thread::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    acknowledged: AtomicU64,
    /// Tasks and callbacks that have not ended.
    open: AtomicU64,
    /// Creates beside the others.
    beside: AtomicU64,
    creates: Mutex<BTreeMap<u64, Fate>>,
    /// Sets of each task's node, by what was said of them.
    sets: Mutex<BTreeMap<(usize, Fate), u64>>,
}

impl Load {
    /// Creates below `/writes`, some waited for and some with callbacks, and sets by tasks in the
    /// background.
    pub(crate) fn start(client: &Client) -> Self {
        Self::paced(client, BATCH_PAUSE)
    }

    /// The same with a pause of so long after each [`BATCH`].
    pub(crate) fn paced(client: &Client, pause: Duration) -> Self {
        for parent in 0..PARENTS {
            let path = parent_of(parent);
            surely(client, client.ensure_path(&path)).wait().unwrap();
        }
        let shared = Arc::<Shared>::default();
        for task in 0..TASKS {
            let path = format!("/task-{task}");
            surely(client, client.ensure_path(&path)).wait().unwrap();
            shared.open.fetch_add(1, Ordering::SeqCst);
            client.spawn(set(client.clone(), Arc::clone(&shared), task, path));
        }
        let (writing, theirs) = (Arc::clone(&shared), client.clone());
        let writer = std::thread::spawn(move || create(&theirs, &writing, pause));
        Self {
            client: client.clone(),
            shared,
            writer,
        }
    }

    /// Sends one more create, whatever the others wait for.
    pub(super) fn one_more(&self) {
        let number = BESIDE + self.shared.beside.fetch_add(1, Ordering::SeqCst);
        let path = format!("{}/{number}", parent_of(number));
        let result = self.client.create(&path, b"x").send();
        self.shared.when_done(number, result);
    }

    /// Waits until so many more writes are acknowledged.
    pub(crate) fn goes_on(&self, more: u64) {
        let so_far = self.shared.acknowledged.load(Ordering::SeqCst);
        wait_until("writes to succeed", || {
            self.shared.acknowledged.load(Ordering::SeqCst) >= so_far + more
        });
    }

    /// Ends it, and looks whether what was said is so. Returns how often what was said.
    pub(crate) fn check(self, observer: &Client) -> BTreeMap<Fate, usize> {
        wait_until("each task to have done something", || {
            let sets = self.shared.sets.lock().unwrap();
            (0..TASKS).all(|task| sets.contains_key(&(task, Fate::Acknowledged)))
        });
        self.shared.over.store(true, Ordering::SeqCst);
        self.writer.join().unwrap();
        wait_until("tasks and callbacks to end", || {
            self.shared.open.load(Ordering::SeqCst) == 0
        });
        let mut there = BTreeSet::new();
        for parent in 0..PARENTS {
            let path = parent_of(parent);
            let children = surely(observer, observer.get_children(&path).linearizable());
            let children = children.wait().unwrap();
            there.extend(children.iter().filter_map(|name| name.parse::<u64>().ok()));
        }
        let mut counts = BTreeMap::new();
        let creates = self.shared.creates.lock().unwrap();
        for (number, fate) in &*creates {
            *counts.entry(*fate).or_insert(0) += 1;
            match fate {
                Fate::Acknowledged => assert!(there.contains(number), "{number} is lost"),
                Fate::NotApplied => assert!(!there.contains(number), "{number} was applied"),
                Fate::Unknown => {}
            }
        }
        let known = |number: &u64| creates.contains_key(number);
        assert!(there.iter().all(known), "each has its result");
        let sets = self.shared.sets.lock().unwrap();
        for task in 0..TASKS {
            let path = format!("/task-{task}");
            let version = surely(observer, observer.get(&path))
                .wait()
                .unwrap()
                .1
                .version;
            let version = u64::try_from(version).unwrap();
            let of = |fate| sets.get(&(task, fate)).copied().unwrap_or(0);
            let sure = of(Fate::Acknowledged);
            let most = sure + of(Fate::Unknown);
            assert!(
                (sure..=most).contains(&version),
                "{sure} to {most} sets, but version {version}"
            );
        }
        eprintln!("creates: {counts:?}, sets: {sets:?}");
        counts
    }
}

fn parent_of(number: u64) -> String {
    format!("/writes/{}", number % PARENTS)
}

/// Keeps a window of creates in flight; each name is used once.
fn create(client: &Client, shared: &Arc<Shared>, pause: Duration) {
    let mut window: VecDeque<(u64, AsyncResult<String>)> = VecDeque::new();
    let over = || shared.over.load(Ordering::SeqCst);
    let mut next = 0;
    while !over() || !window.is_empty() {
        while window.len() < WINDOW && !over() {
            let path = format!("{}/{next}", parent_of(next));
            let result = client.create(&path, b"x").send();
            if next % 10 == 0 {
                shared.when_done(next, result);
            } else {
                window.push_back((next, result));
            }
            next += 1;
            if next % BATCH == 0 {
                std::thread::sleep(pause);
            }
        }
        if let Some((number, result)) = window.pop_front() {
            let result = result.wait();
            if matches!(result, Err(Error::Closed { .. })) {
                shared.over.store(true, Ordering::SeqCst);
            }
            shared.created(number, fate(&result));
        }
    }
}

/// One set after the other.
async fn set(client: Client, shared: Arc<Shared>, task: usize, path: String) {
    // Also if the task is dropped.
    struct Open(Arc<Shared>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let open = Open(shared);
    let mut under_way = Underway(&open.0, task, true);
    while !open.0.over.load(Ordering::SeqCst) {
        under_way.2 = true;
        let fate = fate(&client.set(&path, b"more").await);
        under_way.2 = false;
        open.0.set(task, fate);
        if fate != Fate::Acknowledged && client.sleep(PAUSE).await.is_err() {
            return;
        }
    }
}

/// A set that was dropped with its task may have been done.
struct Underway<'a>(&'a Shared, usize, bool);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if self.2 {
            self.0.set(self.1, Fate::Unknown);
        }
    }
}

impl Shared {
    fn when_done(self: &Arc<Self>, number: u64, result: AsyncResult<String>) {
        let shared = Arc::clone(self);
        shared.open.fetch_add(1, Ordering::SeqCst);
        result.on_complete(move |result| {
            shared.created(number, fate(&result));
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn created(&self, number: u64, fate: Fate) {
        let before = self.creates.lock().unwrap().insert(number, fate);
        assert_eq!(before, None, "{number} has one result");
        self.acknowledged
            .fetch_add(u64::from(fate == Fate::Acknowledged), Ordering::SeqCst);
    }

    fn set(&self, task: usize, fate: Fate) {
        *self.sets.lock().unwrap().entry((task, fate)).or_insert(0) += 1;
    }
}
