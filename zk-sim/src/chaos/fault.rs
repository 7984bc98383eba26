//! One fault: what it does, and how it is undone.

use std::time::Duration;

use crate::net::Cut;
use crate::{Crash, Machine, Network};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When, from the beginning of the plan.
    pub at: Duration,
    /// After how long it is over, if it is something that lasts.
    pub lasts: Duration,
    /// What.
    pub what: What,
}

/// What goes wrong; machines are named.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum What {
    /// [`Network::cut`].
    Cut {
        /// One machine.
        one: String,
        /// The other.
        other: String,
        /// What becomes of what is under way.
        cut: Cut,
    },
    /// [`Network::partition`].
    Partition {
        /// One group.
        one: Vec<String>,
        /// The other.
        other: Vec<String>,
    },
    /// [`Network::partition_one_way`].
    PartitionOneWay {
        /// Those who are not heard.
        from: Vec<String>,
        /// Those who do not hear them.
        to: Vec<String>,
    },
    /// [`Network::slow`].
    Slow {
        /// From here.
        from: String,
        /// To there.
        to: String,
        /// By so much.
        by: Duration,
    },
    /// [`Machine::pause`].
    Pause(String),
    /// [`Machine::crash`].
    Crash(String, Crash),
    /// [`Machine::refuse_connections`].
    Refuse(String),
    /// [`Machine::jump_clock`]. Is not undone.
    ClockJump(String, Duration),
    /// [`Machine::jump_wall_clock`], in milliseconds. Is not undone.
    WallClockJump(String, i64),
    /// [`Machine::set_drift`], in millionths.
    Drift(String, i32),
}

/// Finds machines by name, in a closure that outlives the borrow of the universe.
pub(crate) type Finder = std::sync::Arc<dyn Fn(&str) -> Machine + Send + Sync>;

impl Fault {
    pub(crate) fn happen(self, network: &Network, machine: &Finder) {
        let undo: Box<dyn FnOnce() + Send> = match self.what {
            What::Cut { one, other, cut } => {
                network.cut(&one, &other, cut);
                return;
            }
            What::ClockJump(name, by) => return machine(&name).jump_clock(by),
            What::WallClockJump(name, by) => return machine(&name).jump_wall_clock(by),
            What::Partition { one, other } => {
                let id = network.partition(&names(&one), &names(&other));
                let network = network.clone();
                Box::new(move || network.heal(id))
            }
            What::PartitionOneWay { from, to } => {
                let id = network.partition_one_way(&names(&from), &names(&to));
                let network = network.clone();
                Box::new(move || network.heal(id))
            }
            What::Slow { from, to, by } => {
                network.slow(&from, &to, by);
                let network = network.clone();
                Box::new(move || network.slow(&from, &to, Duration::ZERO))
            }
            What::Pause(name) => {
                let machine = machine(&name);
                machine.pause();
                Box::new(move || machine.resume())
            }
            What::Crash(name, how) => {
                let machine = machine(&name);
                machine.crash(how);
                Box::new(move || machine.restart())
            }
            What::Refuse(name) => {
                let machine = machine(&name);
                machine.refuse_connections();
                Box::new(move || machine.accept_connections())
            }
            What::Drift(name, millionths) => {
                let machine = machine(&name);
                machine.set_drift(millionths);
                Box::new(move || machine.set_drift(0))
            }
        };
        network.after(self.lasts, undo);
    }
}

fn names(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}
