//! Minutes of load on a real ensemble of three while things happen to it, for each handler:
//! `cargo xtask campaign`.
//!
//! Under load are: pipelined creates and sets by background tasks, whose outcomes have to be true;
//! watches of five kinds by the ten thousand, each of which fires or ends with its session; and
//! contenders for a lock, of whom no two may hold it, as they and a store with a fence see it.
//! Meanwhile members are killed, paused and cut off from each other, all but one are killed, and
//! connections are cut, refused, and fall silent in one direction or the other. In the end nothing
//! is left in a client, nor a task or thread of its handler.
//!
//! | variable | | |
//! |---|---|---|
//! | `ZK_CAMPAIGN_MINUTES` | how long | 10, the default |
//! | `ZK_CAMPAIGN_WATCHES` | watches at a time | 100000, the default |
//! | `ZK_CAMPAIGN_SEED` | the order and length of the faults | from the clock |

mod contest;
mod ensemble;

use std::collections::BTreeMap;
use std::env;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use zk::BackoffPolicy;
use zk::threads::ThreadsHandler;
use zk_testkit::Version;

use crate::faults::close_clean;
use crate::faults::load;
use crate::faults::load::watches::Set;
use crate::faults::load::writes::{Fate, Load};
use crate::support::under::{Kind, Under};
use crate::support::{log, session_of, wait_until};
use contest::Contest;
use ensemble::Ensemble;

/// Kinds of watches in a [`Set`].
const KINDS: usize = 5;
/// Of the writer and the contenders: shorter than some faults.
const SHORT: Duration = Duration::from_secs(5);
/// Of the watcher: longer than most faults, so that watches are restored rather than ended.
const LONG: Duration = Duration::from_secs(30);
/// How long faults go on before all watches are looked at.
const ROUND: Duration = Duration::from_secs(60);
/// After each batch of creates: some hundred a second are enough, and nodes fill the servers.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it may take to delete all nodes of a round.
const TIDY: Duration = Duration::from_secs(300);

fn variable<T: FromStr>(name: &str, default: T) -> T {
    match env::var(name) {
        Err(_) => default,
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is {text}")),
    }
}

fn campaign(kind: Kind) {
    log::start();
    let minutes: f64 = variable("ZK_CAMPAIGN_MINUTES", 10.0);
    let watches: usize = variable("ZK_CAMPAIGN_WATCHES", 100_000);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed: u64 = variable("ZK_CAMPAIGN_SEED", clock.as_secs());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);

    let (ensemble, under) = (Ensemble::start(Version::V3_9), Under::start(kind));
    eprintln!("{kind:?}: ZooKeeper {}, seed {seed}", ensemble.release());
    let threads = Arc::new(ThreadsHandler::new());
    let observer = load::connect(&ensemble.direct(), LONG, threads);
    let hosts = ensemble.by_proxies();
    let client = |timeout| load::connect(&hosts, timeout, under.handler());
    let (writer, watcher) = (client(SHORT), client(LONG));
    let contest = Contest::start((0..4).map(|_| client(SHORT)).collect());

    let began = Instant::now();
    let writes = Load::paced(&writer, PAUSE);
    let mut tally = Tally::default();
    while began.elapsed().as_secs_f64() < minutes * 60.0 {
        let root = format!("/round-{}", tally.rounds);
        let set = Set::new(&watcher, &observer, &root, watches / KINDS);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let churn = scope.spawn(|| set.churn(&observer, &over));
            let round = Instant::now();
            while round.elapsed() < ROUND {
                let fault = ensemble.inflict(&mut rng);
                *tally.faults.entry(fault).or_default() += 1;
                let healed = Instant::now();
                wait_until("the clients to be connected", || {
                    [&writer, &watcher].iter().all(|client| client.connected())
                });
                writes.goes_on(100);
                tally.slowest = tally.slowest.max(healed.elapsed());
            }
            over.store(true, Ordering::SeqCst);
            tally.churned += churn.join().unwrap();
        });
        wait_until("the observer to be connected", || observer.connected());
        tally.ended += set.check(&watcher, &observer);
        tally.rounds += 1;
        // An election may still come of the last fault.
        let tidied = observer.retry(&BackoffPolicy::new(), observer.delete(&root).recursive());
        tidied.timeout(TIDY).send().wait().unwrap();
    }
    let counts = writes.check(&observer);
    let contested = contest.end();

    tally.print(kind, &counts, watches, began.elapsed());
    eprintln!("{kind:?}: {contested}");
    for client in [&writer, &watcher] {
        eprintln!(
            "{kind:?}: {:?} {:?}",
            session_of(client),
            client.stats().session
        );
    }
    assert!(counts.contains_key(&Fate::Unknown), "nothing was in flight");
    for client in [&writer, &watcher, &observer] {
        close_clean(client);
    }
    drop((writer, watcher));
    under.assert_nothing_left();
    under.end();
}

/// What has happened.
#[derive(Default)]
struct Tally {
    rounds: usize,
    faults: BTreeMap<&'static str, usize>,
    /// Changes that were carried out between faults.
    churned: usize,
    /// Watches that ended with their session.
    ended: usize,
    /// The longest time from the end of a fault until writes went on.
    slowest: Duration,
}

impl Tally {
    fn print(&self, kind: Kind, counts: &BTreeMap<Fate, usize>, watches: usize, took: Duration) {
        let Self {
            rounds,
            faults,
            churned,
            ended,
            slowest,
        } = self;
        eprintln!("{kind:?}: {took:.0?}, faults {faults:?}");
        eprintln!("{kind:?}: creates {counts:?}, going on {slowest:.1?} after a fault or sooner");
        eprintln!(
            "{kind:?}: {rounds} times {watches} watches, {ended} of them ended with a session; \
             {churned} changes amid faults"
        );
    }
}

macro_rules! campaigns {
    ($($test:ident: $kind:ident),* $(,)?) => {$(
        #[test]
        #[ignore = "by hand: takes minutes; cargo xtask campaign"]
        fn $test() {
            campaign(Kind::$kind);
        }
    )*};
}

campaigns! {
    threads: Threads,
    tokio_current_thread: TokioCurrentThread,
    tokio_multi_thread: TokioMultiThread,
    smol_thread: SmolThread,
    smol_executor: SmolExecutor,
}
