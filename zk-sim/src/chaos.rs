//! [`FaultPlan`]: faults over time, drawn from the seed, with an end after which all is well again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::net::Cut;
use crate::rng::{Rng, Seeds};
use crate::{Crash, Sim};

mod fault;

pub(crate) use fault::Finder;
pub use fault::{Fault, What};

/// A kind of fault that a [`FaultPlan`] can hold.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum FaultKind {
    /// The connections between a client and a server break, before or after what is under way
    /// has been delivered. 12 a minute.
    Cut,
    /// Machines are separated in both directions: half of the time one from all others, else two
    /// groups. 1.5 a minute.
    Partition,
    /// As before, in one direction. 1 a minute.
    PartitionOneWay,
    /// A link takes up to 2 s longer, in one direction. 6 a minute.
    Slow,
    /// A server is paused. 1.5 a minute.
    ServerPause,
    /// A server is killed or loses power, and starts again later. 1 a minute.
    ServerCrash,
    /// A server refuses connections. 1 a minute.
    ServerRefuse,
    /// The steady clock of a server jumps forward, up to 30 s. None: with it sessions end early, and
    /// what relies on their timeouts is not safe.
    ServerClockJump,
    /// A client is paused. 1.5 a minute.
    ClientPause,
    /// A client is killed or loses power, and starts again later, see
    /// [`Machine::boot`](crate::Machine::boot). Half a one a minute.
    ClientCrash,
    /// The clocks of a client jump forward, up to 30 s. A quarter of one a minute.
    ClientClockJump,
    /// The wall clock of any machine is set forward or back, up to an hour. Half a one a minute.
    WallClockJump,
    /// A clock of any machine runs at another rate, up to 2000 ppm off. 3 a minute.
    Drift,
}

/// What goes wrong, how often, and for how long. Rates are those of the whole universe, in faults
/// per virtual minute; the times between two of a kind are exponentially distributed.
///
/// Half of the faults that last do so for 10 ms to 1 s, a third for up to 10 s, and the rest for up
/// to 30 s, but never beyond the plan's end. Each kind has random numbers of its own, so that
/// leaving one out does not change the others.
#[derive(Clone, Debug)]
#[must_use = "nothing goes wrong until `Sim::unleash`"]
pub struct FaultPlan {
    clients: Vec<String>,
    servers: Vec<String>,
    time: Duration,
    splits: f64,
    max_drift: i32,
    rates: BTreeMap<FaultKind, f64>,
}

const DEFAULTS: [(FaultKind, f64); 13] = [
    (FaultKind::Cut, 12.0),
    (FaultKind::Partition, 1.5),
    (FaultKind::PartitionOneWay, 1.0),
    (FaultKind::Slow, 6.0),
    (FaultKind::ServerPause, 1.5),
    (FaultKind::ServerCrash, 1.0),
    (FaultKind::ServerRefuse, 1.0),
    (FaultKind::ServerClockJump, 0.0),
    (FaultKind::ClientPause, 1.5),
    (FaultKind::ClientCrash, 0.5),
    (FaultKind::ClientClockJump, 0.25),
    (FaultKind::WallClockJump, 0.5),
    (FaultKind::Drift, 3.0),
];

impl FaultPlan {
    /// Everything, at the default rates, for 60 s: between these clients and these servers, each
    /// named by its machine. A quarter of what is written is split.
    pub fn new(clients: &[&str], servers: &[&str]) -> Self {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        Self {
            clients: names(clients),
            servers: names(servers),
            time: Duration::from_secs(60),
            splits: 0.25,
            max_drift: 2000,
            rates: BTreeMap::from(DEFAULTS),
        }
    }

    /// Nothing, until rates are set.
    pub fn none(clients: &[&str], servers: &[&str]) -> Self {
        let mut plan = Self::new(clients, servers).splits(0.0);
        plan.rates.clear();
        plan
    }

    /// For how long things go wrong. Then all is healed, and quiet.
    pub fn time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// So many faults of a kind a minute.
    pub fn rate(mut self, kind: FaultKind, per_minute: f64) -> Self {
        self.rates.insert(kind, per_minute);
        self
    }

    /// No fault of this kind.
    pub fn without(self, kind: FaultKind) -> Self {
        self.rate(kind, 0.0)
    }

    /// So many times as many faults of every kind.
    pub fn intensity(mut self, factor: f64) -> Self {
        self.rates.values_mut().for_each(|rate| *rate *= factor);
        self
    }

    /// How much of what is written arrives in pieces.
    pub fn splits(mut self, probability: f64) -> Self {
        self.splits = probability;
        self
    }

    /// How much too fast or too slow clocks may run, in millionths. Default 2000.
    pub fn max_drift(mut self, millionths: i32) -> Self {
        self.max_drift = millionths;
        self
    }

    /// The faults of this plan under a seed, by time.
    pub fn draw(&self, seed: u64) -> Vec<Fault> {
        let seeds = Seeds::new(seed);
        let mut faults = Vec::new();
        for (kind, rate) in &self.rates {
            if *rate <= 0.0 {
                continue;
            }
            let mut rng = seeds.stream("faults", *kind as u64);
            let mean = Duration::from_secs(60).div_f64(*rate);
            let mut at = rng.pause(mean);
            while at < self.time {
                let lasts = lasting(&mut rng).min(self.time - at);
                if let Some(what) = self.what(*kind, &mut rng) {
                    faults.push(Fault { at, lasts, what });
                }
                at += rng.pause(mean);
            }
        }
        faults.sort_by_key(|fault| fault.at);
        faults
    }

