//! [`run`]: one seed, from the beginning to the verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_proto::SessionId;
use zk_sim::check::{self, Deposed, Ends, Event, Summary};
use zk_sim::{Rng, Sim};

use crate::actor::{Phase, Scene, live};
use crate::guest::{self, Guests};
use crate::recipes;
use crate::record::Recorder;
use crate::servers::Servers;
use crate::setup::Setup;
use crate::{Mutant, Recipe};

/// How long after the last fault everything must have come to rest.
const REST: Duration = Duration::from_secs(180);

/// What is to be done besides.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "for the commands of this package"
)]
pub struct Options {
    /// Keep the lines of the trace.
    pub trace: bool,
    /// Stop at this time.
    pub until: Option<Duration>,
    /// Plant this fault.
    pub mutant: Option<Mutant>,
    /// Run this recipe, instead of calls of all kinds.
    pub recipe: Option<Recipe>,
}

/// What became of a seed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What was wrong, if anything was.
    pub failure: Option<String>,
    /// What was checked.
    pub summary: Summary,
    /// How often what has happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// How many things have happened in the universe.
    pub events: u64,
    /// Virtual time.
    pub time: Duration,
    /// The hash of the trace.
    pub hash: u128,
    /// Its lines, if they were to be kept.
    pub trace: String,
    /// What clients saw, and what servers agreed on, if the trace was to be kept.
    pub history: String,
}

impl Outcome {
    /// Nothing was wrong.
    pub(crate) fn passed(seed: u64) -> Self {
        let failure = None;
        Self {
            failure,
            ..Self::failed(seed, String::new())
        }
    }

    /// Nothing is known but that it failed.
    pub(crate) fn failed(seed: u64, failure: String) -> Self {
        Self {
            seed,
            failure: Some(failure),
            summary: Summary::default(),
            counts: BTreeMap::new(),
            events: 0,
            time: Duration::ZERO,
            hash: 0,
            trace: String::new(),
            history: String::new(),
        }
    }
}

/// Runs a seed.
pub fn run(seed: u64, options: Options) -> Outcome {
    if let Some(recipe) = options.recipe {
        return recipes::run(seed, recipe, options);
    }
    let sim = Sim::new(seed);
    if options.trace {
        sim.keep_trace();
    }
    let mut setup = Setup::draw(&sim);
    setup.mutant = options.mutant;
    let setup = Arc::new(setup);
    let servers = Arc::new(Servers::start(&sim, &setup));
    sim.network().set_latency(setup.latency);
    let scene = Scene {
        recorder: Recorder::default(),
        servers: Arc::clone(&servers),
        stages: Arc::default(),
        phase: Arc::new(Mutex::new(Phase::Faults)),
        setup,
    };
    let mut run = Run {
        sim,
        scene,
        servers,
        counts: BTreeMap::new(),
        guests: Arc::default(),
    };
    let result = run.play(options);
    let (failure, summary) = match result {
        Ok(summary) => (None, summary),
        Err(failure) => (Some(failure.to_string()), Summary::default()),
    };
    run.outcome(failure, summary, options)
}

/// What goes wrong with a run.
#[derive(Debug)]
enum Failure {
    Sim(zk_sim::SimError),
    Hangs(String),
    Broken(String),
    Violation(check::Violation),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim(error) => error.fmt(f),
            Self::Hangs(what) => write!(f, "it does not come to rest: {what}"),
            Self::Broken(what) => write!(f, "a promise is broken: {what}"),
            Self::Violation(violation) => violation.fmt(f),
        }
    }
}

struct Run {
    sim: Sim,
    scene: Scene,
    servers: Arc<Servers>,
    counts: BTreeMap<&'static str, u64>,
    guests: Arc<Guests>,
}

impl Run {
    fn play(&mut self, options: Options) -> Result<Summary, Failure> {
        self.start_programs();
        self.sim.cause(&self.scene.setup.more_faults(&self.sim));
        for fault in self.sim.unleash(&self.scene.setup.plan) {
            let what = kind_of(&fault.what);
            *self.counts.entry(what).or_default() += 1;
        }
        if let Some(until) = options.until {
            self.run_for(until)?;
            return Ok(Summary::default());
        }
        if self.scene.setup.substitutes {
            self.substitute()?;
        }
        self.run_for(self.scene.setup.time)?;
        self.set_phase(Phase::Rest);
        self.wait(|stage| stage.rests())?;
        let limit = self.sim.now() + REST;
        while !self.guests.rest() {
            self.run_for(Duration::from_secs(1))?;
            if self.sim.now() > limit {
                return Err(Failure::Hangs("the guest".to_owned()));
            }
        }
        // What was under way arrives, and so does what the servers do by themselves.
        self.run_for(Duration::from_secs(2))?;
        let commits = self.servers.commits();
        let newest = commits
            .last()
            .map_or(zk_proto::Zxid::ZERO, |(_, txn)| txn.zxid);
        self.run_for(Duration::from_secs(1))?;
        self.wait(|stage| stage.rests())?;
        self.scene.stages().iter().for_each(|stage| stage.drain());
        self.scene
            .recorder
            .push(self.sim.now(), Event::Quiet { zxid: newest });
        self.set_phase(Phase::End);
        self.wait(|stage| stage.over())?;
        self.run_for(Duration::from_secs(1))?;
        self.judge()
    }

