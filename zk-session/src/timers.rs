//! Moments that belong to requests and users. The session's own few are fields of their owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::{RequestId, TimerId};

/// Deadlines of requests and timers of users, each in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    requests: BTreeSet<(Instant, RequestId)>,
    users: BTreeSet<(Instant, TimerId)>,
    when: BTreeMap<TimerId, Instant>,
    last: u64,
}

impl Timers {
    pub(crate) fn set_request(&mut self, at: Instant, id: RequestId) {
        self.requests.insert((at, id));
    }

    pub(crate) fn clear_request(&mut self, at: Option<Instant>, id: RequestId) {
        if let Some(at) = at {
            self.requests.remove(&(at, id));
        }
    }

    pub(crate) fn next_request(&self) -> Option<Instant> {
        self.requests.first().map(|(at, _)| *at)
    }

    pub(crate) fn due_request(&mut self, now: Instant) -> Option<RequestId> {
        if self.next_request()? > now {
            return None;
        }
        self.requests.pop_first().map(|(_, id)| id)
    }

    pub(crate) fn set_user(&mut self, at: Instant) -> TimerId {
        self.last += 1;
        let id = TimerId(self.last);
        self.users.insert((at, id));
        self.when.insert(id, at);
        id
    }

    pub(crate) fn cancel_user(&mut self, id: TimerId) {
        if let Some(at) = self.when.remove(&id) {
            self.users.remove(&(at, id));
        }
    }

    pub(crate) fn next_user(&self) -> Option<Instant> {
        self.users.first().map(|(at, _)| *at)
    }

    pub(crate) fn due_user(&mut self, now: Instant) -> Option<TimerId> {
        if self.next_user()? > now {
            return None;
        }
        self.pop_user()
    }

    /// Takes the next timer of a user, due or not.
    pub(crate) fn pop_user(&mut self) -> Option<TimerId> {
        let (_, id) = self.users.pop_first()?;
        self.when.remove(&id);
        Some(id)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    pub(crate) fn users(&self) -> usize {
        self.users.len()
    }
}
