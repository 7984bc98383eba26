//! Recipes under all faults: a scenario each, which starts programs and judges what they did.
//!
//! A scenario is made anew for every seed. Its programs run on machines that crash, are paused, cut
//! off, and drift; they know of none of that. What they see they write down, in true time. When the
//! faults are over, everybody must come to rest; then the scenario judges.
//!
//! Clocks drift within the margin that clients allow for, or, in some universes, far beyond it: then
//! no deadline can be relied on, and what must hold is what tokens and transactions promise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zk_client::{BackoffPolicy, Client};
use zk_sim::check::Txn;
use zk_sim::{Cut, FaultKind, FaultPlan, Machine, PartitionId, Rng, Sim};

use crate::run::{Options, Outcome};
use crate::servers::Servers;
use crate::setup::Setup;

/// Builds a recipe with the fault that is to be planted.
macro_rules! planted {
    ($program:expr, $recipe:expr) => {{
        let recipe = $recipe;
        #[cfg(zk_planted)]
        let recipe = match $program.world.planted {
            Some(planted) => recipe.planted(planted),
            None => recipe,
        };
        recipe
    }};
}

mod cache;
mod contend;
mod counting;
mod gate;
mod leasing;
mod lock;
mod meeting;
mod partition;
mod party;
mod queueing;
mod shared;
mod state;

/// How many millionths clocks are off at most, where they do not run wild.
const DRIFT: i32 = 2_000;

/// How long after the last fault everybody must have come to rest.
const REST: Duration = Duration::from_secs(240);

/// Whatever programs ask of the universe afterwards is done within this time.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// A recipe that campaigns run.
#[derive(Clone, Copy)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// What is known to go wrong, rarely, and is yet to be mended: it runs when asked for by name.
    pub open: Option<&'static str>,
    make: fn() -> Box<dyn Scenario>,
}

/// All of them.
pub const RECIPES: &[Recipe] = &[
    Recipe {
        name: "cache",
        open: None,
        make: || Box::new(cache::Caches::default()),
    },
    Recipe {
        name: "lock",
        open: None,
        make: || Box::new(lock::Locks::default()),
    },
    Recipe {
        name: "rwlock",
        open: None,
        make: || Box::new(shared::ReadersAndWriters::default()),
    },
    Recipe {
        name: "semaphore",
        open: None,
        make: || Box::new(shared::Semaphores::default()),
    },
    Recipe {
        name: "election",
        open: None,
        make: || Box::new(shared::Elections::default()),
    },
    Recipe {
        name: "multi-lock",
        open: None,
        make: || Box::new(shared::Pairs::default()),
    },
    Recipe {
        name: "counter",
        open: None,
        make: || Box::new(counting::Counters::default()),
    },
    Recipe {
        name: "queue",
        open: None,
        make: || Box::new(queueing::Queues::default()),
    },
    Recipe {
        name: "locking-queue",
        open: None,
        make: || Box::new(queueing::LockingQueues::default()),
    },
    Recipe {
        name: "double-barrier",
        open: None,
        make: || Box::new(meeting::Meetings::default()),
    },
    Recipe {
        name: "barrier",
        open: None,
        make: || Box::new(gate::Gates::default()),
    },
    Recipe {
        name: "lease",
        open: None,
        make: || Box::new(leasing::Leases::for_one()),
    },
    Recipe {
        name: "multi-lease",
        open: None,
        make: || Box::new(leasing::Leases::for_several()),
    },
    Recipe {
        name: "partition",
        open: None,
        make: || Box::new(partition::Partitions::default()),
    },
    Recipe {
        name: "party",
        open: None,
        make: || Box::new(party::Parties::default()),
    },
];

impl Recipe {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        RECIPES.iter().find(|recipe| recipe.name == name).copied()
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recipe").field(&self.name).finish()
    }
}

/// What programs do with a recipe, and what must be true of it.
pub(crate) trait Scenario {
    /// What goes wrong, if not all of this.
    fn faults(&self, all: FaultPlan, _world: &World) -> FaultPlan {
        all
    }

    /// Starts programs, on [machines](Universe::machines).
    fn start(&mut self, universe: &Universe);

    /// Judges when all have come to rest, with their clients still open.
    fn judge(&self, universe: &Universe) -> Result<(), String>;
}

/// The universe of a scenario.
pub(crate) struct Universe {
    pub(crate) sim: Sim,
    pub(crate) machines: Vec<Machine>,
    pub(crate) world: World,
    setup: Setup,
    servers: Servers,
}

