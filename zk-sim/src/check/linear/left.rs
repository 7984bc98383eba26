//! [`Left`]: what is still to be done, and what still may be.

use std::collections::{BTreeMap, BTreeSet};

use super::{Model, Span};

/// What has been done of everything.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// What had to be: the sum of what stands for each, equal for equal sets.
    pub(super) required: u128,
    /// What may have been: a bit each.
    pub(super) possible: Vec<u64>,
}

/// What there is to be done.
pub(super) struct Left {
    spans: Vec<Span>,
    is_look: Vec<bool>,
    /// What has to be done, by its end.
    by_end: BTreeSet<(u64, usize)>,
    /// What of it changes something, and what only looks, by its beginning.
    changes: BTreeSet<(u64, usize)>,
    looks: BTreeSet<(u64, usize)>,
    /// What may be done, by its beginning: of those that are alike, the first.
    possible: BTreeSet<(u64, usize)>,
    /// The next one that is like it.
    next_alike: Vec<Option<usize>>,
    /// The first one that is like it, or itself.
    class: Vec<usize>,
    /// Its bit.
    bit: Vec<usize>,
    /// When to try it. Those that are alike are done in the order of their beginnings, whichever of
    /// them was thought to be where.
    turn: Vec<usize>,
    /// What may be done, by its turn.
    by_turn: BTreeSet<(usize, usize)>,
    done: Done,
}

impl Left {
    pub(super) fn new<M: Model>(ops: &[(Span, M::Op)]) -> Self {
        let mut left = Self {
            spans: ops.iter().map(|(span, _)| *span).collect(),
            is_look: ops.iter().map(|(_, op)| M::is_look(op)).collect(),
            by_end: BTreeSet::new(),
            changes: BTreeSet::new(),
            looks: BTreeSet::new(),
            possible: BTreeSet::new(),
            next_alike: vec![None; ops.len()],
            class: (0..ops.len()).collect(),
            bit: vec![0; ops.len()],
            turn: (0..ops.len()).collect(),
            by_turn: BTreeSet::new(),
            done: Done::default(),
        };
        let mut possible = Vec::new();
        for (at, (span, _)) in ops.iter().enumerate() {
            match *span {
                Span::Within(begin, end) => {
                    left.by_end.insert((end, at));
                    left.started(at).insert((begin, at));
                }
                Span::AfterOrNever(begin) => possible.push((begin, at)),
            }
        }
        possible.sort_unstable();
        left.done.possible = vec![0; possible.len().div_ceil(64)];
        let mut newest: Vec<usize> = Vec::new();
        let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (bit, (begin, at)) in possible.into_iter().enumerate() {
            left.bit[at] = bit;
            let like = |other: &&mut usize| M::alike(&ops[**other].1, &ops[at].1);
            if let Some(other) = newest.iter_mut().find(like) {
                left.next_alike[*other] = Some(at);
                left.class[at] = left.class[*other];
                *other = at;
            } else {
                newest.push(at);
                left.possible.insert((begin, at));
            }
            classes.entry(left.class[at]).or_default().push(at);
        }
        for members in classes.into_values() {
            let mut turns = members.clone();
            turns.sort_unstable();
            for (at, turn) in members.iter().zip(turns) {
                left.turn[*at] = turn;
            }
            left.by_turn.insert((left.turn[members[0]], members[0]));
        }
        left
    }

    pub(super) fn take(&mut self, at: usize) {
        match self.spans[at] {
            Span::Within(begin, end) => {
                self.by_end.remove(&(end, at));
                self.started(at).remove(&(begin, at));
                self.done.required = self.done.required.wrapping_add(scatter(at));
            }
            Span::AfterOrNever(begin) => {
                self.remove_possible(begin, at);
                if let Some(next) = self.next_alike[at] {
                    self.insert_possible(self.begin(next), next);
                }
                self.done.possible[self.bit[at] / 64] |= 1 << (self.bit[at] % 64);
            }
        }
    }

