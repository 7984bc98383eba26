//! [`Run`]: the writes of one client against its entries.

use std::collections::BTreeMap;

use super::super::history::Operation;
use super::super::log::Entry;
use super::super::violation::{Rule, Violation};
use super::makers::{Makers, looks_like};
use super::{Matching, Presence, Unrecorded, presence};

/// The writes of one client against its entries.
pub(super) struct Run<'a> {
    operations: &'a [Operation<'a>],
    log: &'a [Entry],
    writes: &'a [usize],
    /// The place of an operation among the writes.
    places: BTreeMap<usize, usize>,
    /// For each number of writes dealt with, the first of the others that must be in the log.
    required: Vec<usize>,
    makers: &'a Makers,
    unrecorded: Unrecorded,
}

/// That the first so many writes are dealt with, and the place in the step before this came from.
#[derive(Clone, Copy)]
struct Reached {
    writes: usize,
    from: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        operations: &'a [Operation<'a>],
        log: &'a [Entry],
        writes: &'a [usize],
        makers: &'a Makers,
        unrecorded: Unrecorded,
    ) -> Self {
        let mut required = vec![writes.len(); writes.len() + 1];
        for (at, write) in writes.iter().enumerate().rev() {
            required[at] = if presence(&operations[*write]) == Presence::Must {
                at
            } else {
                required[at + 1]
            };
        }
        let places = writes.iter().enumerate().map(|(at, write)| (*write, at));
        Self {
            operations,
            log,
            writes,
            places: places.collect(),
            required,
            makers,
            unrecorded,
        }
    }

    /// Pairs operations and entries.
    pub(super) fn match_up(
        &self,
        entries: &[usize],
        matching: &mut Matching,
    ) -> Result<(), Violation> {
        let mut steps = vec![vec![Reached { writes: 0, from: 0 }]];
        for entry in entries {
            let before = steps.last().map_or(&[][..], Vec::as_slice);
            let next = self.step(before, *entry);
            if next.is_empty() {
                return Err(self.explain(before, *entry));
            }
            steps.push(next);
        }
        let last = steps.last().map_or(&[][..], Vec::as_slice);
        let is_end = |reached: &Reached| self.required[reached.writes] == self.writes.len();
        let Some(mut at) = last.iter().position(is_end) else {
            let missing = last
                .last()
                .map_or(0, |reached| self.required[reached.writes]);
            let text = format!("not in the log: {}", self.operations[self.writes[missing]]);
            return Err(Violation::new(Rule::Applied, text));
        };
        self.spread(&steps, entries, matching);
        for (step, entry) in steps.windows(2).zip(entries).rev() {
            let reached = step[1][at];
            if reached.writes > step[0][reached.from].writes {
                let operation = self.writes[reached.writes - 1];
                matching.entries.insert(operation, *entry);
                matching.operations.insert(*entry, operation);
            }
            at = reached.from;
        }
        Ok(())
    }

    /// The places where the others that reach the end have what must be in the log.
    fn spread(&self, steps: &[Vec<Reached>], entries: &[usize], matching: &mut Matching) {
        let mut alive: Vec<usize> = (0..=self.writes.len())
            .filter(|writes| self.required[*writes] == self.writes.len())
            .collect();
        for (before, entry) in steps.iter().zip(entries).rev() {
            let mut alive_before = Vec::new();
            for reached in before {
                let mut is_alive = false;
                for next in self.next(reached.writes, *entry) {
                    if alive.binary_search(&next).is_err() {
                        continue;
                    }
                    is_alive = true;
                    if next > reached.writes && self.required[next - 1] == next - 1 {
                        let operation = self.writes[next - 1];
                        let spread = matching.spread.entry(operation);
                        // Backwards: the newest is the first.
                        spread.or_insert((*entry, *entry)).0 = *entry;
                    }
                }
                if is_alive {
                    alive_before.push(reached.writes);
                }
            }
            alive = alive_before;
        }
    }

    fn step(&self, before: &[Reached], entry: usize) -> Vec<Reached> {
        let mut next: BTreeMap<usize, usize> = BTreeMap::new();
        for (from, reached) in before.iter().enumerate() {
            for writes in self.next(reached.writes, entry) {
                next.entry(writes).or_insert(from);
            }
        }
        let reached = next.into_iter();
        reached
            .map(|(writes, from)| Reached { writes, from })
            .collect()
    }

    /// How many writes can be dealt with after an entry. None that must be in the log is left out.
    fn next(&self, writes: usize, entry: usize) -> impl Iterator<Item = usize> {
        let until = self.required[writes];
        let makers = self.makers.of(entry);
        let places = makers.filter_map(|operation| self.places.get(&operation).copied());
        let done = places.filter(move |at| (writes..=until).contains(at));
        let unrecorded = self.unrecorded == Unrecorded::Writes;
        unrecorded
            .then_some(writes)
            .into_iter()
            .chain(done.map(|at| at + 1))
    }

    /// Why no operation can have made an entry.
    fn explain(&self, before: &[Reached], index: usize) -> Violation {
        let entry = &self.log[index];
        let done = before.last().map_or(0, |reached| reached.writes);
        let of = |at: usize| &self.operations[self.writes[at]];
        let like: Vec<usize> = (0..self.writes.len())
            .filter(|at| looks_like(of(*at), entry))
            .collect();
        let missing = Some(self.required[done]).filter(|at| *at < self.writes.len());
        let is = |wanted| move |at: &&usize| **at >= done && presence(of(**at)) == wanted;
        let places = |operation| self.places.get(&operation).copied();
        let mut makers = self.makers.of(index).filter_map(places);
        let is_later = makers.any(|at| missing.is_some_and(|missing| at > missing));
        let (rule, why, at) = if let (Some(at), true) = (missing, is_later) {
            (Rule::Applied, "not in the log at its time, by", at)
        } else if let Some(at) = like.iter().find(is(Presence::Never)) {
            (Rule::NotApplied, "in the log as", *at)
        } else if let Some(at) = like.iter().find(|at| **at < done) {
            (Rule::NotApplied, "once more in the log, as", *at)
        } else if let (Some(at), false) = (missing, like.is_empty()) {
            (Rule::Applied, "not in the log at its time, by", at)
        } else if let Some(at) = like.iter().find(is(Presence::May)) {
            (
                Rule::NotApplied,
                "not what was asked for, or too early:",
                *at,
            )
        } else {
            let text = format!("nobody asked for it: {entry}");
            return Violation::new(Rule::NotApplied, text);
        };
        Violation::new(rule, format!("{why} {entry}: {}", of(at)))
    }
}
