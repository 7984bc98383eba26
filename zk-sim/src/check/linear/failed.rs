//! [`Failed`]: configurations that need not be looked into any more, and [`Blame`], why.

use std::collections::HashMap;
use std::rc::Rc;

use super::left::Done;

/// Sets of what may have been, kept for one configuration. More are forgotten, which costs time only.
const KEPT: usize = 32;

/// What has been done that had to be, the state, and what may have been done just before.
type Key = (u128, u128, Option<usize>);

/// The operations that are to blame: whatever is done with others does not help.
#[derive(Clone, Debug, Default)]
pub(super) struct Blame {
    bits: Vec<u64>,
    /// It is not known which they are.
    is_unknown: bool,
}

impl Blame {
    pub(super) fn unknown() -> Self {
        Self {
            bits: Vec::new(),
            is_unknown: true,
        }
    }

    pub(super) fn insert(&mut self, at: usize) {
        if self.bits.len() <= at / 64 {
            self.bits.resize(at / 64 + 1, 0);
        }
        self.bits[at / 64] |= 1 << (at % 64);
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.is_unknown |= other.is_unknown;
        if self.bits.len() < other.bits.len() {
            self.bits.resize(other.bits.len(), 0);
        }
        for (bits, more) in self.bits.iter_mut().zip(&other.bits) {
            *bits |= more;
        }
    }

    /// Is it known to be none of these?
    pub(super) fn is_none_of(&self, is_one: impl Fn(usize) -> bool) -> bool {
        !self.is_unknown && !self.iter().any(is_one)
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.bits.iter().enumerate().flat_map(|(word, bits)| {
            (0..64)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| word * 64 + bit)
        })
    }
}

/// Where the blame for a configuration is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(Key, usize);

/// A configuration that was entered: with what of that which may have been, and the blame if it has
/// failed.
struct Entered {
    with: Vec<u64>,
    blame: Option<Rc<Blame>>,
}

/// The configurations that were entered.
///
/// One that was and has not failed is on the way here. Then nothing but what may have been done lies
/// between the two, for nothing: what leads on from here leads on from there.
#[derive(Default)]
pub(super) struct Failed(HashMap<Key, Vec<Entered>>);

impl Failed {
    /// Enters a configuration, unless it is one from which no more is possible than from another
    /// one: then that is to blame.
    pub(super) fn enter(
        &mut self,
        done: &Done,
        state: u128,
        pending: Option<usize>,
    ) -> Result<Option<Slot>, Rc<Blame>> {
        let key = (done.required, state, pending);
        let entered = self.0.entry(key).or_default();
        let has_fewer = |entered: &&Entered| is_within(&entered.with, &done.possible);
        if let Some(found) = entered.iter().find(has_fewer) {
            let blame = found.blame.clone();
            return Err(blame.unwrap_or_else(|| Rc::new(Blame::unknown())));
        }
        if entered.len() >= KEPT {
            return Ok(None);
        }
        entered.push(Entered {
            with: done.possible.clone(),
            blame: None,
        });
        Ok(Some(Slot(key, entered.len() - 1)))
    }

    /// A configuration has failed.
    pub(super) fn fail(&mut self, slot: Slot, blame: Rc<Blame>) {
        if let Some(entered) = self.0.get_mut(&slot.0).and_then(|all| all.get_mut(slot.1)) {
            entered.blame = Some(blame);
        }
    }
}

fn is_within(fewer: &[u64], more: &[u64]) -> bool {
    fewer
        .iter()
        .zip(more)
        .all(|(fewer, more)| fewer & !more == 0)
}
