//! [`Pace`]: virtual time that follows a clock of somebody else.

use std::task::Waker;
use std::time::Duration;

use super::Sim;
use super::run::Limit;
use crate::SimError;

/// What is to be done while nothing can run: an answer to [`Sim::run_paced`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Pace {
    /// Time may go until then, in the time of [`Sim::now`], but not past the next event. What has
    /// gone already is no mistake: then only what can run now runs.
    Until(Duration),
    /// The run is over.
    Stop,
}

impl Sim {
    /// Runs the universe at the pace of somebody, for clients in it that are used by other threads.
    ///
    /// `pace` is asked whenever nothing can run, is told when the next event is due, if there is
    /// one, and says how far time may go. It may take its time: the universe stands still
    /// meanwhile. [`wake_when_runnable`](Self::wake_when_runnable) tells it of work from outside.
    /// It may use the universe, but not run it.
    ///
    /// What comes from other threads is not part of the seed: such a run cannot be repeated.
    ///
    /// # Errors
    /// See [`SimError`]; but a universe in which nothing can happen is no deadlock.
    pub fn run_paced(
        &self,
        mut pace: impl FnMut(Option<Duration>) -> Pace,
    ) -> Result<(), SimError> {
        self.run(Limit::Paced(&mut pace), &mut || false)
    }

    /// Has `waker` woken, once, as soon as something can run: a client that another thread has
    /// called, a task that another thread has woken. `false` if something can run now; then nobody
    /// is woken. A later call replaces an earlier one.
    pub fn wake_when_runnable(&self, waker: &Waker) -> bool {
        self.world.queue.listen(waker)
    }
}
