//! Those who wait for something other than a reply.

use std::sync::Arc;
use std::time::Instant;

use zk_session::{KeepAlive, WatchId};

use crate::Error;
use crate::async_result::Slot;
use crate::buffer::Buffer;
use crate::core::inner::{Inner, Sink};
use crate::core::listeners::StateChange;
use crate::core::pending::{Ticket, What};

impl Inner {
    pub(crate) fn add_sink(&mut self, id: WatchId, sink: Sink) {
        self.sinks.insert(id.as_u64(), sink);
    }

    pub(crate) fn add_state_stream(&mut self) -> Arc<Buffer<StateChange>> {
        let buffer = Arc::new(Buffer::new());
        if self.wound_up {
            buffer.end();
        } else {
            self.streams.retain(|stream| stream.strong_count() > 0);
            self.streams.push(Arc::downgrade(&buffer));
        }
        buffer
    }

    pub(crate) fn set_timer(&mut self, at: Instant, slot: Arc<Slot<()>>) -> Ticket {
        if self.wound_up {
            self.settle(&*slot, Err(Error::Closed { sent: false }));
            return Ticket::NONE;
        }
        let before = self.session.poll_timeout();
        let id = self.session.set_timer(at);
        self.timers.insert(id.as_u64(), slot);
        if before.is_none_or(|before| at < before) {
            self.loop_has_work();
        }
        self.ticket(What::Timer(id))
    }

    /// Resolves at the next moment at which the session is usable, at once if it is.
    pub(crate) fn until_connected(&mut self, slot: Arc<Slot<()>>) {
        if self.session.state().is_connected() {
            self.settle(&*slot, Ok(()));
        } else if self.wound_up {
            let error = self.why_not_connected();
            self.settle(&*slot, Err(error));
        } else {
            self.until_connected.push(slot);
        }
    }

    /// Resolves, as closed, when the client ends.
    pub(crate) fn until_closed(&mut self, slot: Arc<Slot<()>>) {
        if self.wound_up {
            self.settle(&*slot, Err(Error::Closed { sent: false }));
        } else {
            self.until_closed.push(slot);
        }
    }

    /// Resolves when the driver has gone.
    pub(crate) fn until_dismissed(&mut self, slot: Arc<Slot<()>>) {
        if self.dismissed {
            self.settle(&*slot, Ok(()));
        } else {
            self.until_dismissed.push(slot);
        }
    }

    pub(crate) fn hold_sync(&mut self, now: Instant) {
        self.sync_holders += 1;
        if self.sync_holders == 1 {
            self.session.set_keep_alive(now, KeepAlive::Sync);
            self.loop_has_work();
        }
    }

    pub(crate) fn release_sync(&mut self, now: Instant) {
        self.sync_holders -= 1;
        if self.sync_holders == 0 {
            self.session.set_keep_alive(now, KeepAlive::Ping);
            self.loop_has_work();
        }
    }
}
