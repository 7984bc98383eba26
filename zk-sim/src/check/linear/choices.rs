//! What to try at a step of the search.
//!
//! First the one that is given first. If that fails, not all others: take one that must be done, and
//! all that can come before its end and is related to it, or to one of those that are related, or
//! must come before one of those. Whatever order there is, the first of these that it has can be
//! moved to the front: what is before it has nothing to do with it. So others need not be tried.
//!
//! What may have been done is followed by something related to it: if not, it can be moved behind
//! that, and out at the end. (Where it was given in its place it may be done there.) Where two of these follow each other and are not related, they are in
//! the order in which they were given.

use std::fmt;

use super::{Model, Search};

/// One step of the search, and what else could be done in its place.
pub(super) struct Frame<U> {
    /// How many looks were done first, which are no choice.
    pub(super) looks: usize,
    /// The first end of what was left then.
    pub(super) first_end: u64,
    /// What may have been done and was guessed to be just before.
    pending: Option<usize>,
    choices: Vec<usize>,
    next: usize,
    /// The first has failed, and the others are among the choices.
    pub(super) is_widened: bool,
    /// What was done from here, while that is looked into.
    pub(super) doing: Option<(usize, U)>,
}

impl<U> Frame<U> {
    pub(super) fn choose(&mut self) -> Option<usize> {
        let chosen = self.choices.get(self.next).copied()?;
        self.next += 1;
        Some(chosen)
    }
}

impl<O: fmt::Display> Search<'_, O> {
    /// A step that follows `newest`, before which this was the first end, and must be related to
    /// `pending`.
    pub(super) fn frame<M: Model<Op = O>>(
        &mut self,
        model: &mut M,
        newest: Option<(usize, u64)>,
        pending: Option<usize>,
    ) -> Frame<M::Undo> {
        let looks = self.look_around(model, newest);
        let mut frame = Frame {
            looks,
            first_end: self.left.first_end().map_or(u64::MAX, |(end, _)| end),
            // A look shows what comes before it.
            pending: pending.filter(|_| looks == 0),
            choices: Vec::new(),
            next: 0,
            is_widened: false,
            doing: None,
        };
        let first = self.first_choice(&frame, newest.map(|(at, _)| at));
        let allowed = |at: &usize| self.may_follow::<M>(frame.pending, *at);
        frame.choices = first.filter(allowed).into_iter().collect();
        frame
    }

    /// Does all looks that fit. Those that did not fit before do now only if the newest operation
    /// is related to them.
    fn look_around<M: Model<Op = O>>(
        &mut self,
        model: &mut M,
        newest: Option<(usize, u64)>,
    ) -> usize {
        let (mut count, mut known) = (0, 0);
        while let Some((first_end, _)) = self.left.first_end().filter(|(end, _)| *end > known) {
            let is_worth_it = |at: &usize| {
                self.left.begin(*at) >= known
                    && newest.is_none_or(|(newest, end)| {
                        self.left.begin(*at) >= end
                            || M::related(&self.ops[newest].1, &self.ops[*at].1)
                    })
            };
            let mut fitting = Vec::new();
            for at in self.left.looks_before(first_end).filter(is_worth_it) {
                if let Some(undo) = model.apply(&self.ops[at].1) {
                    model.undo(undo);
                    fitting.push(at);
                }
            }
            for at in fitting {
                self.left.take(at);
                self.order.push(at);
                count += 1;
            }
            known = first_end;
        }
        count
    }

    /// The first one in the order given. What may have been done is tried in its place, if it has
    /// one: between the newest change and something that is still to be done.
    fn first_choice<U>(&self, frame: &Frame<U>, newest: Option<usize>) -> Option<usize> {
        let first_end = frame.first_end;
        let required = self.left.changes_before(first_end).min();
        let last = self
            .left
            .changes_before(first_end)
            .chain(self.left.looks_before(first_end))
            .max()?;
        let after = newest.map_or(0, |newest| self.left.turn(newest) + 1);
        let before = required.unwrap_or(last);
        let possible = self.left.possible_between(after, before, first_end);
        possible.or(required)
    }

    /// The first choice has failed.
    pub(super) fn widen<M: Model<Op = O>>(&self, frame: &mut Frame<M::Undo>) {
        frame.is_widened = true;
        let Some((_, first)) = self.left.first_end() else {
            return;
        };
        let tried = frame.choices.first().copied();
        let mut others = if frame.pending.is_some() {
            let changes = self.left.changes_before(frame.first_end);
            changes
                .chain(self.left.possible_before(frame.first_end))
                .filter(|at| self.may_follow::<M>(frame.pending, *at))
                .collect()
        } else {
            let mut fewest = self.concerned::<M>(first);
            let required = tried.filter(|at| !self.is_possible(*at));
            if let Some(other) = required.filter(|at| *at != first) {
                let others = self.concerned::<M>(other);
                if others.len() < fewest.len() {
                    fewest = others;
                }
            }
            fewest
        };
        // What may have been done comes last: it is the more unlikely.
        others.retain(|at| Some(*at) != tried);
        others.sort_unstable_by_key(|at| (self.is_possible(*at), self.left.turn(*at)));
        frame.choices.extend(others);
    }

    /// What can be next of all that has to do with one that must be done.
    fn concerned<M: Model<Op = O>>(&self, required: usize) -> Vec<usize> {
        let Some((first_end, _)) = self.left.first_end() else {
            return Vec::new();
        };
        let end = self.left.end(required);
        let mut rest: Vec<usize> = self
            .left
            .changes_before(end)
            .chain(self.left.looks_before(end))
            .chain(self.left.possible_before(end))
            .filter(|at| *at != required)
            .collect();
        let mut concerned = vec![required];
        let mut next = 0;
        while let Some(at) = concerned.get(next).copied() {
            next += 1;
            // Where it must wait for others, it is those that can be next.
            let begin = self.left.begin(at);
            rest.retain(|other| {
                let before = begin >= first_end && self.left.end(*other) <= begin;
                let is_concerned = before || M::related(&self.ops[at].1, &self.ops[*other].1);
                if is_concerned {
                    concerned.push(*other);
                }
                !is_concerned
            });
        }
        concerned.retain(|at| self.left.begin(*at) < first_end && !self.left.is_look(*at));
        concerned
    }

    fn may_follow<M: Model<Op = O>>(&self, pending: Option<usize>, at: usize) -> bool {
        pending.is_none_or(|pending| {
            M::related(&self.ops[pending].1, &self.ops[at].1)
                || self.is_possible(at) && self.left.class(at) > self.left.class(pending)
        })
    }
}