    /// Answers a client that comes back with another session.
    fn substitute(&mut self) -> Result<(), Failure> {
        for number in 1..=3 {
            self.run_for(Duration::from_secs(2))?;
            let stages = self.scene.stages();
            if let Some(session) = stages.first().and_then(|stage| stage.session()) {
                self.servers.substitute(session, SessionId(number << 40));
                *self.counts.entry("fault: substituted session").or_default() += 1;
            }
        }
        Ok(())
    }

    fn start_programs(&self) {
        let mut by_machine: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for (number, (name, style)) in self.scene.setup.programs.iter().enumerate() {
            let rng = self.sim.rng(&format!("program {number}"));
            let rng = Arc::new(Mutex::new(rng));
            let of_machine = by_machine.entry(name.as_str()).or_default();
            of_machine.push((style.clone(), rng));
        }
        if let Some(style) = &self.scene.setup.guest {
            let machine = self.sim.machine("guest");
            let rng = self.sim.rng("guest");
            let guests = Arc::clone(&self.guests);
            let guest = guest::live(
                self.scene.clone(),
                machine.clone(),
                style.clone(),
                rng,
                guests,
            );
            drop(machine.spawn(guest));
        }
        for (name, programs) in by_machine {
            let (machine, scene) = (self.sim.machine(name), self.scene.clone());
            // Started again after each crash.
            machine.boot(move |machine| {
                for (style, rng) in &programs {
                    let program = live(
                        scene.clone(),
                        machine.clone(),
                        style.clone(),
                        next_life(rng),
                    );
                    drop(machine.spawn(program));
                }
                async {}
            });
        }
    }

    fn run_for(&self, time: Duration) -> Result<(), Failure> {
        self.sim.run_for(time).map_err(Failure::Sim)?;
        let record = self.scene.recorder.lock();
        match record.broken.first() {
            Some(broken) => Err(Failure::Broken(broken.clone())),
            None => Ok(()),
        }
    }

    /// Lets time pass until all programs are so far.
    fn wait(&self, ready: impl Fn(&crate::actor::Stage) -> bool) -> Result<(), Failure> {
        let limit = self.sim.now() + REST;
        loop {
            self.run_for(Duration::from_millis(250))?;
            let stages = self.scene.stages();
            let Some(late) = stages.iter().find(|stage| !ready(stage)) else {
                return Ok(());
            };
            if self.sim.now() > limit {
                let record = self.scene.recorder.lock();
                let open: Vec<_> = record.open.iter().collect();
                let what = format!("{}; open: {open:?}", late.name());
                return Err(Failure::Hangs(what));
            }
        }
    }

    fn set_phase(&self, phase: Phase) {
        let current = self.scene.phase.lock();
        *current.unwrap_or_else(PoisonError::into_inner) = phase;
    }

    fn judge(&mut self) -> Result<Summary, Failure> {
        let record = self.scene.recorder.lock();
        let log = self.servers.log();
        let judged = self.guests.check(&log).map_err(Failure::Broken)?;
        self.counts.insert("calls of guests", judged as u64);
        let options = check::Options {
            ends: Ends::All,
            deposed: if self.scene.setup.servers > 1 && !self.scene.setup.steady {
                Deposed::Possible
            } else {
                Deposed::Never
            },
            budget: 20_000,
            ..check::Options::default()
        };
        check::check_all(&record.history, &log, options).map_err(Failure::Violation)
    }

    fn outcome(self, failure: Option<String>, summary: Summary, options: Options) -> Outcome {
        let record = self.scene.recorder.lock();
        let mut counts = self.counts;
        for (what, count) in &record.counts {
            *counts.entry(*what).or_default() += count;
        }
        let log = self.servers.log();
        counts.insert("transactions", log.entries.len() as u64);
        Outcome {
            seed: self.sim.seed(),
            failure,
            summary,
            counts,
            events: self.sim.trace_len(),
            time: self.sim.now(),
            hash: self.sim.trace_hash(),
            trace: self.sim.trace(),
            history: if options.trace {
                format!("{}\n{log}", record.history)
            } else {
                String::new()
            },
        }
    }
}

fn next_life(rng: &Mutex<Rng>) -> Rng {
    let mut rng = rng.lock().unwrap_or_else(PoisonError::into_inner);
    // Another life goes another way.
    let _ = rng.unit();
    rng.clone()
}

fn kind_of(what: &zk_sim::What) -> &'static str {
    match what {
        zk_sim::What::Cut { .. } => "fault: cut",
        zk_sim::What::Partition { .. } => "fault: partition",
        zk_sim::What::PartitionOneWay { .. } => "fault: one-way partition",
        zk_sim::What::Slow { .. } => "fault: slow link",
        zk_sim::What::Pause(_) => "fault: pause",
        zk_sim::What::Crash(..) => "fault: crash",
        zk_sim::What::Refuse(_) => "fault: refused connections",
        zk_sim::What::ClockJump(..) => "fault: clock jump",
        zk_sim::What::WallClockJump(..) => "fault: wall clock jump",
        zk_sim::What::Drift(..) => "fault: drift",
        _ => "fault: other",
    }
}