    pub(super) fn put_back(&mut self, at: usize) {
        match self.spans[at] {
            Span::Within(begin, end) => {
                self.by_end.insert((end, at));
                self.started(at).insert((begin, at));
                self.done.required = self.done.required.wrapping_sub(scatter(at));
            }
            Span::AfterOrNever(begin) => {
                if let Some(next) = self.next_alike[at] {
                    self.remove_possible(self.begin(next), next);
                }
                self.insert_possible(begin, at);
                self.done.possible[self.bit[at] / 64] &= !(1 << (self.bit[at] % 64));
            }
        }
    }

    pub(super) fn done(&self) -> &Done {
        &self.done
    }

    pub(super) fn is_over(&self) -> bool {
        self.by_end.is_empty()
    }

    /// What ends first, and when.
    pub(super) fn first_end(&self) -> Option<(u64, usize)> {
        self.by_end.first().copied()
    }

    pub(super) fn begin(&self, at: usize) -> u64 {
        match self.spans[at] {
            Span::Within(begin, _) | Span::AfterOrNever(begin) => begin,
        }
    }

    /// What may be done has none.
    pub(super) fn end(&self, at: usize) -> u64 {
        match self.spans[at] {
            Span::Within(_, end) => end,
            Span::AfterOrNever(_) => u64::MAX,
        }
    }

    /// Equal for those that are alike.
    pub(super) fn class(&self, at: usize) -> usize {
        self.class[at]
    }

    /// When to try it, among others.
    pub(super) fn turn(&self, at: usize) -> usize {
        self.turn[at]
    }

    pub(super) fn is_look(&self, at: usize) -> bool {
        self.is_look[at]
    }

    /// What changes something and has begun before a moment.
    pub(super) fn changes_before(&self, moment: u64) -> impl Iterator<Item = usize> {
        before(&self.changes, moment)
    }

    /// What only looks and has begun before a moment.
    pub(super) fn looks_before(&self, moment: u64) -> impl Iterator<Item = usize> {
        before(&self.looks, moment)
    }

    /// What may be done and has begun before a moment: of those that are alike, the first.
    pub(super) fn possible_before(&self, moment: u64) -> impl Iterator<Item = usize> {
        before(&self.possible, moment)
    }

    /// What may be done, has begun before a moment, and has its turn between two others.
    pub(super) fn possible_between(
        &self,
        after: usize,
        before: usize,
        moment: u64,
    ) -> Option<usize> {
        let mut between = self.by_turn.range((after, 0)..(before.max(after), 0));
        let found = between.find(|(_, at)| self.begin(*at) < moment);
        found.map(|(_, at)| *at)
    }

    /// What has to be done and can be next: it has begun before the first end.
    pub(super) fn candidates(&self) -> Vec<usize> {
        let moment = self.first_end().map_or(0, |(end, _)| end);
        let mut candidates: Vec<usize> = self.changes_before(moment).collect();
        candidates.extend(self.looks_before(moment));
        candidates.sort_unstable();
        candidates
    }

    fn insert_possible(&mut self, begin: u64, at: usize) {
        self.possible.insert((begin, at));
        self.by_turn.insert((self.turn[at], at));
    }

    fn remove_possible(&mut self, begin: u64, at: usize) {
        self.possible.remove(&(begin, at));
        self.by_turn.remove(&(self.turn[at], at));
    }

    fn started(&mut self, at: usize) -> &mut BTreeSet<(u64, usize)> {
        if self.is_look[at] {
            &mut self.looks
        } else {
            &mut self.changes
        }
    }
}

fn before(set: &BTreeSet<(u64, usize)>, moment: u64) -> impl Iterator<Item = usize> {
    set.range(..(moment, 0)).map(|(_, at)| *at)
}

/// A number of 128 bits for a small one, that sums tell apart.
fn scatter(at: usize) -> u128 {
    // The finish of SplitMix64, by two odd constants.
    let half = |salt: u64| {
        let mut bits = (at as u64).wrapping_add(1).wrapping_mul(salt);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(bits ^ (bits >> 31))
    };
    half(0x9e37_79b9_7f4a_7c15) << 64 | half(0xd1b5_4a32_d192_ed03)
}
