//! What must hold in every test, whatever it is about.

use std::collections::{BTreeSet, HashSet};

use zk_session::{Event, Notice, RequestError, RequestId, State, WatchId};

/// Watches every event.
#[derive(Default)]
pub(super) struct Rules {
    waiting: BTreeSet<RequestId>,
    state: Option<State>,
    ended_watches: HashSet<WatchId>,
    closed: bool,
}

impl Rules {
    pub(super) fn state(&self) -> State {
        self.state.unwrap_or(State::Lost)
    }

    pub(super) fn submitted(&mut self, id: RequestId) {
        assert!(self.waiting.insert(id), "{id} is given out twice");
    }

    pub(super) fn cancelled(&mut self, id: RequestId) {
        assert!(self.waiting.remove(&id), "{id} was not waited for");
    }

    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.closed, "after the last event comes {event:?}");
        match event {
            Event::StateChanged { from, to, .. } => {
                assert_eq!(*from, self.state(), "changes follow from each other");
                self.state = Some(*to);
            }
            Event::Completed { id, result, .. } => {
                let timed_out = matches!(result, Err(RequestError::TimedOut { .. }));
                assert!(
                    timed_out || self.waiting.first() == Some(id),
                    "{id} ends before {:?}",
                    self.waiting.first()
                );
                assert!(self.waiting.remove(id), "{id} ends twice");
            }
            Event::Watch { id, notice } => {
                assert!(!self.ended_watches.contains(id), "{id} has ended already");
                if matches!(notice, Notice::End(_)) {
                    self.ended_watches.insert(*id);
                }
            }
            Event::Closed { .. } => self.closed = true,
            // A test looks at the others itself.
            _ => {}
        }
    }

    pub(super) fn finish(&self) {
        assert!(
            self.waiting.is_empty(),
            "never answered: {:?}",
            self.waiting
        );
        assert!(self.closed, "the end was not told");
    }
}
