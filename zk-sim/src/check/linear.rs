//! Linearizability: is there one order of all operations that explains every result, and keeps each
//! operation between its beginning and its end?
//!
//! This is the search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with what
//! Lowe added to it ("Testing for Linearizability", 2017): a configuration, which is the set of the
//! operations done and the state they led to, is left for good once it has failed; and operations
//! that have nothing to do with each other are searched apart. It needs to know nothing but the
//! history.
//!
//! * What was not done is not given to it.
//! * What was done without a result may have any, but a failure.
//! * What only looks is done at once and for good where it fits: it is in nobody's way.
//! * What *may* have been done has no end. It is tried last, when without it nothing fits, and only
//!   where it changes something that matters to what does not fit: delayed until it shows, it is
//!   right whenever it is right earlier. This is what keeps many such operations affordable.
//!
//! Two crates come near. The tester of `stateright` repeats failed configurations and comes with a
//! model checker and its web server; the one of `todc-utils` has memory, but every call must have
//! returned. Neither has operations that may have been done, which is all that faults are about.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

#[cfg(test)]
mod tests;

/// A sequential object.
pub trait Model {
    /// What can be done with it.
    type Op: fmt::Display;
    /// What brings it back to where it was.
    type Undo;

    /// Does an operation, with its result if it has one. `None`, and no change, if it cannot have
    /// that result here.
    fn apply(&mut self, op: &Self::Op) -> Option<Self::Undo>;

    /// Takes the newest operation back.
    fn undo(&mut self, undo: Self::Undo);

    /// Equal for equal states, and different for different ones but for odds that do not matter.
    fn fingerprint(&self) -> u128;

    /// Is this one, with the result that it has, never more than a look?
    fn is_look(op: &Self::Op) -> bool;

    /// May doing one of these change what the other one does? A wrong yes costs time only.
    fn related(left: &Self::Op, right: &Self::Op) -> bool;
}

/// When an operation took effect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third")]
pub enum Span {
    /// Between these two moments.
    Within(u64, u64),
    /// Any time after this one, or never.
    AfterOrNever(u64),
}

/// What the search found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Verdict {
    /// An order, as places in what was given.
    Linearizable(Vec<usize>),
    /// There is none: how far it went at most, for people to read.
    Refuted(String),
    /// Not known after that many steps.
    Undecided(usize),
}

/// Looks for an order, in no more than `budget` steps.
///
/// They are tried in the order in which they are given: the nearer that is to a right one the sooner
/// it is found. What may have been done and probably was not goes to the end.
pub fn linearize<M: Model>(mut model: M, ops: &[(Span, M::Op)], budget: usize) -> Verdict {
    let mut search = Search {
        ops,
        by_begin: BTreeSet::new(),
        by_end: BTreeSet::new(),
        possible: BTreeSet::new(),
        order: Vec::new(),
        done: 0,
        best: (0, Vec::new()),
    };
    for (at, (span, _)) in ops.iter().enumerate() {
        match *span {
            Span::Within(begin, end) => {
                search.by_begin.insert((begin, at));
                search.by_end.insert((end, at));
            }
            Span::AfterOrNever(begin) => {
                search.possible.insert((begin, at));
            }
        }
    }
    search.run(&mut model, budget)
}

/// One step of the search, and what else could be done in its place.
struct Frame<U> {
    known: Vec<usize>,
    next: usize,
    /// The known ones have failed, and these are tried.
    last_resort: bool,
    /// What was done from here, while that is looked into.
    doing: Option<(usize, U)>,
}

struct Search<'a, O> {
    ops: &'a [(Span, O)],
    /// What is to be done, by its beginning and by its end.
    by_begin: BTreeSet<(u64, usize)>,
    by_end: BTreeSet<(u64, usize)>,
    /// What may be done.
    possible: BTreeSet<(u64, usize)>,
    order: Vec<usize>,
    /// The sum of what stands for the operations done: equal for equal sets.
    done: u128,
    /// The longest order so far, and what could not come next.
    best: (usize, Vec<usize>),
}

