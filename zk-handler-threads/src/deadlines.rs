//! When each client wants to be woken: a heap with one entry a client.
//!
//! A deadline that moves away stays where it is in the heap: with every reply the next ping moves,
//! and sorting it anew each time would be wasted. When the old moment comes, the entry is put where
//! it belongs by then. A deadline that comes nearer is moved at once. So the loop may wake early,
//! never late.

use std::time::Instant;

/// The deadlines of clients, by the number of the client.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// A binary heap: no entry is later than the two below it.
    heap: Vec<(Instant, usize)>,
    /// What each client wants, and its place in the heap.
    clients: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    wanted: Option<Instant>,
    place: Option<usize>,
}

impl Deadlines {
    /// Sets, moves or (`None`) removes the deadline of `client`.
    pub(crate) fn set(&mut self, client: usize, at: Option<Instant>) {
        if self.clients.len() <= client {
            self.clients.resize(client + 1, Entry::default());
        }
        self.clients[client].wanted = at;
        let Some(at) = at else { return };
        match self.clients[client].place {
            Some(place) if self.heap[place].0 <= at => {}
            Some(place) => {
                self.heap[place].0 = at;
                self.rise(place);
            }
            None => self.insert(client, at),
        }
    }

    /// Takes out one client whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<usize> {
        loop {
            let &(at, client) = self.heap.first()?;
            if at > now {
                return None;
            }
            match self.clients[client].wanted {
                Some(wanted) if wanted > now => {
                    self.heap[0].0 = wanted;
                    self.sink(0);
                }
                Some(_) => {
                    self.clients[client].wanted = None;
                    self.remove_first();
                    return Some(client);
                }
                None => self.remove_first(),
            }
        }
    }

    /// When to look again: no client's deadline comes earlier.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|&(at, _)| at)
    }

    /// When the client is looked after, if nothing else happens. Its place in the heap may come
    /// earlier: a deadline that has moved away is moved there only when its old time comes.
    pub(crate) fn registered(&self, client: usize) -> Option<Instant> {
        self.clients.get(client)?.wanted
    }

    fn insert(&mut self, client: usize, at: Instant) {
        let place = self.heap.len();
        self.heap.push((at, client));
        self.clients[client].place = Some(place);
        self.rise(place);
    }

    fn remove_first(&mut self) {
        let (_, client) = self.heap.swap_remove(0);
        self.clients[client].place = None;
        if !self.heap.is_empty() {
            self.sink(0);
        }
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.heap[above].0 <= self.heap[place].0 {
                break;
            }
            self.swap(place, above);
            place = above;
        }
        self.settle(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let Some(&(left_at, _)) = self.heap.get(left) else {
                break;
            };
            let right_is_earlier = self.heap.get(right).is_some_and(|&(at, _)| at < left_at);
            let below = if right_is_earlier { right } else { left };
            if self.heap[place].0 <= self.heap[below].0 {
                break;
            }
            self.swap(place, below);
            place = below;
        }
        self.settle(place);
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.settle(one);
        self.settle(other);
    }

    fn settle(&mut self, place: usize) {
        let client = self.heap[place].1;
        self.clients[client].place = Some(place);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn clients_come_due_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        for client in 0..100 {
            let at = (client * 37) % 100;
            deadlines.set(client, Some(start + Duration::from_secs(at as u64)));
        }
        let mut due = Vec::new();
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            while let Some(client) = deadlines.pop_due(now) {
                due.push((client * 37) % 100);
            }
            assert_eq!(due.len() as u64, second + 1);
        }
        assert!(due.is_sorted());
        assert_eq!(deadlines.next(), None);
    }

    #[test]
    fn deadlines_that_move_leave_one_entry() {
        let start = Instant::now();
        let second = |n| start + Duration::from_secs(n);
        let mut deadlines = Deadlines::default();
        deadlines.set(3, Some(second(5)));
        for later in 6..1000 {
            deadlines.set(3, Some(second(later)));
        }
        assert_eq!(deadlines.next(), Some(second(5)), "not sorted anew");
        assert_eq!(deadlines.pop_due(second(5)), None);
        assert_eq!(deadlines.next(), Some(second(999)));
        deadlines.set(3, Some(second(7)));
        assert_eq!(deadlines.next(), Some(second(7)), "nearer: at once");
        assert_eq!(deadlines.registered(3), Some(second(7)));
        assert_eq!(deadlines.heap.len(), 1);
        assert_eq!(deadlines.pop_due(second(8)), Some(3));
        assert_eq!(deadlines.registered(3), None);
    }

    #[test]
    fn a_removed_deadline_never_comes_due() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(0, Some(start));
        deadlines.set(0, None);
        assert_eq!(deadlines.pop_due(start), None);
        assert!(deadlines.heap.is_empty());
    }

    /// Against a plain list, with moves in all directions.
    #[test]
    fn any_sequence_matches_a_plain_list() {
        let start = Instant::now();
        let (mut deadlines, mut plain) = (Deadlines::default(), [None; 16]);
        let (mut seed, mut now) = (1_u64, start);
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (client, delay) = ((seed >> 33) as usize % 16, (seed >> 40) % 500);
            let at = (delay % 7 != 0).then(|| now + Duration::from_millis(delay));
            deadlines.set(client, at);
            plain[client] = at;
            now += Duration::from_millis((seed >> 50) % 20);
            let mut due: Vec<_> = std::iter::from_fn(|| deadlines.pop_due(now)).collect();
            due.sort_unstable();
            let mut expected = Vec::new();
            for (client, at) in plain.iter_mut().enumerate() {
                if at.is_some_and(|at| at <= now) {
                    expected.push(client);
                    *at = None;
                }
            }
            assert_eq!(due, expected);
            let next = plain.iter().flatten().min();
            assert!(
                deadlines
                    .next()
                    .is_none_or(|at| next.is_none_or(|next| at <= *next))
            );
            assert!(next.is_none() || deadlines.next().is_some());
        }
    }

    #[test]
    fn a_deadline_that_moved_away_is_not_taken_for_the_old_one() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(0, Some(at(3)));
        deadlines.set(0, Some(at(6)));
        assert_eq!(deadlines.registered(0), Some(at(6)));
        assert_eq!(
            deadlines.pop_due(at(3)),
            None,
            "nobody looks after it at its old time"
        );
        assert_eq!(deadlines.pop_due(at(6)), Some(0));
        assert_eq!(deadlines.registered(0), None);
    }
}
