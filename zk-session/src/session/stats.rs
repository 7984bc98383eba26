//! Figures about a session, for people and for tests that look for leaks.

use std::time::Duration;

use super::Session;

/// What a session holds and has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests sent and not answered, the session's own included.
    pub in_flight: usize,
    /// Requests not sent yet.
    pub queued: usize,
    /// Bytes of the requests that count against the bounds.
    pub pending_bytes: usize,
    /// Watchers.
    pub watches: usize,
    /// Paths that are watched, or going to be.
    pub watched_paths: usize,
    /// Timers of users.
    pub timers: usize,
    /// Requests with a deadline.
    pub deadlines: usize,
    /// Events that wait to be fetched.
    pub events: usize,
    /// Attempts to connect.
    pub attempts: u64,
    /// Connections on which the session was usable. All but the first are reconnects.
    pub connections: u64,
    /// Connections lost after the session was usable.
    pub losses: u64,
    /// Sessions that servers have given us.
    pub sessions: u64,
    /// Sessions lost.
    pub sessions_lost: u64,
    /// The application's requests sent.
    pub requests: u64,
    /// Replies to them.
    pub replies: u64,
    /// Watch events received.
    pub watch_events: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes handed out for sending.
    pub bytes_out: u64,
    /// How long the newest answer took of those that are measured: to a ping, and to one request
    /// at a time. From the moment at which it was handed out for sending.
    pub round_trip: Option<Duration>,
}

/// The part that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) attempts: u64,
    pub(super) connections: u64,
    pub(super) losses: u64,
    pub(super) sessions: u64,
    pub(super) sessions_lost: u64,
    pub(super) requests: u64,
    pub(super) replies: u64,
    pub(super) watch_events: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) round_trip: Option<Duration>,
}

impl Session {
    /// Figures of this moment.
    pub fn stats(&self) -> Stats {
        let c = &self.counters;
        Stats {
            in_flight: self.in_flight.len(),
            queued: self.unsent.slots().len() + self.control.slots().len(),
            pending_bytes: self.counted_bytes,
            watches: self.watches.len(),
            watched_paths: self.watches.paths(),
            timers: self.timers.users(),
            deadlines: self.timers.requests(),
            events: self.events.len(),
            attempts: c.attempts,
            connections: c.connections,
            losses: c.losses,
            sessions: c.sessions,
            sessions_lost: c.sessions_lost,
            requests: c.requests,
            replies: c.replies,
            watch_events: c.watch_events,
            bytes_in: c.bytes_in,
            bytes_out: c.bytes_out,
            round_trip: c.round_trip,
        }
    }
}
