//! Contenders for one lock, and a store with a fence.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use zk::recipes::{Lock, LockGuard};
use zk::{Client, Zxid};

use crate::faults::close_clean;
use crate::support::wait_until;

/// How often a holder writes to the store, and how long it waits in between.
const WRITES: (u64, Duration) = (5, Duration::from_millis(2));
/// So too, once in [`LONG_ONE`] grants: long enough for a fault to come between.
const MANY: (u64, Duration) = (200, Duration::from_millis(25));
const LONG_ONE: u64 = 16;

/// Clients that take one lock in turn, for as long as it lasts.
pub(super) struct Contest {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    counts: Counts,
    /// The guard of each contender that has one.
    guards: Mutex<Vec<Option<LockGuard>>>,
    /// The greatest token that the store has seen.
    fence: Mutex<Option<Zxid>>,
}

/// How often what happened.
#[derive(Default)]
pub(super) struct Counts {
    grants: AtomicU64,
    /// The guard was lost before it was released.
    losses: AtomicU64,
    /// Nothing was granted: given up, or refused.
    failures: AtomicU64,
    written: AtomicU64,
    /// Writes that the store refused: of holders that knew, or were to learn, that they are none.
    fenced: AtomicU64,
}

impl Contest {
    pub(super) fn start(clients: Vec<Client>) -> Self {
        let shared = Arc::<Shared>::default();
        let none = clients.iter().map(|_| None);
        *shared.guards.lock().unwrap() = none.collect();
        let contend = |(number, client): (usize, Client)| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.over.load(Ordering::SeqCst) {
                    shared.turn(number, &client);
                }
                wait_until("the contender to be connected", || client.connected());
                close_clean(&client);
            })
        };
        let threads = clients.into_iter().enumerate().map(contend).collect();
        Self { shared, threads }
    }

    /// Ends it; everybody must have been sound and served.
    pub(super) fn end(self) -> Counts {
        self.shared.over.store(true, Ordering::SeqCst);
        self.threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let shared = Arc::into_inner(self.shared).expect("all have ended");
        assert!(
            shared.counts.grants.load(Ordering::SeqCst) > 10,
            "{}",
            shared.counts
        );
        shared.counts
    }
}

impl Shared {
    /// Takes the lock, writes to the store while it is held, and releases it.
    fn turn(&self, number: usize, client: &Client) {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::SeqCst);
        let lock = Lock::new(client, "/contest");
        let Ok(guard) = lock.acquire().wait_timeout(Duration::from_secs(10)) else {
            count(&self.counts.failures);
            thread::sleep(Duration::from_millis(50));
            return;
        };
        let nth = count(&self.counts.grants);
        let (writes, pause) = if nth % LONG_ONE == 0 { MANY } else { WRITES };
        let token = guard.token();
        self.keep(number, guard);
        for _ in 0..writes {
            if !self.believes(number) {
                break;
            }
            if self.write(token) {
                count(&self.counts.written);
            } else {
                count(&self.counts.fenced);
                assert!(!self.believes(number), "somebody else holds it, too");
            }
            thread::sleep(pause);
        }
        let guard = self.guards.lock().unwrap()[number]
            .take()
            .expect("it was kept");
        if guard.is_held() {
            let _ = guard.release().wait_timeout(Duration::from_secs(10));
        } else {
            count(&self.counts.losses);
        }
    }

    /// Keeps the guard where all can see it, and looks who else holds the lock.
    fn keep(&self, number: usize, guard: LockGuard) {
        let mut guards = self.guards.lock().unwrap();
        guards[number] = Some(guard);
        let held = guards.iter().flatten().filter(|guard| guard.is_held());
        let held: Vec<_> = held.map(|guard| (guard.session(), guard.token())).collect();
        assert!(held.len() <= 1, "held more than once: {held:?}");
    }

    fn believes(&self, number: usize) -> bool {
        let guards = self.guards.lock().unwrap();
        guards[number].as_ref().is_some_and(|guard| guard.is_held())
    }

    /// A write to the store, which refuses what comes with a smaller token than it has seen.
    fn write(&self, token: Zxid) -> bool {
        let mut fence = self.fence.lock().unwrap();
        let fits = fence.is_none_or(|greatest| token >= greatest);
        if fits {
            *fence = Some(token);
        }
        fits
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        write!(
            f,
            "the lock was granted {} times, lost {} times, not granted {} times; the store took {} \
             writes and refused {}",
            read(&self.grants),
            read(&self.losses),
            read(&self.failures),
            read(&self.written),
            read(&self.fenced),
        )
    }
}
