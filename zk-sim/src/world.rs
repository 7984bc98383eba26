//! Everything there is in a universe, behind one lock that is never held while code of a user, a
//! client or a server runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Waker;
use std::time::Instant;

use crate::alarm::Alarm;
use crate::clock::Clock;
use crate::driver::Driver;
use crate::executor::{CallbackQueue, Job, Place, Queue, TaskCell, lock};
use crate::machine::Boot;
use crate::net::{Net, Owner};
use crate::rng::{Rng, Seeds};
use crate::schedule::Schedule;
use crate::serve::{Message, ServerCell};
use crate::slab::Key;
use crate::trace::{Kind, Trace};

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) seeds: Seeds,
    pub(crate) base: Instant,
    pub(crate) queue: Arc<Queue>,
    pub(crate) alarm: Arc<Alarm>,
    /// In what order jobs run.
    pub(crate) order: Mutex<Rng>,
    now: Arc<AtomicU64>,
    state: Mutex<State>,
}

pub(crate) struct State {
    /// Virtual time in nanoseconds.
    pub(crate) now: u64,
    pub(crate) seeds: Seeds,
    pub(crate) schedule: Schedule<Event>,
    pub(crate) hosts: Vec<Host>,
    /// Machines by name, in lower case.
    pub(crate) names: BTreeMap<String, usize>,
    pub(crate) net: Net,
    pub(crate) trace: Trace,
    /// The numbers of clients in this universe, by those in the process.
    pub(crate) clients: BTreeMap<u64, u64>,
    pub(crate) tasks: u64,
    /// To be woken once the lock is released.
    pub(crate) wakes: Vec<Waker>,
    /// To be dropped once the lock is released.
    garbage: Vec<Owner>,
}

/// Something that is planned.
pub(crate) enum Event {
    Arrive {
        key: Key,
        direction: usize,
    },
    Flush {
        key: Key,
        direction: usize,
    },
    Driver(Weak<Driver>, u64),
    Server(Arc<ServerCell>, u64),
    Message {
        from: usize,
        to: Arc<ServerCell>,
        message: Message,
    },
    Wake(Waker),
    Call(Box<dyn FnOnce() + Send>),
}

/// A machine.
pub(crate) struct Host {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Arc<Mutex<Clock>>,
    /// Counts its starts.
    pub(crate) life: u64,
    /// Its programs run, unless it is paused.
    pub(crate) up: bool,
    /// It answers on the network, if only to refuse.
    pub(crate) powered: bool,
    pub(crate) paused: bool,
    /// What is to run when it is no longer paused.
    pub(crate) parked: Vec<Job>,
    pub(crate) tasks: BTreeMap<u64, Arc<TaskCell>>,
    pub(crate) drivers: BTreeMap<u64, Arc<Driver>>,
    pub(crate) callbacks: BTreeMap<u64, Arc<CallbackQueue>>,
    pub(crate) servers: Vec<Arc<ServerCell>>,
    pub(crate) boot: Option<Boot>,
    /// How often a client was given a seed.
    pub(crate) seeds_given: u64,
}

