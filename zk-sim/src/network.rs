//! [`Network`]: how bytes get from machine to machine, and how they do not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::net::{Cut, Latency};
use crate::rng::nanos;
use crate::trace::Kind;
use crate::world::{State, World};

/// The network of a universe. Cheap to clone.
///
/// Machines are named as in [`Sim::machine`](crate::Sim::machine); a name that is new makes one.
#[derive(Clone)]
pub struct Network {
    world: Arc<World>,
}

/// One partition, for [`Network::heal`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PartitionId(u64);

impl Network {
    pub(crate) fn of(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
        }
    }

    /// The latency of all links that have none of their own.
    pub fn set_latency(&self, latency: Latency) {
        self.world.enter(|state| state.net.links.latency = latency);
    }

    /// The latency from one machine to another, in this direction.
    pub fn set_latency_between(&self, from: &str, to: &str, latency: Latency) {
        let link = (self.host(from), self.host(to));
        self.world
            .enter(|state| state.net.links.set_latency(link, latency));
    }

    /// Makes everything from one machine to another take so much longer, until told otherwise;
    /// zero ends it.
    pub fn slow(&self, from: &str, to: &str, by: Duration) {
        let link = (self.host(from), self.host(to));
        self.world.enter(|state| {
            state.net.links.set_extra(link, by);
            state.note_line(Kind::Fault, &format!("{from} -> {to} takes {by:?} longer"));
        });
    }

    /// How probable it is that something written arrives in pieces, of which many are single
    /// bytes. Default 0.
    pub fn set_splits(&self, probability: f64) {
        self.world.enter(|state| state.net.splits = probability);
    }

    /// How many bytes may be under way or unread in each direction of a connection before its
    /// writer has to wait. Default 256 KiB.
    pub fn set_buffer(&self, bytes: usize) {
        self.world
            .enter(|state| state.net.buffer = Some(bytes.max(1)));
    }

    /// Separates two groups of machines: nothing passes between them in either direction. What is
    /// under way on a connection arrives once the partition has been healed, if both ends still
    /// want it; messages between servers are lost.
    pub fn partition(&self, one: &[&str], other: &[&str]) -> PartitionId {
        let mut links = self.pairs(one, other);
        links.extend(self.pairs(other, one));
        self.block(links, &format!("{one:?} and {other:?} are separated"))
    }

    /// As [`partition`](Self::partition), in one direction: nothing gets `from` the first group
    /// `to` the other.
    pub fn partition_one_way(&self, from: &[&str], to: &[&str]) -> PartitionId {
        let links = self.pairs(from, to);
        self.block(links, &format!("{from:?} no longer reach {to:?}"))
    }

    /// Ends a partition. Links on which there is another one stay blocked.
    pub fn heal(&self, partition: PartitionId) {
        self.world.enter(|state| {
            if state.net.links.heal(partition.0) {
                state.note_line(Kind::Fault, &format!("partition {} is healed", partition.0));
                state.send_again();
            }
        });
    }

    /// Ends all partitions, and all that [`slow`](Self::slow) has done.
    pub fn heal_all(&self) {
        self.world.enter(|state| {
            state.net.links.heal_all();
            state.net.links.clear_extra();
            state.note_line(Kind::Fault, "the network is healed");
            state.send_again();
        });
    }

    /// Breaks all connections between two machines. Says how many there were.
    pub fn cut(&self, one: &str, other: &str, cut: Cut) -> usize {
        let (one, other) = (self.host(one), self.host(other));
        self.cut_where(cut, |hosts| hosts == [one, other] || hosts == [other, one])
    }

    /// Breaks all connections of a machine. Says how many there were.
    pub fn cut_all(&self, machine: &str, cut: Cut) -> usize {
        let host = self.host(machine);
        self.cut_where(cut, |hosts| hosts.contains(&host))
    }

    pub(crate) fn after(&self, delay: Duration, f: Box<dyn FnOnce() + Send>) {
        self.world.call_later(nanos(delay), f);
    }

    fn cut_where(&self, cut: Cut, which: impl Fn([usize; 2]) -> bool) -> usize {
        self.world.enter(|state| {
            let all = state.net.streams.iter();
            let found: Vec<_> = all
                .filter(|(_, stream)| which(stream.hosts))
                .filter(|(_, stream)| stream.ends.iter().any(|end| end.over.is_none()))
                .map(|(key, _)| key)
                .collect();
            found.iter().for_each(|key| state.cut(*key, cut));
            found.len()
        })
    }

    fn block(&self, links: Vec<(usize, usize)>, what: &str) -> PartitionId {
        self.world.enter(|state| {
            let id = state.net.links.partition(links);
            state.note_line(Kind::Fault, &format!("partition {id}: {what}"));
            PartitionId(id)
        })
    }

    fn host(&self, name: &str) -> usize {
        self.world.enter(|state| state.host(name, self.world.base))
    }

    fn pairs(&self, from: &[&str], to: &[&str]) -> Vec<(usize, usize)> {
        let hosts = |state: &mut State, names: &[&str]| -> Vec<_> {
            let host = |name: &&str| state.host(name, self.world.base);
            names.iter().map(host).collect()
        };
        self.world.enter(|state| {
            let (from, to) = (hosts(state, from), hosts(state, to));
            let pairs = from.iter().flat_map(|a| to.iter().map(|b| (*a, *b)));
            pairs.filter(|(a, b)| a != b).collect()
        })
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}
