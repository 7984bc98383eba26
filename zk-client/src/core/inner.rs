//! What the lock protects, and where each event of the session goes.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

use zk_proto::{ErrorCode, Reply, Zxid};
use zk_session::{
    Cancelled, CloseOutcome, Event, KeepAlive, Notice, RequestError, RequestId, Session, State,
    StateReason, TimerId, WatchId, WatchedEvent,
};

use crate::Error;
use crate::async_result::{Hold, Slot, settle};
use crate::buffer::Buffer;
use crate::core::effects::{Effects, Garbage};
use crate::core::listeners::{Listeners, StateChange};
use crate::core::pending::{Done, Entry, Pending, Ticket, Watching, What};
use crate::core::room::Room;

/// Changes of state that a stream keeps for its reader.
const STATE_BUFFER: usize = 1024;

pub(crate) struct Inner {
    pub(crate) session: Session,
    /// Which session of this core it is; a restart makes another.
    pub(super) epoch: u32,
    pub(crate) effects: Effects,
    pub(super) gauge: Arc<AtomicUsize>,

    // The loop. --------------------------------------------------------------------------------
    pub(crate) waker: Option<Arc<Waker>>,
    /// Something has come up since the loop was last here.
    pub(super) dirty: bool,
    /// The loop relies on the waker.
    pub(super) asleep: bool,
    /// The driver was told that there is nothing left to drive.
    pub(super) dismissed: bool,

    // Those who wait. --------------------------------------------------------------------------
    pub(crate) pending: Pending,
    pub(crate) room: Room,
    /// What the session's queue held when it was last looked at, in bytes.
    pending_bytes: usize,
    pub(super) sinks: BTreeMap<u64, Sink>,
    pub(super) timers: BTreeMap<u64, Arc<Slot<()>>>,
    pub(crate) listeners: Listeners,
    pub(super) streams: Vec<Weak<Buffer<StateChange>>>,
    pub(super) until_connected: Vec<Arc<Slot<()>>>,
    pub(super) until_closed: Vec<Arc<Slot<()>>>,
    pub(super) until_dismissed: Vec<Arc<Slot<()>>>,
    pub(super) closing: Vec<Arc<Slot<()>>>,

    // How it ends. -----------------------------------------------------------------------------
    pub(super) lost: Option<StateReason>,
    pub(super) outcome: Option<CloseOutcome>,
    pub(super) abandoned: bool,
    /// Everybody who waited was told that it is over.
    pub(super) wound_up: bool,

    /// Those who need a proof that the session lives.
    pub(super) sync_holders: usize,
    /// The newest zxid known before the events at hand.
    pub(super) floor: Zxid,
    pub(super) overflows: u64,
}

/// Where the notices of one watcher go.
pub(crate) enum Sink {
    /// A one-shot watch: a handle or a callback.
    Once(Arc<dyn Hold<WatchedEvent>>),
    /// A stream with room for so many notices.
    Stream(Arc<Buffer<Notice>>, usize),
}

impl Inner {
    pub(crate) fn new(session: Session, gauge: Arc<AtomicUsize>) -> Self {
        Self {
            session,
            epoch: 1,
            effects: Effects::default(),
            gauge,
            waker: None,
            dirty: true,
            asleep: false,
            dismissed: false,
            pending: Pending::default(),
            room: Room::default(),
            sinks: BTreeMap::new(),
            timers: BTreeMap::new(),
            listeners: Listeners::default(),
            streams: Vec::new(),
            until_connected: Vec::new(),
            until_closed: Vec::new(),
            until_dismissed: Vec::new(),
            closing: Vec::new(),
            lost: None,
            outcome: None,
            abandoned: false,
            wound_up: false,
            sync_holders: 0,
            floor: Zxid::ZERO,
            overflows: 0,
            pending_bytes: 0,
        }
    }

    // The loop. --------------------------------------------------------------------------------

    pub(crate) fn loop_is_awake(&mut self) {
        self.dirty = false;
        self.asleep = false;
    }

    pub(crate) fn loop_has_work(&mut self) {
        self.dirty = true;
    }

    pub(crate) fn prepare_sleep(&mut self) -> bool {
        self.asleep = !self.dirty;
        self.asleep
    }

    /// Whom to wake because there is work; at most once for each sleep.
    pub(crate) fn waker_of_sleeping_loop(&mut self) -> Option<Arc<Waker>> {
        if !(self.dirty && self.asleep) {
            return None;
        }
        self.asleep = false;
        self.waker.clone()
    }