impl World {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one real moment; only differences to it are used"
    )]
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let seeds = Seeds::new(seed);
        let now = Arc::new(AtomicU64::new(0));
        Arc::new(Self {
            seed,
            base: Instant::now(),
            queue: Arc::default(),
            alarm: Arc::new(Alarm::new(Arc::clone(&now))),
            order: Mutex::new(seeds.stream("order", 0)),
            now,
            state: Mutex::new(State {
                now: 0,
                schedule: Schedule::default(),
                hosts: Vec::new(),
                names: BTreeMap::new(),
                net: Net::default(),
                trace: Trace::default(),
                clients: BTreeMap::new(),
                tasks: 0,
                wakes: Vec::new(),
                garbage: Vec::new(),
                seeds: seeds.clone(),
            }),
            seeds,
        })
    }

    /// The time, for those that must not hold the world.
    pub(crate) fn time(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.now)
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Runs `f` on the state. Then, with the lock released, wakes those who are to be woken.
    pub(crate) fn enter<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        let mut state = lock(&self.state);
        let output = f(&mut state);
        let wakes = std::mem::take(&mut state.wakes);
        let garbage = std::mem::take(&mut state.garbage);
        drop(state);
        drop(garbage);
        wakes.into_iter().for_each(Waker::wake);
        output
    }

    /// The state, for somebody who calls [`enter`](Self::enter) before anybody can wait for it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Lets time pass.
    pub(crate) fn set_now(&self, state: &mut State, now: u64) {
        state.now = now;
        self.now.store(now, Ordering::Relaxed);
    }

    /// Plans a call at a time from now.
    pub(crate) fn call_later(&self, delay: u64, call: impl FnOnce() + Send + 'static) {
        self.enter(|state| {
            let at = state.now.saturating_add(delay);
            state.schedule.plan(at, Event::Call(Box::new(call)));
        });
    }

    /// Ends everything. What is dropped may still use the world, but nothing comes of it.
    pub(crate) fn tear_down(&self) {
        let now = self.now();
        for _ in 0..2 {
            // What is dropped in the first round may have planned something.
            let (hosts, events, streams) = self.enter(|state| {
                let mut hosts = Vec::new();
                for host in &mut state.hosts {
                    host.up = false;
                    host.life += 1;
                    hosts.push((
                        std::mem::take(&mut host.tasks),
                        std::mem::take(&mut host.drivers),
                        std::mem::take(&mut host.callbacks),
                        std::mem::take(&mut host.servers),
                        std::mem::take(&mut host.parked),
                        host.boot.take(),
                        Arc::clone(&host.clock),
                    ));
                }
                (hosts, state.schedule.take(), state.net.streams.take())
            });
            drop((events, streams, self.queue.take()));
            for (tasks, drivers, callbacks, servers, parked, boot, clock) in hosts {
                tasks.values().for_each(|task| drop(task.take()));
                callbacks.values().for_each(|queue| drop(queue.take()));
                let now = lock(&clock).now(now);
                drivers.values().for_each(|driver| driver.core.abandon(now));
                drop((servers, parked, boot));
            }
        }
    }

    /// Queues what was parked while a machine was paused.
    pub(crate) fn resume_jobs(&self, jobs: Vec<Job>) {
        jobs.into_iter().for_each(|job| self.queue.push(job));
    }
}

impl State {
    /// The machine of that name, made if there is none.
    pub(crate) fn host(&mut self, name: &str, base: Instant) -> usize {
        let key = name.to_lowercase();
        if let Some(&host) = self.names.get(&key) {
            return host;
        }
        // Up to an hour: who compares the clocks of two machines is to be found out.
        let mut rng = self.seeds.stream("clock", self.hosts.len() as u64);
        let offset = rng.between(0, 3_600_000_000_000);
        let host = self.hosts.len();
        self.hosts.push(Host {
            name: Arc::from(name),
            clock: Arc::new(Mutex::new(Clock::new(base, offset))),
            life: 1,
            up: true,
            powered: true,
            paused: false,
            parked: Vec::new(),
            tasks: BTreeMap::new(),
            drivers: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            servers: Vec::new(),
            boot: None,
            seeds_given: 0,
        });
        self.names.insert(key, host);
        host
    }

    /// Does this life of the machine go on?
    pub(crate) fn lives(&self, place: Place) -> bool {
        let host = &self.hosts[place.host];
        host.up && host.life == place.life
    }

    /// What a job that was picked may do now.
    pub(crate) fn admit(&mut self, job: Job) -> Admission {
        let (host, lives) = match &job {
            Job::Main => return Admission::Run(job),
            Job::Server(server) => (server.host, self.hosts[server.host].up),
            Job::Task(_) | Job::Driver(_) | Job::Callbacks(_) => match job.place() {
                Some(place) => (place.host, self.lives(place)),
                None => return Admission::Run(job),
            },
        };
        if !lives {
            return Admission::Drop(job);
        }
        if self.hosts[host].paused {
            self.hosts[host].parked.push(job);
            return Admission::Parked;
        }
        Admission::Run(job)
    }

    pub(crate) fn note_line(&mut self, kind: Kind, line: &str) {
        self.trace.say(self.now, kind, line);
    }

    /// Drops it once the lock is released.
    pub(crate) fn discard(&mut self, owner: Owner) {
        self.garbage.push(owner);
    }
}

pub(crate) enum Admission {
    Run(Job),
    Parked,
    /// Its machine has crashed.
    Drop(Job),
}
