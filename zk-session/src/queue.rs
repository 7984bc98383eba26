//! Requests on their way: encoded and unsent, then sent and unanswered.
//!
//! A body is encoded when it is submitted, with a hole for the xid, which is filled in as the bytes
//! are handed out. What is still in the queue has therefore never left the session.

use std::collections::VecDeque;
use std::time::Instant;

use zk_proto::{Chroot, ErrorCode, OpCode, Request, Xid, Zxid};

use crate::{RequestId, WatchId};

/// Where the xid is, counted from the start of a frame.
const XID_AT: usize = 4;

/// Whom a request belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The application, which waits for the result.
    User,
    /// The application, which no longer wants the result.
    Forgotten,
    /// The application: a credential. Its reply carries no xid and may overtake others.
    Auth,
    /// As before, but nobody waits for the result any more.
    ForgottenAuth,
    /// The session, to stay alive: a `sync`.
    KeepAlive,
    /// The session, to stay alive. Not queued after sending: its reply has an xid of its own.
    Ping,
    /// The session: a watch is removed from the server.
    Unwatch,
    /// The session: watches are put back on the server. `last` ends a restore after a reconnect.
    Rewatch { last: bool },
    /// The session: watches of one path are put on the server.
    Rearm,
    /// The session: closeSession.
    Close,
}

/// The kinds of watches, by what sets them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WatchKind {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

/// The watch that a request sets when it succeeds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Setting {
    pub(crate) id: WatchId,
    /// The place in the table of watches.
    pub(crate) entry: u32,
    pub(crate) kind: WatchKind,
    /// What the server registers, as decided when the request was sent.
    pub(crate) arms: u8,
}

/// One request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    /// For requests of the session itself: the id of the newest user's request before it, so that
    /// ids never decrease along the queue.
    pub(crate) id: RequestId,
    pub(crate) kind: Kind,
    pub(crate) xid: Xid,
    pub(crate) opcode: OpCode,
    /// Bytes of the frame, its length included.
    pub(crate) size: u32,
    /// Does it count against the bounds?
    pub(crate) counted: bool,
    /// Does its answer come from the leader?
    pub(crate) proof: bool,
    /// A credential's reply that came before it is its turn.
    pub(crate) early: Option<(Zxid, ErrorCode)>,
    pub(crate) chroot: Chroot,
    pub(crate) watch: Option<Setting>,
    pub(crate) deadline: Option<Instant>,
}

impl Slot {
    pub(crate) fn internal(kind: Kind, opcode: OpCode) -> Self {
        Self {
            id: RequestId(0),
            kind,
            xid: Xid(0),
            opcode,
            size: 0,
            counted: false,
            proof: opcode == OpCode::SYNC,
            early: None,
            chroot: Chroot::default(),
            watch: None,
            deadline: None,
        }
    }

    /// Is it a credential?
    pub(crate) fn is_auth(&self) -> bool {
        matches!(self.kind, Kind::Auth | Kind::ForgottenAuth)
    }

    /// Does nobody wait for its result any more?
    pub(crate) fn is_forgotten(&self) -> bool {
        matches!(self.kind, Kind::Forgotten | Kind::ForgottenAuth)
    }

    /// Does the application wait for its result?
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.kind, Kind::User | Kind::Auth)
    }
}

/// Encoded frames in the order in which they will be sent.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    slots: VecDeque<Slot>,
    bytes: Vec<u8>,
    head: usize,
    forgotten: usize,
    forgotten_bytes: usize,
}

impl Unsent {
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn slots(&self) -> &VecDeque<Slot> {
        &self.slots
    }