impl<O: fmt::Display> Search<'_, O> {
    fn run<M: Model<Op = O>>(&mut self, model: &mut M, budget: usize) -> Verdict {
        let mut entered: BTreeSet<(u128, u128)> = BTreeSet::new();
        let mut frames = vec![self.frame(model)];
        let mut steps = 0;
        while let Some(frame) = frames.last_mut() {
            if self.by_end.is_empty() {
                return Verdict::Linearizable(std::mem::take(&mut self.order));
            }
            if let Some((at, undo)) = frame.doing.take() {
                model.undo(undo);
                self.put_back(at);
            }
            let Some(at) = frame.known.get(frame.next).copied() else {
                if frame.last_resort {
                    frames.pop();
                } else {
                    frame.last_resort = true;
                    let more = self.last_resort::<M>();
                    frame.known.extend(more);
                    if self.order.len() >= self.best.0 {
                        let stuck = self.candidates();
                        self.best = (self.order.len(), self.order.clone());
                        self.best.1.extend(stuck);
                    }
                }
                continue;
            };
            frame.next += 1;
            steps += 1;
            if steps > budget {
                return Verdict::Undecided(budget);
            }
            let before = model.fingerprint();
            let Some(undo) = model.apply(&self.ops[at].1) else {
                continue;
            };
            // What may have been done, but changes nothing, is as well not done.
            let possible = matches!(self.ops[at].0, Span::AfterOrNever(_));
            if possible && model.fingerprint() == before {
                model.undo(undo);
                continue;
            }
            self.take(at);
            frame.doing = Some((at, undo));
            if entered.insert((self.done, model.fingerprint())) {
                let next = self.frame(model);
                frames.push(next);
            }
        }
        Verdict::Refuted(self.describe())
    }

    fn frame<M: Model<Op = O>>(&self, model: &mut M) -> Frame<M::Undo> {
        let mut known = self.candidates();
        for at in known.iter().filter(|at| M::is_look(&self.ops[**at].1)) {
            if let Some(undo) = model.apply(&self.ops[*at].1) {
                model.undo(undo);
                return Frame {
                    known: vec![*at],
                    next: 0,
                    last_resort: true,
                    doing: None,
                };
            }
        }
        // What may have been done is tried in its place, if it has one.
        if let (Some(last), Some((first_end, _))) = (known.last().copied(), self.by_end.first()) {
            let begun = self
                .possible
                .iter()
                .take_while(|(begin, _)| begin < first_end);
            known.extend(begun.map(|(_, at)| *at).filter(|at| *at < last));
            known.sort_unstable();
        }
        Frame {
            known,
            next: 0,
            last_resort: false,
            doing: None,
        }
    }

    /// What can be next: what has begun before the first end of those left.
    fn candidates(&self) -> Vec<usize> {
        let Some((first_end, _)) = self.by_end.first().copied() else {
            return Vec::new();
        };
        let mut candidates: Vec<usize> = self
            .by_begin
            .iter()
            .take_while(|(begin, _)| *begin < first_end)
            .map(|(_, at)| *at)
            .collect();
        candidates.sort_unstable();
        candidates
    }

    /// What may have been done, and could help a candidate, be it by helping another that does.
    fn last_resort<M: Model<Op = O>>(&self) -> Vec<usize> {
        let Some((first_end, _)) = self.by_end.first().copied() else {
            return Vec::new();
        };
        let mut left: Vec<usize> = self
            .possible
            .iter()
            .take_while(|(begin, _)| *begin < first_end)
            .map(|(_, at)| *at)
            .collect();
        let mut found = Vec::new();
        let mut helped = self.candidates();
        while !helped.is_empty() && !left.is_empty() {
            let (near, far) = left.into_iter().partition(|at| {
                let helps = |other: &usize| M::related(&self.ops[*at].1, &self.ops[*other].1);
                helped.iter().any(helps)
            });
            (helped, left) = (near, far);
            found.extend(helped.iter().copied());
        }
        found
    }

    fn take(&mut self, at: usize) {
        match self.ops[at].0 {
            Span::Within(begin, end) => {
                self.by_begin.remove(&(begin, at));
                self.by_end.remove(&(end, at));
            }
            Span::AfterOrNever(begin) => {
                self.possible.remove(&(begin, at));
            }
        }
        self.order.push(at);
        self.done = self.done.wrapping_add(scatter(at));
    }

    fn put_back(&mut self, at: usize) {
        match self.ops[at].0 {
            Span::Within(begin, end) => {
                self.by_begin.insert((begin, at));
                self.by_end.insert((end, at));
            }
            Span::AfterOrNever(begin) => {
                self.possible.insert((begin, at));
            }
        }
        self.order.pop();
        self.done = self.done.wrapping_sub(scatter(at));
    }

    fn describe(&self) -> String {
        let (count, order) = &self.best;
        let (done, stuck) = order.split_at(*count);
        let mut text = format!("after {count} operations, of which the last are\n");
        for at in &done[done.len().saturating_sub(8)..] {
            text += &format!("    {}\n", self.ops[*at].1);
        }
        text += "none of these can follow, nor with what may have been done before it\n";
        for at in stuck {
            text += &format!("    {}\n", self.ops[*at].1);
        }
        text
    }
}

/// A number of 128 bits for a small one, that sums tell apart.
fn scatter(at: usize) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, at).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
