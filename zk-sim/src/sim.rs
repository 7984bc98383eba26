//! [`Sim`]: a universe, and its clock's hand.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use zk_proto::ServerAddr;
use zk_server::{MemberId, Options};

use crate::SimError;
use crate::chaos::Finder;
use crate::clock::{EPOCH, EPOCH_OFFSET};
use crate::ensemble::EnsembleHandle;
use crate::executor::{Job, MainWaker, Queued};
use crate::machine::{Machine, Running};
use crate::network::Network;
use crate::rng::{Rng, nanos};
use crate::serve::ServerCell;
use crate::server::SimServer;
use crate::standalone::StandaloneServer;
use crate::trace::Kind;
use crate::world::World;

mod handle;
mod pace;
mod run;

pub use handle::ServerHandle;
pub use pace::Pace;
use run::Limit;

/// A universe of machines, network and clocks, in this thread and from one seed. See the
/// [crate].
///
/// Dropping it ends everything in it. If that happens in a panic, the seed is printed.
pub struct Sim {
    world: Arc<World>,
    limit: Duration,
    running: AtomicBool,
    /// Not `Send`: one thread is a universe.
    _here: PhantomData<*const ()>,
}

impl Sim {
    /// The universe of this seed. Nothing in it depends on anything else.
    pub fn new(seed: u64) -> Self {
        Self {
            world: World::new(seed),
            limit: Duration::from_secs(3600),
            running: AtomicBool::new(false),
            _here: PhantomData,
        }
    }

    /// Keeps the lines of the [`trace`](Self::trace) from now on. To be called first: connections
    /// that there are already are not read along.
    pub fn keep_trace(&self) {
        self.world.enter(|state| state.trace.keep_text());
    }

    /// How much virtual time a call of [`block_on`](Self::block_on) may take. Default one hour.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    // What there is. ---------------------------------------------------------------------------

    /// The machine of that name, made if there is none yet. Case does not count.
    pub fn machine(&self, name: &str) -> Machine {
        let host = self.world.enter(|state| state.host(name, self.world.base));
        Machine::of(&self.world, host)
    }

    /// [`machine`](Self::machine) for closures that outlive the borrow.
    pub(crate) fn finder(&self) -> Finder {
        let world = Arc::clone(&self.world);
        Arc::new(move |name| {
            let host = world.enter(|state| state.host(name, world.base));
            Machine::of(&world, host)
        })
    }

    /// Starts a server at an address such as `s1:2181`, on the machine of that name.
    ///
    /// # Panics
    /// If the address is not a name and a port.
    pub fn server<S: SimServer>(&self, address: &str, server: S) -> ServerHandle<S> {
        let address = server_address(address);
        let machine = self.machine(address.host());
        let server = Arc::new(Mutex::new(server));
        let host = machine.host();
        let rng = self.world.seeds.stream("messages", host as u64);
        let cell = self.world.enter(|state| {
            let clock = Arc::clone(&state.hosts[host].clock);
            let shared: Arc<Mutex<dyn SimServer>> = Arc::<Mutex<S>>::clone(&server);
            let place = (host, address.port());
            let cell = ServerCell::new(place, clock, shared, &self.world.queue, rng);
            state.hosts[host].servers.push(Arc::clone(&cell));
            cell
        });
        cell.schedule();
        ServerHandle {
            machine,
            hosts: address.to_string(),
            server,
        }
    }

    /// Starts a ZooKeeper server at an address such as `s1:2181`.
    ///
    /// # Panics
    /// If the address is not a name and a port.
    pub fn standalone(
        &self,
        address: &str,
        options: impl Into<Arc<Options>>,
    ) -> ServerHandle<StandaloneServer> {
        let mut seed = [0; 32];
        let mut rng = self.world.seeds.stream(&format!("server {address}"), 0);
        rng.fill(&mut seed);
        self.server(
            address,
            StandaloneServer::new(options.into(), seed, self.world.time()),
        )
    }