    fn what(&self, kind: FaultKind, rng: &mut Rng) -> Option<What> {
        let all: Vec<&String> = self.clients.iter().chain(&self.servers).collect();
        let any = |rng: &mut Rng| pick(&all, rng).map(|name| (*name).clone());
        let client = |rng: &mut Rng| pick(&self.clients, rng).cloned();
        let server = |rng: &mut Rng| pick(&self.servers, rng).cloned();
        let how = |rng: &mut Rng| match rng.below(2) {
            0 => Crash::Killed,
            _ => Crash::PowerLoss,
        };
        let jump = |rng: &mut Rng| rng.duration(Duration::ZERO, Duration::from_secs(30));
        Some(match kind {
            FaultKind::Cut => What::Cut {
                one: client(rng)?,
                other: server(rng)?,
                cut: match rng.below(2) {
                    0 => Cut::BeforeDelivery,
                    _ => Cut::AfterDelivery,
                },
            },
            FaultKind::Partition => {
                let (one, other) = self.groups(rng)?;
                What::Partition { one, other }
            }
            FaultKind::PartitionOneWay => {
                let (one, other) = self.groups(rng)?;
                let (from, to) = match rng.below(2) {
                    0 => (one, other),
                    _ => (other, one),
                };
                What::PartitionOneWay { from, to }
            }
            FaultKind::Slow => {
                let (one, other) = (any(rng)?, server(rng)?);
                let (from, to) = match rng.below(2) {
                    0 => (one, other),
                    _ => (other, one),
                };
                // Most are short, as of a busy switch; some are near the timeouts of sessions.
                let by = rng.duration(Duration::ZERO, Duration::from_secs(2));
                let by = by.mul_f64(rng.unit());
                What::Slow { from, to, by }
            }
            FaultKind::ServerPause => What::Pause(server(rng)?),
            FaultKind::ServerCrash => What::Crash(server(rng)?, how(rng)),
            FaultKind::ServerRefuse => What::Refuse(server(rng)?),
            FaultKind::ServerClockJump => What::ClockJump(server(rng)?, jump(rng)),
            FaultKind::ClientPause => What::Pause(client(rng)?),
            FaultKind::ClientCrash => What::Crash(client(rng)?, how(rng)),
            FaultKind::ClientClockJump => What::ClockJump(client(rng)?, jump(rng)),
            FaultKind::WallClockJump => {
                let hour = 3_600_000;
                let millis = rng.between(0, 2 * hour) as i64 - hour as i64;
                What::WallClockJump(any(rng)?, millis)
            }
            FaultKind::Drift => {
                let width = 2 * u64::from(self.max_drift.unsigned_abs()) + 1;
                let drift = rng.between(0, width) as i64 - i64::from(self.max_drift.abs());
                What::Drift(any(rng)?, drift as i32)
            }
        })
    }

    /// Two groups of machines; together all of them.
    fn groups(&self, rng: &mut Rng) -> Option<(Vec<String>, Vec<String>)> {
        let all: Vec<&String> = self.clients.iter().chain(&self.servers).collect();
        if all.len() < 2 {
            return None;
        }
        let alone = rng.below(all.len());
        let single = rng.chance(0.5);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for (index, name) in all.into_iter().enumerate() {
            let first = index == alone || (!single && rng.chance(0.5));
            let group = if first { &mut one } else { &mut other };
            group.push(name.clone());
        }
        (!other.is_empty()).then_some((one, other))
    }
}

fn pick<'a, T>(all: &'a [T], rng: &mut Rng) -> Option<&'a T> {
    all.get(rng.below(all.len()))
}

fn lasting(rng: &mut Rng) -> Duration {
    let [shortest, short, long, longest] = [10, 1_000, 10_000, 30_000].map(Duration::from_millis);
    match rng.below(6) {
        0..=2 => rng.duration(shortest, short),
        3 | 4 => rng.duration(short, long),
        _ => rng.duration(long, longest),
    }
}

impl Sim {
    /// Lets things go wrong as the plan says, from now on. Says what it will be.
    pub fn unleash(&self, plan: &FaultPlan) -> Vec<Fault> {
        let faults = plan.draw(self.seed());
        self.network().set_splits(plan.splits);
        self.cause(&faults);
        let (network, find) = (self.network(), self.finder());
        let names: Vec<_> = plan.clients.iter().chain(&plan.servers).cloned().collect();
        self.after(plan.time, move || {
            network.heal_all();
            network.set_splits(0.0);
            names.iter().for_each(|name| find(name).heal());
        });
        faults
    }

    /// Causes these faults, by their times from now on. With some of those that
    /// [`FaultPlan::draw`] has drawn one finds out which of them matter.
    pub fn cause(&self, faults: &[Fault]) {
        for fault in faults {
            let (machine, network) = (self.finder(), self.network());
            let owned = fault.clone();
            self.after(fault.at, move || owned.happen(&network, &machine));
        }
    }
}
