//! Whether a member serves, and how.

use std::time::Instant;

use super::Member;
use crate::connection::Ending;

/// Whom a member serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Nobody.
    Down,
    /// Everybody, with a leader.
    Serving(Role),
    /// Those who said that they can do without writes.
    ReadOnly,
}

/// What a member is to its leader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// It is alone.
    Standalone,
    /// It runs the leader.
    Leader,
    /// Its leader is elsewhere, and was last heard of at this time.
    Follower {
        /// When.
        heard: Instant,
    },
}

impl Member {
    /// Serves from now on. All that was committed before has been applied. With a new leader it
    /// [leaves](Self::leave) the old one first, as what it was asked there will not be answered.
    pub fn follow(&mut self, now: Instant, role: Role) {
        self.shared.clock.advance(now);
        if let Mode::Serving(old) = &mut self.shared.mode {
            *old = role;
            return;
        }
        self.drop_all();
        self.shared.mode = Mode::Serving(role);
    }

    /// The leader was heard of. Without that for `sync_limit` ticks, a follower drops its clients.
    pub fn handle_leader_heard(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        if let Mode::Serving(Role::Follower { heard }) = &mut self.shared.mode {
            *heard = self.shared.clock.now();
        }
    }

    /// There is no leader any more: all clients are dropped. With
    /// [`read_only_mode`](crate::Options::read_only_mode) they can come back and read.
    pub fn leave(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        self.drop_all();
        self.shared.mode = if self.shared.options.read_only_mode {
            Mode::ReadOnly
        } else {
            Mode::Down
        };
    }

    /// Drops all clients and serves nobody, whatever the options say.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.shared.clock.advance(now);
        self.drop_all();
        self.shared.mode = Mode::Down;
    }

    /// Serves reads only, whatever the options say.
    pub(crate) fn enter_read_only(&mut self, now: Instant) {
        self.leave(now);
        self.shared.mode = Mode::ReadOnly;
    }

    /// Whether clients are served, with a leader or without.
    pub fn is_serving(&self) -> bool {
        self.shared.mode != Mode::Down
    }

    /// Whether clients are served without a leader.
    pub fn is_read_only(&self) -> bool {
        self.shared.mode == Mode::ReadOnly
    }

    pub(super) fn check_leader(&mut self) {
        let now = self.shared.clock.now();
        if self
            .leader_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            tracing::info!(member = %self.shared.options.member, "the leader is lost");
            self.leave(now);
        }
    }

    pub(super) fn leader_deadline(&self) -> Option<Instant> {
        match self.shared.mode {
            Mode::Serving(Role::Follower { heard }) => {
                let options = &self.shared.options;
                heard.checked_add(options.tick.saturating_mul(options.sync_limit))
            }
            Mode::Serving(Role::Standalone | Role::Leader) | Mode::ReadOnly | Mode::Down => None,
        }
    }

    fn drop_all(&mut self) {
        let conns: Vec<_> = self.conns.keys().copied().collect();
        for conn in conns {
            self.shared.evict(conn, Ending::Abort);
        }
        self.settle();
        self.shared.to_leader.clear();
        self.shared.touched.clear();
        self.shared.flush_at = None;
    }
}
