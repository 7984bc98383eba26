//! What to try at a step of the search.
//!
//! First the one that is given first. If that fails, not all others: take the one that ends first,
//! and all that can come next and is related to it, or to one of those that are related. Whatever
//! order there is, the first of these that it has can be moved to the front: what is before it has
//! nothing to do with it, and can come next, too, as the one that ends first has not been done. So
//! others need not be tried.
//!
//! If all of them fail, they are to blame, with those that were to blame for what came after them.
//! What was done just before the step may be none that is related to any of these. Then it does not
//! matter when that is done, and there is nothing to be tried in its place.
//!
//! What may have been done is followed by something related to it: if not, it can be moved behind
//! that, and out at the end. (Where it was given in its place it may be done there.) Where two of these follow each other and are not related, they are in
//! the order in which they were given.

use std::fmt;
use std::rc::Rc;

use super::failed::{Blame, Failed, Slot};
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
    /// What is to blame for what has failed so far.
    blame: Blame,
    /// Where to keep that.
    pub(super) slot: Option<Slot>,
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
            blame: Blame::default(),
            slot: None,
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
        let concerned = match frame.pending {
            Some(pending) => {
                // What cannot be next is kept from it by what ends first.
                frame.blame.insert(pending);
                frame.blame.insert(first);
                let mut allowed = self.can_be_next(frame.first_end);
                allowed.retain(|at| self.may_follow::<M>(frame.pending, *at));
                allowed
            }
            None => self.concerned::<M>(first),
        };
        // What came after the one that was tried matters only if it is one of these.
        if tried.is_some_and(|tried| !concerned.contains(&tried)) {
            frame.blame = Blame::default();
        }
        for at in &concerned {
            frame.blame.insert(*at);
        }
        let is_other = |at: &usize| Some(*at) != tried && !self.left.is_look(*at);
        let mut others: Vec<usize> = concerned.into_iter().filter(is_other).collect();
        // What may have been done comes last: it is the more unlikely.
        others.sort_unstable_by_key(|at| (self.is_possible(*at), self.left.turn(*at)));
        frame.choices.extend(others);
    }

    /// Nothing leads on from a step.
    pub(super) fn give_up<M: Model<Op = O>>(
        &mut self,
        frame: Frame<M::Undo>,
        before: Option<&mut Frame<M::Undo>>,
        failed: &mut Failed,
    ) {
        for _ in 0..frame.looks {
            if let Some(at) = self.order.last().copied() {
                self.put_back(at);
            }
        }
        let blame = Rc::new(frame.blame);
        if let Some(slot) = frame.slot {
            failed.fail(slot, Rc::clone(&blame));
        }
        let Some(before) = before else {
            return;
        };
        if let Some(at) = before.doing.as_ref().map(|(at, _)| *at) {
            self.blame::<M>(before, at, &blame);
        }
    }

    /// What comes after one of the choices of a step has failed.
    pub(super) fn blame<M: Model<Op = O>>(
        &self,
        frame: &mut Frame<M::Undo>,
        chosen: usize,
        blame: &Blame,
    ) {
        let is_related =
            |at: usize| at == chosen || M::related(&self.ops[chosen].1, &self.ops[at].1);
        if blame.is_none_of(is_related) {
            frame.blame = blame.clone();
            frame.choices.truncate(frame.next);
            frame.is_widened = true;
        } else {
            frame.blame.extend(blame);
        }
    }

    /// What can be next of all that has to do with what can, too.
    fn concerned<M: Model<Op = O>>(&self, first: usize) -> Vec<usize> {
        let first_end = self.left.end(first);
        let mut rest = self.can_be_next(first_end);
        rest.extend(self.left.looks_before(first_end));
        rest.retain(|at| *at != first);
        let mut concerned = vec![first];
        let mut next = 0;
        while let Some(at) = concerned.get(next).copied() {
            next += 1;
            rest.retain(|other| {
                let is_concerned = M::related(&self.ops[at].1, &self.ops[*other].1);
                if is_concerned {
                    concerned.push(*other);
                }
                !is_concerned
            });
        }
        concerned
    }

    /// What changes something and has begun before the first end.
    fn can_be_next(&self, first_end: u64) -> Vec<usize> {
        let changes = self.left.changes_before(first_end);
        changes
            .chain(self.left.possible_before(first_end))
            .collect()
    }

    fn may_follow<M: Model<Op = O>>(&self, pending: Option<usize>, at: usize) -> bool {
        pending.is_none_or(|pending| {
            M::related(&self.ops[pending].1, &self.ops[at].1)
                || self.is_possible(at) && self.left.class(at) > self.left.class(pending)
        })
    }
}