/// What programs share.
#[derive(Clone)]
pub(crate) struct World {
    hosts: String,
    /// The session timeout.
    pub(crate) timeout: Duration,
    /// Clocks drift by more than clients allow for.
    pub(crate) beyond: bool,
    /// Somebody ends sessions, and deletes nodes.
    pub(crate) rough: bool,
    #[cfg(zk_planted)]
    pub(crate) planted: Option<zk_recipes::Planted>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Default)]
struct Notes {
    over: bool,
    /// The only machine that reaches servers, where all others are cut off.
    alone: Option<String>,
    busy: BTreeSet<String>,
    broken: Option<String>,
    counts: BTreeMap<&'static str, u64>,
}

/// A program: one life of it, between two crashes.
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) machine: Machine,
    pub(crate) world: World,
    pub(crate) rng: Rng,
}

impl World {
    /// The faults are over: nothing new is begun.
    pub(crate) fn is_over(&self) -> bool {
        self.notes().over
    }

    /// Soon only this machine reaches servers; `None`: all do.
    pub(crate) fn leave_alone(&self, machine: Option<&str>) {
        self.notes().alone = machine.map(str::to_owned);
    }

    pub(crate) fn count(&self, what: &'static str) {
        *self.notes().counts.entry(what).or_default() += 1;
    }

