//! Which machine reaches which, and how fast.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Latency;
use crate::rng::{Rng, nanos};

/// The directed links between machines.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) latency: Latency,
    of_link: BTreeMap<(usize, usize), Latency>,
    extra: BTreeMap<(usize, usize), u64>,
    /// How many partitions lie on a link.
    blocked: BTreeMap<(usize, usize), u32>,
    partitions: BTreeMap<u64, Vec<(usize, usize)>>,
    last: u64,
}

impl Links {
    pub(crate) fn is_blocked(&self, from: usize, to: usize) -> bool {
        !self.blocked.is_empty() && self.blocked.contains_key(&(from, to))
    }

    pub(crate) fn draw(&self, from: usize, to: usize, rng: &mut Rng) -> u64 {
        let own = match self.of_link.get(&(from, to)) {
            Some(latency) => latency.draw(rng),
            None => self.latency.draw(rng),
        };
        own + self.extra.get(&(from, to)).copied().unwrap_or(0)
    }

    pub(crate) fn set_latency(&mut self, link: (usize, usize), latency: Latency) {
        self.of_link.insert(link, latency);
    }

    pub(crate) fn set_extra(&mut self, link: (usize, usize), extra: Duration) {
        if extra.is_zero() {
            self.extra.remove(&link);
        } else {
            self.extra.insert(link, nanos(extra));
        }
    }

    pub(crate) fn clear_extra(&mut self) {
        self.extra.clear();
    }

    /// Blocks these links until the partition is healed.
    pub(crate) fn partition(&mut self, links: Vec<(usize, usize)>) -> u64 {
        for link in &links {
            *self.blocked.entry(*link).or_default() += 1;
        }
        self.last += 1;
        self.partitions.insert(self.last, links);
        self.last
    }

    /// `false` if it was healed before.
    pub(crate) fn heal(&mut self, partition: u64) -> bool {
        let Some(links) = self.partitions.remove(&partition) else {
            return false;
        };
        for link in links {
            if let Some(count) = self.blocked.get_mut(&link) {
                *count -= 1;
                if *count == 0 {
                    self.blocked.remove(&link);
                }
            }
        }
        true
    }

    pub(crate) fn heal_all(&mut self) {
        self.partitions.clear();
        self.blocked.clear();
    }
}
