//! [`Setup`]: what a run is like, drawn from its seed.

use std::time::Duration;

use crate::Mutant;
#[cfg(zk_planted)]
use crate::mutants::Site;
use zk_client::{BackoffPolicy, Builder, Client, GiveUp};
use zk_server::{MemberId, Options, Release};
use zk_sim::{Fault, FaultKind, FaultPlan, Latency, Rng, Sim, What};

/// Servers and clients of a run, and what goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// How many servers there are.
    pub(crate) servers: usize,
    /// Programs, by the machine that they are on.
    pub(crate) programs: Vec<(String, Style)>,
    pub(crate) tick: Duration,
    pub(crate) release: Release,
    pub(crate) latency: Latency,
    pub(crate) plan: FaultPlan,
    /// For how long things go wrong.
    pub(crate) time: Duration,
    /// Between two calls of a program, on average.
    pub(crate) pause: Duration,
    /// Whether clocks are right enough for what clients say of their sessions to be true.
    pub(crate) truthful: bool,
    /// No leader is ever deposed.
    pub(crate) steady: bool,
    /// Servers are cut off from each other, and clients reach all of them.
    pub(crate) splits: bool,
    /// A member that shows its clients what is committed so much later only.
    pub(crate) lag: Option<(MemberId, Duration)>,
    /// There is a program of whose writes checkers are not told.
    pub(crate) guest: Option<Style>,
    /// Instead of faults, a server answers with sessions that are not the right ones.
    pub(crate) substitutes: bool,
    /// What is planted.
    pub(crate) mutant: Option<Mutant>,
}

/// How a program uses its client.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) timeout: Duration,
    /// Results by callbacks, or by futures.
    pub(crate) calls_back: bool,
    /// Whether some nodes are named by a view.
    pub(crate) views: bool,
    pub(crate) give_up: GiveUp,
    pub(crate) request_timeout: Option<Duration>,
    pub(crate) max_queued: Option<usize>,
    pub(crate) quick: bool,
    /// Whether it has a node that nobody else may touch.
    pub(crate) credential: bool,
    /// Which of the programs it is.
    pub(crate) index: usize,
}

impl Setup {
    /// The setup of a universe.
    pub(crate) fn draw(sim: &Sim) -> Self {
        let mut rng = sim.rng("setup");
        let rng = &mut rng;
        let servers = match rng.below(10) {
            0..=3 => 1,
            4..=8 => 3,
            _ => 5,
        };
        let tick = rng.duration(Duration::from_millis(400), Duration::from_millis(2000));
        let release = match rng.below(3) {
            0 => Release::V3_8,
            _ => Release::V3_9,
        };
        let latency = match rng.below(3) {
            0 => Latency::default(),
            1 => Latency::uniform(Duration::from_micros(50), Duration::from_micros(300)),
            _ => Latency::uniform(Duration::from_millis(1), Duration::from_millis(20))
                .tail(0.02, Duration::from_millis(200)),
        };
        let programs = 2 + rng.below(4);
        let machines = 1 + rng.below(programs);
        let programs = (0..programs)
            .map(|index| {
                let style = Style::draw(rng, tick);
                (
                    format!("app{}", index % machines + 1),
                    Style { index, ..style },
                )
            })
            .collect();
        let time = rng.duration(Duration::from_secs(8), Duration::from_secs(30));
        let mut setup = Self {
            servers,
            programs,
            tick,
            release,
            latency,
            plan: FaultPlan::none(&[], &[]),
            time,
            pause: rng.duration(Duration::from_millis(60), Duration::from_millis(400)),
            truthful: true,
            steady: false,
            splits: false,
            lag: None,
            guest: None,
            substitutes: false,
            mutant: None,
        };
        setup.plan = setup.faults(rng);
        if rng.chance(0.25) {
            setup.guest = Some(Style::draw(rng, tick));
        }
        if rng.chance(0.04) {
            setup.guest = None;
            setup.servers = 1;
            setup.programs.truncate(1);
            setup.plan = FaultPlan::none(&["app1"], &["s1"]).time(setup.time);
            setup.substitutes = true;
        }
        setup.lag = setup.lag(&mut sim.rng("lag"));
        setup
    }

    fn lag(&self, rng: &mut Rng) -> Option<(MemberId, Duration)> {
        if self.servers == 1 || rng.chance(0.5) {
            return None;
        }
        let member = u8::try_from(1 + rng.below(self.servers)).ok()?;
        let lag = rng.duration(Duration::from_millis(5), Duration::from_millis(800));
        Some((MemberId(member), lag))
    }