    /// A promise is broken.
    pub(crate) fn broken(&self, what: String) {
        self.notes().broken.get_or_insert(what);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Program {
    /// A client that begins to connect.
    pub(crate) fn client(&mut self) -> Client {
        let mut builder = Client::builder(&self.world.hosts);
        let pause = self
            .rng
            .duration(Duration::from_millis(100), Duration::from_millis(800));
        builder
            .session_timeout(self.world.timeout)
            .connection_retry(BackoffPolicy::new().max_delay(pause));
        let client = builder.start(self.machine.handler());
        client.expect("the options are valid and the machine is up")
    }

    /// The same program, with random numbers of its own.
    pub(crate) fn again(&mut self) -> Self {
        let _ = self.rng.unit();
        Self {
            name: self.name.clone(),
            machine: self.machine.clone(),
            world: self.world.clone(),
            rng: self.rng.clone(),
        }
    }

    /// It has nothing more to do, and waits for nothing.
    pub(crate) fn rests(&self) {
        self.world.notes().busy.remove(&self.name);
    }

    /// Lets time pass, between nothing and twice this.
    pub(crate) async fn pause(&mut self, mean: Duration) {
        let time = self.rng.duration(Duration::ZERO, mean * 2);
        self.machine.sleep(time).await;
    }
}

impl Universe {
    fn new(seed: u64, options: Options) -> (Self, FaultPlan, Duration) {
        let sim = Sim::new(seed);
        if options.trace {
            sim.keep_trace();
        }
        let mut setup = Setup::draw(&sim);
        setup.mutant = options.mutant;
        let mut rng = sim.rng("recipe");
        let servers = Servers::start(&sim, &setup);
        sim.network().set_latency(setup.latency);
        let names: Vec<String> = (1..=2 + rng.below(4)).map(|n| format!("app{n}")).collect();
        let machines: Vec<Machine> = names.iter().map(|name| sim.machine(name)).collect();
        let beyond = rng.chance(0.2);
        let world = World {
            hosts: servers.hosts(),
            timeout: rng.duration(setup.tick * 3, setup.tick * 10),
            beyond,
            rough: !beyond && rng.chance(0.25),
            #[cfg(zk_planted)]
            planted: options.mutant.and_then(|mutant| mutant.of_recipe()),
            notes: Arc::default(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let members: Vec<String> = (1..=setup.servers).map(|n| format!("s{n}")).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let plan = FaultPlan::new(&names, &members)
            .rate(FaultKind::ServerClockJump, if beyond { 1.0 } else { 0.0 })
            .max_drift(if beyond { 400_000 } else { DRIFT })
            .time(setup.time)
            .intensity([0.5, 1.0, 2.0, 4.0][rng.below(4)])
            .splits([0.0, 0.05, 0.3][rng.below(3)]);
        let time = setup.time;
        let universe = Self {
            sim,
            machines,
            world,
            servers,
            setup,
        };
        (universe, plan, time)
    }

    /// Starts a program on a machine, now and after each crash.
    pub(crate) fn boot<F>(
        &self,
        machine: &Machine,
        program: impl Fn(Program) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.boot_several(machine, 1, program);
    }

    /// Starts as many of a program.
    pub(crate) fn boot_several<F>(
        &self,
        machine: &Machine,
        count: usize,
        program: impl Fn(Program) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let rng = Mutex::new(self.sim.rng(machine.name()));
        let world = self.world.clone();
        machine.boot(move |machine| {
            for number in 0..count {
                let rng = {
                    let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
                    // Another life goes another way.
                    let _ = rng.unit();
                    rng.clone()
                };
                let name = format!("{} {number}", machine.name());
                world.notes().busy.insert(name.clone());
                let one = Program {
                    name,
                    machine: machine.clone(),
                    world: world.clone(),
                    rng,
                };
                drop(machine.spawn(program(one)));
            }
            async {}
        });
    }

    /// Lets so much time pass, and ends some session now and then, as an operator might.
    fn end_sessions(&self, time: Duration) -> Result<(), String> {
        let mut rng = self.sim.rng("operator");
        let end = self.sim.now() + time;
        while self.sim.now() < end {
            let pause = rng.pause(Duration::from_secs(3));
            self.run_for(pause.min(end.saturating_sub(self.sim.now())))?;
            let mut live = BTreeSet::new();
            for entry in self.servers.log().entries {
                match entry.txn {
                    Txn::Open => drop(live.insert(entry.session)),
                    Txn::Close => drop(live.remove(&entry.session)),
                    Txn::Change(_) | Txn::Refused(_) | _ => {}
                }
            }
            let pick = rng.below(live.len().max(1));
            if let Some(session) = live.into_iter().nth(pick) {
                self.servers.expire(session);
                self.world.count("sessions ended by an operator");
            }
        }
        Ok(())
    }

    fn run_for(&self, time: Duration) -> Result<(), String> {
        self.sim.run_for(time).map_err(|error| error.to_string())?;
        let notes = self.world.notes();
        notes.broken.as_ref().map_or(Ok(()), |broken| {
            Err(format!("a promise is broken: {broken}"))
        })
    }

    fn cut_off_all_but(&self, machine: &str) -> PartitionId {
        let network = self.sim.network();
        let names = self.machines.iter().map(Machine::name);
        let names: Vec<&str> = names.filter(|name| *name != machine).collect();
        for name in &names {
            network.cut_all(name, Cut::BeforeDelivery);
        }
        let hosts = self.world.hosts.split(',');
        let servers: Vec<&str> = hosts.filter_map(|host| host.split(':').next()).collect();
        network.partition(&names, &servers)
    }

    fn play(
        &self,
        scenario: &mut dyn Scenario,
        plan: &FaultPlan,
        time: Duration,
        options: Options,
    ) -> Result<(), String> {
        scenario.start(self);
        drop(self.sim.unleash(plan));
        if let Some(until) = options.until {
            return self.run_for(until);
        }
        if self.world.rough {
            self.end_sessions(time)?;
        } else {
            self.run_for(time)?;
        }
        self.world.notes().over = true;
        // Where servers take longer, guards end though their sessions live.
        self.servers.hurry(&self.setup, self.world.timeout / 6);
        let limit = self.sim.now() + REST;
        let mut partition = None;
        loop {
            self.run_for(TICK)?;
            let alone = self.world.notes().alone.clone();
            match (&alone, partition) {
                (Some(machine), None) => partition = Some(self.cut_off_all_but(machine)),
                (None, Some(before)) => {
                    self.sim.network().heal(before);
                    partition = None;
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
            let busy = match self.world.notes().busy.first() {
                Some(busy) => busy.clone(),
                None if !self.servers.are_led() => "servers without a leader".to_owned(),
                None => break,
            };
            if self.sim.now() > limit {
                return Err(format!("it does not come to rest: {busy}"));
            }
        }
        // What is cleaned up in the background is gone by now.
        self.run_for(self.world.timeout + Duration::from_secs(5))?;
        scenario.judge(self)
    }
}

/// Runs a seed of a recipe.
pub(crate) fn run(seed: u64, recipe: Recipe, options: Options) -> Outcome {
    let (universe, plan, time) = Universe::new(seed, options);
    let mut scenario = (recipe.make)();
    let plan = scenario.faults(plan, &universe.world);
    let result = universe.play(&mut *scenario, &plan, time, options);
    let mut outcome = match result {
        Ok(()) => Outcome::passed(seed),
        Err(failure) => Outcome::failed(seed, failure),
    };
    outcome.counts = universe.world.notes().counts.clone();
    *outcome
        .counts
        .entry("universes with wild clocks")
        .or_default() += u64::from(universe.world.beyond);
    outcome.events = universe.sim.trace_len();
    outcome.time = universe.sim.now();
    outcome.hash = universe.sim.trace_hash();
    outcome.trace = universe.sim.trace();
    outcome
}