    pub(crate) fn dismiss_driver(&mut self) -> bool {
        let done = self.abandoned || self.session.is_finished();
        if done {
            self.dismissed = true;
            for slot in std::mem::take(&mut self.until_dismissed) {
                self.settle(&*slot, Ok(()));
            }
        }
        done
    }

    // Those who wait. --------------------------------------------------------------------------

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn ticket(&self, what: What) -> Ticket {
        Ticket {
            epoch: self.epoch,
            what,
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    pub(crate) fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Gives up what a ticket stands for.
    pub(crate) fn cancel(&mut self, now: Instant, ticket: Ticket) -> Cancelled {
        if ticket.epoch != self.epoch {
            return Cancelled::Unknown;
        }
        match ticket.what {
            What::Nothing => Cancelled::Unknown,
            What::Request(id) => self.cancel_request(now, id),
            What::Watch(id) => {
                if let Some(sink) = self.sinks.remove(&id.as_u64()) {
                    self.effects.discard(Some(Garbage::Sink(sink)));
                    self.session.unwatch(now, id);
                    self.loop_has_work();
                }
                Cancelled::Unknown
            }
            What::Timer(id) => {
                if self.timers.remove(&id.as_u64()).is_some() {
                    self.session.cancel_timer(id);
                }
                Cancelled::Unknown
            }
        }
    }

    fn cancel_request(&mut self, now: Instant, id: RequestId) -> Cancelled {
        let cancelled = self.withdraw(now, id);
        self.offer_room();
        cancelled
    }

    /// Cancels a request without a word to those who wait for room.
    fn withdraw(&mut self, now: Instant, id: RequestId) -> Cancelled {
        let Some(entry) = self.pending.remove(id) else {
            return Cancelled::Unknown;
        };
        let cancelled = self.session.cancel(now, id);
        if let Some(watching) = entry.watch {
            self.remove_sink(watching.id);
            self.loop_has_work();
        }
        self.effects
            .discard(Some(Garbage::Complete(entry.complete)));
        cancelled
    }

    /// Takes back what was handed over a moment ago. There is no more room than before that: who
    /// did not fit in with all of it would only be woken to try again.
    pub(super) fn take_back(&mut self, now: Instant, ticket: Ticket) {
        if let (What::Request(id), true) = (&ticket.what, ticket.epoch == self.epoch) {
            self.withdraw(now, *id);
        }
    }

    /// Leaves the queue of those who wait for room.
    pub(crate) fn leave_room(&mut self, seat: crate::core::Seat) {
        let (own, next) = self.room.leave(seat);
        self.effects.discard(own.map(Garbage::Waker));
        self.effects.wake(next);
    }

    pub(super) fn offer_room(&mut self) {
        let waker = self.room.wake_first();
        self.effects.wake(waker);
    }

    pub(super) fn remove_sink(&mut self, id: WatchId) {
        if let Some(sink) = self.sinks.remove(&id.as_u64()) {
            self.effects.discard(Some(Garbage::Sink(sink)));
        }
    }

    pub(super) fn settle<T: Send + 'static>(
        &mut self,
        slot: &(impl Hold<T> + ?Sized),
        result: Result<T, Error>,
    ) {
        let after = settle(slot, result);
        self.effects.after(after, &self.gauge);
    }

    // Events. ----------------------------------------------------------------------------------

    /// Takes all events out of the session and brings them where they belong, in their order.
    pub(crate) fn drain(&mut self) {
        let mut any = false;
        while let Some(event) = self.session.poll_event() {
            any = true;
            match event {
                Event::Completed { id, result, .. } => self.completed(id, result),
                Event::Watch { id, notice } => self.watched(id, notice),
                Event::StateChanged { from, to, reason } => {
                    self.changed(StateChange { from, to, reason });
                }
                Event::Timer { id } => self.timer(id),
                Event::Closed { outcome } => self.closed(outcome),
                // `Session::last_error` keeps it.
                Event::ConnectFailed { .. } | _ => {}
            }
        }
        if any {
            self.floor = self.session.last_zxid();
        }
        // Replies that nobody waits for make room without an event.
        let bytes = self.session.stats().pending_bytes;
        if bytes < self.pending_bytes {
            self.offer_room();
        }
        self.pending_bytes = bytes;
    }

    fn completed(&mut self, id: RequestId, result: Result<Reply, RequestError>) {
        let Some(entry) = self.pending.remove(id) else {
            return;
        };
        self.complete(entry, result);
        self.offer_room();
    }

    pub(super) fn complete(&mut self, entry: Entry, result: Result<Reply, RequestError>) {
        let watch = match entry.watch {
            Some(Watching { id, on_no_node }) if lives(&result, on_no_node) => {
                Some(self.ticket(What::Watch(id)))
            }
            Some(Watching { id, .. }) => {
                self.remove_sink(id);
                None
            }
            None => None,
        };
        let after = entry.complete.complete(Done { result, watch });
        self.effects.after(after, &self.gauge);
    }

    fn watched(&mut self, id: WatchId, notice: Notice) {
        let Some(sink) = self.sinks.get(&id.as_u64()) else {
            return;
        };
        match sink {
            Sink::Once(_) => {
                let result = match notice {
                    Notice::Event(event) => Ok(event),
                    Notice::End(reason) => Err(Error::WatchEnded(reason)),
                    // Says nothing to one who waits for one event.
                    Notice::Gap { .. } | _ => return,
                };
                if let Some(Sink::Once(slot)) = self.sinks.remove(&id.as_u64()) {
                    self.settle(&*slot, result);
                }
            }
            Sink::Stream(buffer, capacity) => {
                let (capacity, last) = (*capacity, matches!(notice, Notice::End(_)));
                let (from, newest) = (self.floor, self.session.last_zxid());
                let mut overflow = false;
                let waker = buffer.put(|items| {
                    if items.len() < capacity || last {
                        items.push_back(notice);
                        return;
                    }
                    overflow = true;
                    let to = match notice {
                        Notice::Event(event) if event.zxid != Zxid::ZERO => event.zxid,
                        Notice::Gap { to, .. } => to,
                        Notice::Event(_) | Notice::End(_) | _ => newest,
                    };
                    match items.back_mut() {
                        Some(Notice::Gap { to: end, .. }) => *end = to.max(*end),
                        _ => items.push_back(Notice::Gap { from, to }),
                    }
                });
                let ended = if last { buffer.end() } else { None };
                self.effects.wake(waker);
                self.effects.wake(ended);
                self.overflows += u64::from(overflow);
                if last {
                    self.sinks.remove(&id.as_u64());
                }
            }
        }
    }

    fn changed(&mut self, change: StateChange) {
        match change.to {
            State::Connected { .. } => {
                self.lost = None;
                for slot in std::mem::take(&mut self.until_connected) {
                    self.settle(&*slot, Ok(()));
                }
            }
            State::Lost => self.lost = Some(change.reason.clone()),
            State::Suspended { .. } => {}
        }
        let (calls, gone) = self.listeners.calls(&change);
        for call in calls {
            self.effects.call(call.counted(&self.gauge));
        }
        for listener in gone {
            self.effects
                .discard(Some(Garbage::Value(Box::new(listener))));
        }
        for stream in &self.streams {
            let Some(stream) = stream.upgrade() else {
                continue;
            };
            let waker = stream.put(|items| {
                if items.len() >= STATE_BUFFER {
                    items.pop_front();
                }
                items.push_back(change.clone());
            });
            self.effects.wake(waker);
            // It may be the last one to hold it.
            self.effects.discard(Some(Garbage::Value(Box::new(stream))));
        }
    }

    fn timer(&mut self, id: TimerId) {
        if let Some(slot) = self.timers.remove(&id.as_u64()) {
            // A session that ends fires all its timers at once.
            let result = if self.is_over() {
                Err(Error::Closed { sent: false })
            } else {
                Ok(())
            };
            self.settle(&*slot, result);
        }
    }

    /// Starts over with another session; hands back the one before. Unless the driver is at work:
    /// then the new one is handed back.
    #[expect(clippy::type_complexity, reason = "both are only dropped")]
    pub(crate) fn renew(
        &mut self,
        now: Instant,
        mut session: Session,
    ) -> Result<(Box<Session>, Option<Arc<Waker>>), Box<Session>> {
        if !self.dismissed {
            return Err(Box::new(session));
        }
        if self.sync_holders > 0 {
            session.set_keep_alive(now, KeepAlive::Sync);
        }
        let before = std::mem::replace(&mut self.session, session);
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.dirty = true;
        self.asleep = false;
        self.dismissed = false;
        self.lost = None;
        self.outcome = None;
        self.abandoned = false;
        self.wound_up = false;
        self.floor = Zxid::ZERO;
        Ok((Box::new(before), self.waker.take()))
    }
}

/// Does the watcher that came with a request live on?
fn lives(result: &Result<Reply, RequestError>, on_no_node: bool) -> bool {
    match result {
        Ok(_) => true,
        Err(RequestError::Server(code)) => on_no_node && *code == ErrorCode::NO_NODE,
        Err(_) => false,
    }
}
