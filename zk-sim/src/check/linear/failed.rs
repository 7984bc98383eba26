//! [`Failed`]: configurations that need not be looked into any more.

use std::collections::HashMap;

use super::left::Done;

/// Sets of what may have been, kept for one configuration. More are forgotten, which costs time only.
const KEPT: usize = 32;

/// What has been done that had to be, the state, and what may have been done just before.
type Key = (u128, u128, Option<usize>);

/// The configurations that were entered.
///
/// One that was and has not failed is on the way here. Then nothing but what may have been done lies
/// between the two, for nothing: what leads on from here leads on from there.
#[derive(Default)]
pub(super) struct Failed(HashMap<Key, Vec<Vec<u64>>>);

impl Failed {
    /// Enters a configuration. Is it none from which no more is possible than from another one?
    pub(super) fn is_new(&mut self, done: &Done, state: u128, pending: Option<usize>) -> bool {
        let entered = self.0.entry((done.required, state, pending)).or_default();
        let mut entered_with = entered.iter();
        if entered_with.any(|fewer| is_within(fewer, &done.possible)) {
            return false;
        }
        if entered.len() < KEPT {
            entered.push(done.possible.clone());
        }
        true
    }
}

fn is_within(fewer: &[u64], more: &[u64]) -> bool {
    fewer
        .iter()
        .zip(more)
        .all(|(fewer, more)| fewer & !more == 0)
}
