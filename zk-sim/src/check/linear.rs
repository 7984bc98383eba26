//! Linearizability: is there one order of all operations that explains every result, and keeps each
//! operation between its beginning and its end?
//!
//! This is the search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with what
//! Lowe added to it ("Testing for Linearizability", 2017): a configuration, which is the set of the
//! operations done and the state they led to, is left for good once it has failed. It needs to know
//! nothing but the history, but it goes where it is told to go first: given an order that is right,
//! it takes one step for each operation. Only what is wrong is searched, and of that as little as
//! possible:
//!
//! * What was not done is not given to it.
//! * What was done without a result may have any, but a failure.
//! * What only looks is done at once and for good where it fits: it is in nobody's way.
//! * Where the first way fails, others are tried only with what has to do with it, and with what has
//!   to do with that: `choices` has the argument.
//! * What *may* have been done has no end. It is right later whenever it is right earlier, unless
//!   something comes between that shows it: so it is done just before something related.
//! * Of two configurations that differ in what may have been done and is done already, the one where
//!   more is left can do all that the other one can. Of those that are alike, the first is taken.
//!
//! Two crates come near. The tester of `stateright` repeats failed configurations and comes with a
//! model checker and its web server; the one of `todc-utils` has memory, but every call must have
//! returned. Neither has operations that may have been done, which is all that faults are about.

use std::fmt;

mod choices;
mod failed;
mod left;
#[cfg(test)]
mod tests;

use failed::Failed;
use left::Left;

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

    /// Do these two, neither of which has a result, do the same wherever they are done? A wrong no
    /// costs time only.
    fn alike(_left: &Self::Op, _right: &Self::Op) -> bool {
        false
    }
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

/// Why there is no order, as far as that is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stuck {
    /// The steps after which the search was given up, if it was.
    pub(super) given_up: Option<usize>,
    /// How far it went at most.
    pub(super) text: String,
}

/// Looks for an order, in no more than `budget` steps.
///
/// They are tried in the order in which they are given: the nearer that is to a right one the sooner
/// it is found. What may have been done and probably was not goes to the end.
pub fn linearize<M: Model>(mut model: M, ops: &[(Span, M::Op)], budget: usize) -> Verdict {
    match search(&mut model, ops, budget) {
        Ok(order) => Verdict::Linearizable(order),
        Err(Stuck {
            given_up: Some(steps),
            ..
        }) => Verdict::Undecided(steps),
        Err(Stuck { text, .. }) => Verdict::Refuted(text),
    }
}

/// As [`linearize`], and says how far it came even if it was given up.
pub(super) fn search<M: Model>(
    model: &mut M,
    ops: &[(Span, M::Op)],
    budget: usize,
) -> Result<Vec<usize>, Stuck> {
    let mut search = Search {
        ops,
        left: Left::new::<M>(ops),
        order: Vec::new(),
        best: (0, Vec::new()),
    };
    search.run(model, budget)
}

struct Search<'a, O> {
    ops: &'a [(Span, O)],
    /// What is to be done, and what may be.
    left: Left,
    order: Vec<usize>,
    /// The longest order so far, and what could not come next.
    best: (usize, Vec<usize>),
}

impl<O: fmt::Display> Search<'_, O> {
    fn run<M: Model<Op = O>>(&mut self, model: &mut M, budget: usize) -> Result<Vec<usize>, Stuck> {
        let mut failed = Failed::default();
        let mut frames = vec![self.frame(model, None, None)];
        let mut steps = 0;
        while let Some(frame) = frames.last_mut() {
            if self.left.is_over() {
                return Ok(std::mem::take(&mut self.order));
            }
            if let Some((at, undo)) = frame.doing.take() {
                model.undo(undo);
                self.put_back(at);
            }
            let Some(at) = frame.choose() else {
                if !frame.is_widened {
                    self.note_best();
                    self.widen::<M>(frame);
                } else if let Some(over) = frames.pop() {
                    self.give_up::<M>(over, frames.last_mut(), &mut failed);
                }
                continue;
            };
            steps += 1;
            if steps > budget {
                return Err(self.stuck(Some(budget)));
            }
            let before = model.fingerprint();
            let Some(undo) = model.apply(&self.ops[at].1) else {
                continue;
            };
            // What may have been done, but changes nothing, is as well not done.
            if self.is_possible(at) && model.fingerprint() == before {
                model.undo(undo);
                continue;
            }
            let first_end = frame.first_end;
            self.left.take(at);
            self.order.push(at);
            // Where it was given is where it is likely to be, whatever follows.
            let is_guess = self.is_possible(at) && frame.is_widened;
            let pending = is_guess.then_some(at);
            frame.doing = Some((at, undo));
            match failed.enter(self.left.done(), model.fingerprint(), pending) {
                Ok(slot) => {
                    let mut next = self.frame(model, Some((at, first_end)), pending);
                    next.slot = slot;
                    frames.push(next);
                }
                Err(blame) => self.blame::<M>(frame, at, &blame),
            }
        }
        Err(self.stuck(None))
    }

    fn is_possible(&self, at: usize) -> bool {
        matches!(self.ops[at].0, Span::AfterOrNever(_))
    }

    fn put_back(&mut self, at: usize) {
        self.order.pop();
        self.left.put_back(at);
    }

    /// The first to come that far is the one that went where it was told to go.
    fn note_best(&mut self) {
        if self.best.1.is_empty() || self.order.len() > self.best.0 {
            self.best = (self.order.len(), self.order.clone());
            self.best.1.extend(self.left.candidates());
        }
    }

    fn stuck(&self, given_up: Option<usize>) -> Stuck {
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
        Stuck { given_up, text }
    }
}
