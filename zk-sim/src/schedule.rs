//! What is to happen, in the order of time; of one time, in the order of its being planned.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A queue of events by (time, sequence number).
#[derive(Debug)]
pub(crate) struct Schedule<E> {
    heap: BinaryHeap<Entry<E>>,
    planned: u64,
}

#[derive(Debug)]
struct Entry<E> {
    at: u64,
    number: u64,
    event: E,
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            planned: 0,
        }
    }
}

impl<E> Schedule<E> {
    pub(crate) fn plan(&mut self, at: u64, event: E) {
        let number = self.planned;
        self.planned += 1;
        self.heap.push(Entry { at, number, event });
    }

    /// When the next event is due.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// Takes all events out, to be dropped elsewhere.
    pub(crate) fn take(&mut self) -> impl Sized + use<E> {
        std::mem::take(&mut self.heap)
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap hands out the greatest first.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_they_were_planned() {
        let mut schedule = Schedule::default();
        for (at, name) in [(5, 'd'), (1, 'a'), (5, 'e'), (1, 'b'), (3, 'c')] {
            schedule.plan(at, name);
        }
        assert_eq!(schedule.next(), Some(1));
        let order: String = std::iter::from_fn(|| schedule.pop())
            .map(|it| it.1)
            .collect();
        assert_eq!(order, "abcde");
    }
}