    /// Encodes a request, and tells the size of its frame. It is not queued yet: see
    /// [`push`](Self::push) and [`undo`](Self::undo).
    #[inline]
    pub(crate) fn encode(
        &mut self,
        opcode: OpCode,
        request: &Request<'_>,
        chroot: &Chroot,
    ) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&opcode.0.to_be_bytes());
        request.encode(chroot, &mut self.bytes);
        let size = self.bytes.len() - start;
        let length = i32::try_from(size - 4).unwrap_or(i32::MAX);
        self.bytes[start..start + 4].copy_from_slice(&length.to_be_bytes());
        size
    }

    /// Takes the frame of `size` bytes that was encoded last away again.
    pub(crate) fn undo(&mut self, size: usize) {
        self.bytes.truncate(self.bytes.len() - size);
    }

    /// Queues the frame that was encoded last.
    #[inline]
    pub(crate) fn push(&mut self, slot: Slot) {
        self.slots.push_back(slot);
    }

    /// Queues a request of the session itself.
    pub(crate) fn push_internal(&mut self, kind: Kind, request: &Request<'_>) {
        let opcode = request.opcode();
        let mut slot = Slot::internal(kind, opcode);
        slot.size = self.encode(opcode, request, &Chroot::default()) as u32;
        self.slots.push_back(slot);
    }

    /// Takes the next request and appends its frame to `out`, with `xid` filled in.
    #[inline]
    pub(crate) fn pop_into(&mut self, xid: Xid, out: &mut Vec<u8>) -> Option<Slot> {
        let mut slot = self.slots.pop_front()?;
        let size = slot.size as usize;
        let start = out.len();
        out.extend_from_slice(&self.bytes[self.head..self.head + size]);
        out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.0.to_be_bytes());
        slot.xid = xid;
        self.advance(size);
        Some(slot)
    }

    /// Throws the next request away if nobody wants it any more, without sending it.
    #[inline]
    pub(crate) fn drop_forgotten(&mut self) {
        while self.slots.front().is_some_and(Slot::is_forgotten) {
            if let Some(slot) = self.slots.pop_front() {
                self.forgotten -= 1;
                self.forgotten_bytes -= slot.size as usize;
                self.advance(slot.size as usize);
            }
        }
    }

    /// One more is forgotten. They must not pile up behind one that cannot be sent.
    pub(crate) fn note_forgotten(&mut self, size: u32) {
        self.forgotten += 1;
        self.forgotten_bytes += size as usize;
        self.drop_forgotten();
        let many = self.forgotten >= 1024 && self.forgotten * 2 >= self.slots.len();
        let large = self.forgotten_bytes >= 1 << 20 && self.forgotten_bytes * 2 >= self.bytes.len();
        if !(many || large) {
            return;
        }
        let mut kept = Vec::with_capacity(self.bytes.len() / 2);
        let mut at = self.head;
        self.slots.retain(|slot| {
            let frame = at..at + slot.size as usize;
            at = frame.end;
            if !slot.is_forgotten() {
                kept.extend_from_slice(&self.bytes[frame]);
            }
            !slot.is_forgotten()
        });
        self.bytes = kept;
        self.head = 0;
        self.forgotten = 0;
        self.forgotten_bytes = 0;
    }

    fn advance(&mut self, size: usize) {
        self.head += size;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
            if self.bytes.capacity() > 4 << 20 {
                self.bytes = Vec::new();
            }
        } else if self.head > 64 << 10 && self.head * 2 > self.bytes.len() {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
    }

    /// The unsent request of this id.
    pub(crate) fn find(&mut self, id: RequestId) -> Option<&mut Slot> {
        find(&mut self.slots, id)
    }

    /// Planted: queues a frame that was sent before.
    #[cfg(zk_planted)]
    pub(crate) fn push_again(&mut self, slot: Slot, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.slots.push_back(slot);
    }

    /// Gives all requests up.
    pub(crate) fn take_all(&mut self) -> VecDeque<Slot> {
        self.bytes.clear();
        self.head = 0;
        self.forgotten = 0;
        self.forgotten_bytes = 0;
        std::mem::take(&mut self.slots)
    }
}

/// The awaited request of this id in a queue whose ids never decrease.
pub(crate) fn find(slots: &mut VecDeque<Slot>, id: RequestId) -> Option<&mut Slot> {
    let first = slots.partition_point(|slot| slot.id < id);
    slots
        .range_mut(first..)
        .take_while(|slot| slot.id == id)
        .find(|slot| slot.is_awaited())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is taken back must not be held because something before it cannot be sent.
    #[test]
    fn forgotten_requests_are_let_go_behind_one_that_waits() {
        let mut queue = Unsent::default();
        let body = vec![0; 100_000];
        let set = Request::SetData {
            path: "/a".into(),
            data: Some(body.as_slice().into()),
            version: -1,
        };
        queue.push_internal(Kind::User, &Request::Sync { path: "/".into() });
        for _ in 0..1000 {
            queue.push_internal(Kind::Forgotten, &set);
            let size = queue.slots().back().map_or(0, |slot| slot.size);
            queue.note_forgotten(size);
            assert!(queue.bytes.len() < 3 << 20, "{} bytes", queue.bytes.len());
        }
        let mut out = Vec::new();
        let slot = queue.pop_into(Xid(7), &mut out);
        assert_eq!(slot.map(|slot| slot.opcode), Some(OpCode::SYNC));
        assert_eq!(out.len(), 4 + 8 + 5, "the frame of the sync");
        assert_eq!(out[XID_AT..XID_AT + 4], 7i32.to_be_bytes());
    }
}
