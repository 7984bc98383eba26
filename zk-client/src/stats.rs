//! [`Stats`]: what a client has done, and what waits in it.

/// A look at a client's inside, for metrics and for tests.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// The session's own numbers.
    pub session: zk_session::Stats,
    /// Callbacks that were dispatched and have not ended.
    pub callbacks_queued: usize,
    /// Calls that wait for room in the session's queue.
    pub waiting_for_room: usize,
    /// Notices that did not fit into a watch's stream and became a gap.
    pub stream_overflows: u64,
}