    /// Starts the members of an ensemble, each at an address such as `s1:2181` and on a machine of its
    /// own. Members send each other messages over the network, and hear nothing of each other during
    /// a partition.
    ///
    /// # Panics
    /// If an address is not a name and a port, or there are more than 255.
    pub fn ensemble(&self, addresses: &[&str], options: Options) -> EnsembleHandle {
        let mut seed = [0; 32];
        let mut rng = self
            .world
            .seeds
            .stream(&format!("ensemble {addresses:?}"), 0);
        rng.fill(&mut seed);
        let parsed: Vec<_> = addresses
            .iter()
            .map(|address| server_address(address))
            .collect();
        let machines: Vec<_> = parsed
            .iter()
            .map(|address| address.host().to_owned())
            .collect();
        let count = u8::try_from(addresses.len()).expect("an ensemble has 255 members at most");
        let mut config = String::new();
        for (member, address) in (1..=count).zip(&parsed) {
            let (host, port) = (address.host(), address.port());
            config += &format!("server.{member}={host}:2888:3888:participant;0.0.0.0:{port}\n");
        }
        let ensemble = zk_server::Ensemble::new((1..=count).map(MemberId), options, seed)
            .config(config + "version=0");
        let servers = EnsembleHandle::servers(ensemble, &machines, &self.world.time());
        let handles = addresses.iter().zip(servers);
        EnsembleHandle::new(
            handles
                .map(|(at, server)| self.server(at, server))
                .collect(),
        )
    }

    /// The network.
    pub fn network(&self) -> Network {
        Network::of(&self.world)
    }

    /// Random numbers for a test's own use, by name: draws of one name do not change those of
    /// another.
    pub fn rng(&self, name: &str) -> Rng {
        self.world.seeds.stream(&format!("test {name}"), 0)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// Virtual time since the beginning.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world.now())
    }

    /// The true time of day, which begins at 2023-11-14 22:13:20 UTC.
    pub fn wall_clock(&self) -> SystemTime {
        EPOCH + EPOCH_OFFSET + self.now()
    }

    /// What has happened, a line each, if [`keep_trace`](Self::keep_trace) was called.
    pub fn trace(&self) -> String {
        self.world.enter(|state| state.trace.text().to_owned())
    }

    /// A hash over everything that has happened, whether lines are kept or not. Equal for two runs
    /// of the same seed and program, in any process.
    pub fn trace_hash(&self) -> u128 {
        self.world.enter(|state| state.trace.digest())
    }

    /// How many things have happened.
    pub fn trace_len(&self) -> u64 {
        self.world.enter(|state| state.trace.lines())
    }

    /// Puts a line of the test's own into the trace.
    pub fn note(&self, line: &str) {
        self.world.enter(|state| state.note_line(Kind::Note, line));
    }

    // What happens. ----------------------------------------------------------------------------

    /// Starts a program on a machine. See [`Machine::spawn`].
    pub fn spawn<T: Send + 'static>(
        &self,
        machine: &Machine,
        program: impl Future<Output = T> + Send + 'static,
    ) -> Running<T> {
        machine.spawn(program)
    }

    /// Calls `f` after so much time, such as to cause a fault.
    pub fn after(&self, delay: Duration, f: impl FnOnce() + Send + 'static) {
        self.world.call_later(nanos(delay), f);
    }

    /// Runs the universe until `future` is done. It is on no machine, and so is neither paused nor
    /// killed.
    ///
    /// # Errors
    /// See [`SimError`].
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, SimError> {
        let mut future = pin!(future);
        let mut output = None;
        let until = self.world.now().saturating_add(nanos(self.limit));
        let waker = Arc::new(MainWaker {
            queued: Queued::default(),
            queue: Arc::clone(&self.world.queue),
        });
        waker.queued.set();
        self.world.queue.push(Job::Main);
        self.run(Limit::At(until), &mut || {
            waker.queued.clear();
            let task = Waker::from(Arc::clone(&waker));
            match future.as_mut().poll(&mut Context::from_waker(&task)) {
                Poll::Ready(value) => {
                    output = Some(value);
                    true
                }
                Poll::Pending => false,
            }
        })?;
        match output {
            Some(output) => Ok(output),
            None if self.world.now() < until => Err(SimError::Deadlock {
                seed: self.seed(),
                at: self.now(),
            }),
            None => Err(SimError::TimeLimit {
                seed: self.seed(),
                at: self.now(),
            }),
        }
    }

    /// Runs the universe for so long.
    ///
    /// # Errors
    /// As [`block_on`](Self::block_on); but if nothing can happen, time passes all the same.
    pub fn run_for(&self, time: Duration) -> Result<(), SimError> {
        let until = self.world.now().saturating_add(nanos(time));
        self.run(Limit::At(until), &mut || false)?;
        self.world.enter(|state| self.world.set_now(state, until));
        Ok(())
    }
}

fn server_address(address: &str) -> ServerAddr {
    let parts = address.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() => ServerAddr::new(host, port),
        _ => panic!("{address:?} is not the address of a server: write a name and a port, s1:2181"),
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed())
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, at) = (self.seed(), self.now());
            eprintln!("zk-sim: the universe of seed {seed} ended in a panic at {at:?}");
        }
        self.world.tear_down();
    }
}
