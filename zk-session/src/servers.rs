//! Which server to try next.
//!
//! The list is shuffled once and then gone round; servers learnt from the ensemble come behind the
//! configured ones. When the list changes, the moves of `StaticHostProvider.updateServerList` of
//! the Java client keep the load even: with `S` servers before, `known` of them still listed and
//! `fresh` new ones, a client leaves its server just so often that all end up equally loaded.

use zk_proto::ServerAddr;

use crate::rng::Rng;

#[derive(Clone, Debug)]
struct Entry {
    addr: ServerAddr,
    attempts: u32,
    configured: bool,
}

/// A draw between servers known before and new ones, until a connection succeeds.
#[derive(Clone, Debug)]
struct Rebalance {
    known: Vec<usize>,
    fresh: Vec<usize>,
    odds_fresh: f64,
}

/// The list of servers and the place in it.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    entries: Vec<Entry>,
    next: usize,
    /// Attempts since the last success or the last full round.
    tried: usize,
    rebalance: Option<Rebalance>,
    preferred: Option<ServerAddr>,
    shuffle: bool,
}

/// The server to try, and whether a full round without success has just ended before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pick {
    pub(crate) server: ServerAddr,
    pub(crate) attempt: u32,
}

impl Servers {
    pub(crate) fn new(list: &[ServerAddr], shuffle: bool, rng: &mut Rng) -> Self {
        let mut entries: Vec<Entry> = Vec::with_capacity(list.len());
        for addr in list {
            if !entries.iter().any(|e| e.addr == *addr) {
                entries.push(Entry {
                    addr: addr.clone(),
                    attempts: 0,
                    configured: true,
                });
            }
        }
        if shuffle {
            rng.shuffle(&mut entries);
        }
        Self {
            entries,
            next: 0,
            tried: 0,
            rebalance: None,
            preferred: None,
            shuffle,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn list(&self) -> impl Iterator<Item = &ServerAddr> {
        self.entries.iter().map(|e| &e.addr)
    }

    /// Has every server been tried since the last success or pause?
    pub(crate) fn round_is_over(&self) -> bool {
        self.tried >= self.entries.len() && self.rebalance.is_none()
    }

    /// A new round begins.
    pub(crate) fn start_round(&mut self) {
        self.tried = 0;
    }

    /// A session was set up: the next round begins behind this server.
    pub(crate) fn succeeded(&mut self) {
        self.tried = 0;
        self.rebalance = None;
    }

    /// Try this one next.
    pub(crate) fn prefer(&mut self, server: ServerAddr) {
        self.preferred = Some(server);
    }

    /// The next server to try.
    pub(crate) fn pick(&mut self, rng: &mut Rng) -> Pick {
        let at = self.draw(rng);
        self.tried += 1;
        let entry = &mut self.entries[at];
        let attempt = entry.attempts;
        entry.attempts = entry.attempts.wrapping_add(1);
        Pick {
            server: entry.addr.clone(),
            attempt,
        }
    }

    fn draw(&mut self, rng: &mut Rng) -> usize {
        if let Some(server) = self.preferred.take() {
            if let Some(at) = self.entries.iter().position(|e| e.addr == server) {
                return at;
            }
        }
        if let Some(mut draw) = self.rebalance.take() {
            let from_fresh =
                draw.known.is_empty() || (!draw.fresh.is_empty() && rng.unit() < draw.odds_fresh);
            let side = if from_fresh {
                &mut draw.fresh
            } else {
                &mut draw.known
            };
            if let Some(at) = side.pop() {
                if !(draw.known.is_empty() && draw.fresh.is_empty()) {
                    self.rebalance = Some(draw);
                }
                return at;
            }
        }
        let at = self.next % self.entries.len();
        self.next = at + 1;
        at
    }

    /// The server to probe while connected to `current`, without disturbing the order.
    pub(crate) fn other_than(&self, current: &ServerAddr, turn: usize) -> Option<ServerAddr> {
        let others: Vec<_> = self.list().filter(|a| *a != current).collect();
        (!others.is_empty()).then(|| others[turn % others.len()].clone())
    }

    /// Adds servers learnt from the ensemble behind the given ones; forgets earlier learnt ones.
    pub(crate) fn set_fallback(&mut self, learnt: &[ServerAddr]) {
        self.entries
            .retain(|e| e.configured || learnt.contains(&e.addr));
        for addr in learnt {
            if !self.entries.iter().any(|e| e.addr == *addr) {
                self.entries.push(Entry {
                    addr: addr.clone(),
                    attempts: 0,
                    configured: false,
                });
            }
        }
    }

    /// Replaces the configured list. Says whether the connection to `current` is to be left.
    pub(crate) fn update(
        &mut self,
        list: &[ServerAddr],
        current: Option<&ServerAddr>,
        rng: &mut Rng,
    ) -> bool {
        let before: Vec<ServerAddr> = self
            .entries
            .iter()
            .filter(|e| e.configured)
            .map(|e| e.addr.clone())
            .collect();
        let learnt: Vec<Entry> = self
            .entries
            .iter()
            .filter(|e| !e.configured)
            .cloned()
            .collect();
        *self = Self::new(list, self.shuffle, rng);
        for entry in learnt {
            if !self.entries.iter().any(|e| e.addr == entry.addr) {
                self.entries.push(entry);
            }
        }
        let Some(current) = current else { return false };
        let (mut known, mut fresh) = (Vec::new(), Vec::new());
        for (at, entry) in self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, e)| e.configured)
        {
            let side = if before.contains(&entry.addr) {
                &mut known
            } else {
                &mut fresh
            };
            side.push(at);
        }
        let s = before.len() as f64;
        let (n_known, n_fresh) = (known.len() as f64, fresh.len() as f64);
        let total = n_known + n_fresh;
        let listed = self
            .entries
            .iter()
            .any(|e| e.addr == *current && e.configured);
        let odds_fresh = if listed {
            // Stay, unless the list grew and the draw says to help to fill a new server.
            if total <= s || rng.unit() >= 1.0 - s / total {
                return false;
            }
            1.0
        } else if total > s {
            1.0
        } else if s > n_known {
            1.0 - (n_known * (s - total)) / (total * (s - n_known))
        } else {
            0.0
        };
        self.rebalance = Some(Rebalance {
            known,
            fresh,
            odds_fresh,
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(n: usize) -> ServerAddr {
        ServerAddr::new(&format!("h{n}"), 2181)
    }

    fn list(range: std::ops::Range<usize>) -> Vec<ServerAddr> {
        range.map(addr).collect()
    }

    #[test]
    fn the_given_order_is_kept_without_shuffling() {
        let mut rng = Rng::new([1; 32]);
        let mut servers = Servers::new(&list(0..3), false, &mut rng);
        let picks: Vec<_> = (0..4).map(|_| servers.pick(&mut rng)).collect();
        assert_eq!(picks[0].server, addr(0));
        assert_eq!(picks[2].server, addr(2));
        assert_eq!(
            picks[3],
            Pick {
                server: addr(0),
                attempt: 1
            }
        );
    }

    #[test]
    fn a_round_ends_after_each_server_was_tried() {
        let mut rng = Rng::new([1; 32]);
        let mut servers = Servers::new(&list(0..2), true, &mut rng);
        servers.pick(&mut rng);
        assert!(!servers.round_is_over());
        servers.pick(&mut rng);
        assert!(servers.round_is_over());
        servers.start_round();
        assert!(!servers.round_is_over());
    }

    #[test]
    fn the_seed_decides_the_order() {
        let order = |seed| {
            let mut rng = Rng::new([seed; 32]);
            let mut servers = Servers::new(&list(0..8), true, &mut rng);
            (0..8)
                .map(|_| servers.pick(&mut rng).server.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(order(3), order(3));
        assert_ne!(order(3), order(4));
    }

    #[test]
    fn learnt_servers_come_behind_and_are_forgotten() {
        let mut rng = Rng::new([1; 32]);
        let mut servers = Servers::new(&list(0..2), true, &mut rng);
        servers.set_fallback(&list(1..4));
        assert_eq!(servers.len(), 4);
        let first: Vec<_> = (0..2).map(|_| servers.pick(&mut rng).server).collect();
        assert!(first.contains(&addr(0)) && first.contains(&addr(1)));
        servers.set_fallback(&[]);
        assert_eq!(servers.len(), 2);
    }

    /// The share of clients on each server after a change of the list is even.
    #[test]
    fn a_grown_list_is_filled_evenly() {
        let (mut on_new, clients) = (0, 4000);
        for seed in 0..clients {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&u32::to_le_bytes(seed));
            let mut rng = Rng::new(bytes);
            let mut servers = Servers::new(&list(0..3), true, &mut rng);
            let at = servers.pick(&mut rng).server;
            servers.succeeded();
            if servers.update(&list(0..4), Some(&at), &mut rng) {
                assert_eq!(
                    servers.pick(&mut rng).server,
                    addr(3),
                    "only to a new server"
                );
                on_new += 1;
            }
        }
        let share = f64::from(on_new) / f64::from(clients);
        assert!((share - 0.25).abs() < 0.03, "a quarter moves, not {share}");
    }

    #[test]
    fn a_removed_server_is_left() {
        let mut rng = Rng::new([1; 32]);
        let mut servers = Servers::new(&list(0..3), true, &mut rng);
        assert!(servers.update(&list(1..3), Some(&addr(0)), &mut rng));
        assert!(!servers.update(&list(1..3), Some(&addr(1)), &mut rng));
        let tried: Vec<_> = (0..2).map(|_| servers.pick(&mut rng).server).collect();
        assert!(!tried.contains(&addr(0)));
    }
}
