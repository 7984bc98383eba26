//! A universe of the simulator for tests that block.
//!
//! A universe is one thread in which nobody may block, and its time is virtual. A test has threads
//! of its own, and waits on them. So the universe gets a thread too: it runs what can run there, and
//! sleeps until the next thing is due or somebody outside calls. While it sleeps, and only then,
//! virtual time flows: [`SPEED`] times as fast as real time does, but in small slices. So neither
//! what takes the universe long nor a machine with too much to do runs into the time-outs of the
//! tests, and who looks at the clock from outside sees what the universe sees.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use zk::{FourLetterWord, Handler, ServerAddr};
use zk_server::Options;
use zk_sim::{Latency, Pace, Sim, SimError};

use super::LIMIT;
use super::bridge::Bridge;
use super::relay::Relay;

/// How much faster virtual time is than real time.
const SPEED: u32 = 5;

/// How long it sleeps at most, in real time, before the clock is put forward.
const SLICE: Duration = Duration::from_millis(1);

/// What is due within this much virtual time is done at once: sleeping would take longer.
const SOON: Duration = Duration::from_micros(500);

/// Where the server listens.
const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2181);

/// A universe with one server, which runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Universe {
    door: Arc<Door>,
    home: ThreadId,
    thread: Mutex<Option<JoinHandle<Result<(), SimError>>>>,
    operator: Arc<dyn Handler>,
}

impl Universe {
    /// Begins one, from a seed that is made of the name.
    pub(crate) fn start(name: &str, options: Options) -> Arc<Self> {
        let seed = name.bytes().fold(0, |seed: u64, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        let door = Arc::new(Door::default());
        let (inside, (ready, begun)) = (Arc::clone(&door), mpsc::channel());
        let thread = thread::spawn(move || {
            let sim = Sim::new(seed);
            let quick = [Duration::from_micros(20), Duration::from_micros(100)];
            let network = sim.network();
            network.set_latency(Latency::uniform(quick[0], quick[1]));
            network.set_splits(0.05);
            let _server = sim.standalone(&SERVER.to_string(), options);
            // The other name of the same machine.
            Relay::start(&sim, &format!("localhost:{}", SERVER.port()), SERVER);
            let operator = sim.machine("operator").handler();
            drop(ready.send((thread::current().id(), operator)));
            inside.run(&sim)
        });
        let (home, operator) = begun.recv().expect("the universe has begun");
        Arc::new(Self {
            operator: Arc::new(Bridge::new(operator, home)),
            door,
            home,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where its server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SERVER
    }

    /// A handler for clients on a machine of their own.
    pub(crate) fn handler(&self) -> Arc<dyn Handler> {
        let handler = self.call(|sim, number| sim.machine(&format!("app{number}")).handler());
        Arc::new(Bridge::new(handler, self.home))
    }

    /// The server's answer to a four-letter word.
    pub(crate) fn word(&self, word: &str) -> String {
        let word = word.as_bytes().try_into().unwrap();
        let server = ServerAddr::new(&SERVER.ip().to_string(), SERVER.port());
        let word = FourLetterWord::new(word, server, None).unwrap();
        self.operator.four_letter(word, LIMIT).wait().unwrap()
    }

    /// An address on a machine of its own.
    pub(crate) fn new_address(number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        SocketAddr::from(([127, 1, high, low], 30_000 + number))
    }

    /// Calls `f` in the universe, with a number that no other call gets. When this returns, what
    /// could run after that has run.
    pub(crate) fn call<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Sim, u16) -> R + Send + 'static,
    ) -> R {
        let (give, given) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let work = Box::new(move |sim: &Sim, number| drop(give.send(f(sim, number))));
        self.door
            .enter(|inside| inside.orders.push(Order { work, done }));
        // It is no matter whether the universe has ended since.
        let _ = is_done.recv();
        given.recv().expect("the universe has not ended")
    }

    /// Ends it. What went wrong in it has to be heard of.
    fn end(&self) -> Result<(), SimError> {
        self.door.enter(|inside| inside.over = true);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match thread.map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Universe {
    fn drop(&mut self) {
        if thread::current().id() == self.home {
            return;
        }
        match self.end() {
            Err(error) if thread::panicking() => eprintln!("the universe has ended: {error}"),
            result => result.unwrap(),
        }
    }
}

/// The way into the universe from other threads.
#[derive(Default)]
struct Door {
    inside: Mutex<Inside>,
    bell: Condvar,
}

#[derive(Default)]
struct Inside {
    orders: Vec<Order>,
    carried_out: u16,
    /// Something can run.
    roused: bool,
    over: bool,
}

/// What is to be done in the universe, given it and a number.
type Work = Box<dyn FnOnce(&Sim, u16) + Send>;

struct Order {
    work: Work,
    done: Sender<()>,
}

impl Door {
    fn run(self: Arc<Self>, sim: &Sim) -> Result<(), SimError> {
        let _ends = Ends(&self);
        let waker = Waker::from(Arc::clone(&self));
        let mut done = Vec::new();
        sim.run_paced(|next| {
            // Nothing is left of what these have caused.
            for done in done.drain(..) {
                // Nobody waits any more if the test has failed.
                let _: Result<(), _> = Sender::send(&done, ());
            }
            self.pace(sim, &waker, next, &mut done)
        })
    }

    fn pace(
        &self,
        sim: &Sim,
        waker: &Waker,
        next: Option<Duration>,
        done: &mut Vec<Sender<()>>,
    ) -> Pace {
        let (began, start) = (sim.now(), Instant::now());
        let mut inside = self.lock();
        loop {
            if inside.over {
                return Pace::Stop;
            }
            let slept = start.elapsed();
            let now = began + slept.min(SLICE) * SPEED;
            if std::mem::take(&mut inside.roused) || slept >= SLICE {
                return Pace::Until(now);
            }
            if !inside.orders.is_empty() {
                let orders = std::mem::take(&mut inside.orders);
                let first = inside.carried_out;
                inside.carried_out += u16::try_from(orders.len()).expect("few orders");
                drop(inside);
                for (number, order) in (first..).zip(orders) {
                    (order.work)(sim, number);
                    done.push(order.done);
                }
                return Pace::Until(now);
            }
            let left = next.map(|next| next.saturating_sub(now));
            if let (Some(next), true) = (next, left.is_some_and(|left| left < SOON)) {
                return Pace::Until(next);
            }
            if !sim.wake_when_runnable(waker) {
                return Pace::Until(now);
            }
            let rest = left.map_or(SLICE, |left| left / SPEED);
            let waited = self.bell.wait_timeout(inside, rest.min(SLICE - slept));
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn enter(&self, f: impl FnOnce(&mut Inside)) {
        let mut inside = self.lock();
        if !inside.over {
            f(&mut inside);
        }
        drop(inside);
        self.bell.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody shall wait for a universe that has ended, also by a panic.
struct Ends<'a>(&'a Door);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.enter(|inside| inside.over = true);
        drop(std::mem::take(&mut self.0.lock().orders));
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

impl Wake for Door {
    fn wake(self: Arc<Self>) {
        self.enter(|inside| inside.roused = true);
    }
}