    fn faults(&mut self, rng: &mut Rng) -> FaultPlan {
        let servers: Vec<String> = (1..=self.servers)
            .map(|number| format!("s{number}"))
            .collect();
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        let mut machines: Vec<&str> = self
            .programs
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        machines.sort_unstable();
        machines.dedup();
        let mut plan = FaultPlan::new(&machines, &servers);
        if rng.chance(0.15) {
            // Only the network.
            plan = plan
                .without(FaultKind::ServerCrash)
                .without(FaultKind::ClientCrash)
                .without(FaultKind::ServerPause)
                .without(FaultKind::ClientPause);
        }
        if rng.chance(0.1) {
            plan = plan.rate(FaultKind::ServerClockJump, 1.0);
            self.truthful = false;
        } else if self.servers > 1 && rng.chance(0.3) {
            let kinds = [
                FaultKind::Partition,
                FaultKind::PartitionOneWay,
                FaultKind::Slow,
                FaultKind::ServerPause,
                FaultKind::ServerCrash,
            ];
            plan = kinds.into_iter().fold(plan, FaultPlan::without);
            self.steady = true;
        } else if self.servers > 1 && rng.chance(0.4) {
            self.splits = true;
        }
        let drift = match rng.below(4) {
            0 => 0,
            1 => 20_000,
            _ => 2_000,
        };
        let intensity = [0.5, 1.0, 2.0, 4.0][rng.below(4)];
        plan.max_drift(drift)
            .time(self.time)
            .intensity(intensity)
            .splits([0.0, 0.05, 0.3][rng.below(3)])
    }

    /// What goes wrong besides the plan.
    pub(crate) fn more_faults(&self, sim: &Sim) -> Vec<Fault> {
        let mut faults = Vec::new();
        let servers: Vec<String> = (1..=self.servers)
            .map(|number| format!("s{number}"))
            .collect();
        if self.guest.is_some() {
            let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
            let cuts = FaultPlan::none(&["guest"], &servers)
                .rate(FaultKind::Cut, 40.0)
                .time(self.time);
            faults = cuts.draw(sim.seed());
        }
        if self.splits {
            let mut rng = sim.rng("splits");
            let mut at = rng.pause(Duration::from_secs(4));
            while at < self.time {
                let alone = rng.below(self.servers);
                let lasts = rng.duration(Duration::from_millis(200), Duration::from_secs(8));
                let (mut one, mut other) = (Vec::new(), Vec::new());
                for (place, server) in servers.iter().enumerate() {
                    let group = if place == alone { &mut one } else { &mut other };
                    group.push(server.clone());
                }
                faults.push(Fault {
                    at,
                    lasts: lasts.min(self.time - at),
                    what: What::Partition { one, other },
                });
                at += lasts + rng.pause(Duration::from_secs(4));
            }
        }
        faults
    }

    /// Options of servers.
    pub(crate) fn options(&self) -> Options {
        let options = Options::new().tick(self.tick).release(self.release);
        #[cfg(zk_planted)]
        if let Some(Site::Server(planted)) = self.mutant.map(|mutant| mutant.site) {
            return options.planted(planted);
        }
        options
    }

    /// Options of a client.
    pub(crate) fn client(&self, hosts: &str, style: &Style) -> Builder {
        let mut builder = Client::builder(hosts);
        builder
            .session_timeout(style.timeout)
            .give_up(style.give_up);
        #[cfg(zk_planted)]
        if let Some(Site::Client(planted)) = self.mutant.map(|mutant| mutant.site) {
            builder.planted(planted);
        }
        if style.quick {
            let mut policy = BackoffPolicy::default();
            policy.max_delay = Duration::from_millis(500);
            builder.connection_retry(policy);
        }
        if let Some(limit) = style.request_timeout {
            builder.request_timeout(limit);
        }
        if let Some(limit) = style.max_queued {
            builder.max_queued(limit, 64 << 10);
        }
        builder
    }
}

impl Style {
    fn draw(rng: &mut Rng, tick: Duration) -> Self {
        Self {
            timeout: rng.duration(tick * 2, tick * 12),
            calls_back: rng.chance(0.4),
            views: rng.chance(0.6),
            give_up: match rng.below(5) {
                0 => GiveUp::Never,
                1 => GiveUp::After(Duration::from_secs(2)),
                _ => GiveUp::Default,
            },
            request_timeout: rng.chance(0.2).then_some(Duration::from_secs(2)),
            max_queued: rng.chance(0.15).then_some(6),
            quick: rng.chance(0.5),
            credential: rng.chance(0.4),
            index: 0,
        }
    }
}
