//! What the application asks for.

use std::time::Instant;

use zk_proto::{AddWatchMode, OpCode, Request, Xid};

use super::{Credential, Session};
use crate::queue::{Kind, Setting, Slot, WatchKind, find};
use crate::{Call, Cancelled, Event, Refused, RequestError, RequestId, Submitted};

impl Session {
    /// Takes a request. It is encoded now; it is sent when there is a connection and its turn has
    /// come; and it ends in one [`Event::Completed`], unless it is cancelled.
    ///
    /// # Errors
    /// See [`Refused`]. Nothing was queued then.
    #[inline]
    pub fn submit(&mut self, now: Instant, call: Call<'_, '_>) -> Result<Submitted, Refused> {
        self.clock(now);
        self.check_open(call.urgent)?;
        let opcode = call.body.opcode();
        if let OpCode::PING
        | OpCode::CHECK
        | OpCode::CLOSE_SESSION
        | OpCode::SASL
        | OpCode::REMOVE_WATCHES
        | OpCode::SET_WATCHES
        | OpCode::SET_WATCHES2 = opcode
        {
            return Err(Refused::NotARequest(opcode));
        }
        let (max_requests, max_bytes) = self.config.max_queued;
        let full = Refused::Full {
            requests: self.counted,
            bytes: self.counted_bytes,
        };
        if !call.urgent && self.counted >= max_requests {
            return Err(full);
        }
        let size = self.unsent.encode(opcode, call.body, call.chroot);
        let limit = self.config.max_request_bytes;
        if size - 4 > limit {
            self.unsent.undo(size);
            return Err(Refused::TooLarge {
                size: size - 4,
                limit,
            });
        }
        // One request always fits, or it could never be sent.
        if !call.urgent && self.counted > 0 && self.counted_bytes + size > max_bytes {
            self.unsent.undo(size);
            return Err(full);
        }
        Ok(self.enqueue(call, opcode, size))
    }

    fn enqueue(&mut self, call: Call<'_, '_>, opcode: OpCode, size: usize) -> Submitted {
        self.last_request += 1;
        let id = RequestId(self.last_request);
        let watch = watch_of(call.body).map(|(path, kind)| {
            let (watch, entry) = self.watches.expect(&call.chroot.full(path), call.chroot);
            Setting {
                id: watch,
                entry,
                kind,
                arms: 0,
            }
        });
        let mut kind = Kind::User;
        if let Request::Auth { scheme, data } = call.body {
            kind = Kind::Auth;
            let data = data.as_deref().unwrap_or_default().to_vec();
            self.offered.push_back((
                id,
                Credential {
                    scheme: scheme.to_string(),
                    data,
                },
            ));
        }
        if let Some(at) = call.deadline {
            self.timers.set_request(at, id);
        }
        if !call.urgent {
            self.counted += 1;
            self.counted_bytes += size;
        }
        self.unsent.push(Slot {
            id,
            kind,
            xid: Xid(0),
            opcode,
            size: size as u32,
            counted: !call.urgent,
            proof: call.body.is_write() || opcode == OpCode::SYNC,
            early: None,
            chroot: call.chroot.clone(),
            watch,
            deadline: call.deadline,
        });
        Submitted {
            id,
            watch: watch.map(|watch| watch.id),
        }
    }

    /// Takes a request back. No event of it comes any more. If it was to set a watch, the watch is
    /// removed again.
    pub fn cancel(&mut self, now: Instant, id: RequestId) -> Cancelled {
        self.clock(now);
        let outcome = self.forget(id);
        self.advance_closing();
        outcome
    }

    fn forget(&mut self, id: RequestId) -> Cancelled {
        if let Some(slot) = self.unsent.find(id) {
            let copy = slot.clone();
            slot.kind = gone(slot.kind);
            slot.counted = false;
            slot.deadline = None;
            slot.watch = None;
            self.timers.clear_request(copy.deadline, id);
            self.release(&copy);
            if let Some(watch) = copy.watch {
                self.watches.failed(watch.id, watch.entry, 0);
                self.reconcile(watch.entry);
            }
            if copy.is_auth() {
                self.offered.retain(|(offered, _)| *offered != id);
            }
            self.unsent.note_forgotten(copy.size);
            return Cancelled::Unsent;
        }
        let Some(slot) = find(&mut self.in_flight, id) else {
            return Cancelled::Unknown;
        };
        slot.kind = gone(slot.kind);
        let (deadline, watch) = (slot.deadline.take(), slot.watch);
        self.timers.clear_request(deadline, id);
        if let Some(watch) = watch {
            // The reply will find nobody waiting, and remove the registration.
            self.watches.drop_watcher(watch.id);
        }
        Cancelled::Detached
    }

    /// Requests whose deadlines have passed are given up.
    pub(super) fn time_out_requests(&mut self) {
        while let Some(id) = self.timers.due_request(self.now) {
            let sent = match self.forget(id) {
                Cancelled::Unsent => false,
                Cancelled::Detached => true,
                Cancelled::Unknown => continue,
            };
            let result = Err(RequestError::TimedOut { sent });
            self.events.push_back(Event::Completed {
                id,
                zxid: zk_proto::Zxid::ZERO,
                result,
            });
        }
    }
}

fn gone(kind: Kind) -> Kind {
    if kind == Kind::Auth {
        Kind::ForgottenAuth
    } else {
        Kind::Forgotten
    }
}

/// The watch that a request sets, if any.
fn watch_of<'a>(body: &'a Request<'_>) -> Option<(&'a str, WatchKind)> {
    Some(if let Request::Exists { path, watch: true } = body {
        (path, WatchKind::Exist)
    } else if let Request::GetData { path, watch: true } = body {
        (path, WatchKind::Data)
    } else if let Request::GetChildren {
        path, watch: true, ..
    } = body
    {
        (path, WatchKind::Child)
    } else if let Request::AddWatch { path, mode } = body {
        let recursive = *mode == AddWatchMode::PERSISTENT_RECURSIVE;
        (
            path,
            if recursive {
                WatchKind::Recursive
            } else {
                WatchKind::Persistent
            },
        )
    } else {
        return None;
    })
}
