//! What is sent, and in which order: the handshake, the session's own requests, the application's.

use std::time::Instant;

use tracing::trace;
use zk_proto::{AddWatchMode, Xid};

use super::Session;
use super::spans::FRAMES;
use crate::link::{Link, Stage};
use crate::liveness::Liveness;
use crate::queue::{Kind, Slot, WatchKind};
use crate::watch::RECURSIVE;
use crate::{ConnId, LinkError};

impl Session {
    /// Appends bytes for `conn` to `out`, about as many as
    /// [`ConfigBuilder::transmit_chunk`](crate::ConfigBuilder::transmit_chunk) says, and tells how
    /// many. What is handed out counts as sent. A driver whose socket is full does not call this.
    ///
    /// After a connection was ended this is what its security layer says last, such as the alert by
    /// which TLS tells why. Of use only to a driver that has not carried out
    /// [`Action::Disconnect`](crate::Action::Disconnect) yet.
    pub fn poll_transmit(&mut self, now: Instant, conn: ConnId, out: &mut Vec<u8>) -> usize {
        self.clock(now);
        let before = out.len();
        if self.probe.is(conn) {
            self.probe_transmit(out);
        } else if self.has_link(conn) {
            self.transmit(out);
        }
        self.partings.fetch(conn, out);
        let sent = out.len() - before;
        self.counters.bytes_out += sent as u64;
        sent
    }

    fn transmit(&mut self, out: &mut Vec<u8>) {
        let Some(link) = &mut self.link else { return };
        if matches!(link.stage, Stage::Connecting) {
            return;
        }
        let Some(mut security) = link.security.take() else {
            return self.produce(out);
        };
        security.flush(out);
        let mut result = Ok(());
        if security.is_established() {
            self.produce(security.plain());
            result = security.encode(out);
        }
        match &mut self.link {
            Some(link) => link.security = Some(security),
            // The last byte was what a close was waiting for.
            None => out.append(&mut security.last_words()),
        }
        if let Err(error) = result {
            self.drop_link(LinkError::Layer(error), true);
        }
    }

    fn produce(&mut self, out: &mut Vec<u8>) {
        let Some(link) = &mut self.link else { return };
        let limit = out.len() + self.config.transmit_chunk;
        if !link.out.is_empty() {
            out.append(&mut link.out);
            if let Stage::Greeting { sent, .. } = &mut link.stage {
                sent.get_or_insert(self.now);
            }
        }
        if !link.is_active() {
            return;
        }
        let mut touched = false;
        loop {
            while out.len() < limit {
                let before = out.len();
                let Some(slot) = self.next_frame(out) else {
                    break;
                };
                touched = self.sent(slot, before, out, touched);
            }
            // The last step may have been the last request before closeSession.
            self.advance_closing();
            let more = self.link.is_some() && !self.control.is_empty();
            if !more || out.len() >= limit {
                break;
            }
        }
    }

    /// The next frame, in the order of importance.
    fn next_frame(&mut self, out: &mut Vec<u8>) -> Option<Slot> {
        if self.control.is_empty() && self.restore.is_some() {
            self.restore_chunk();
        }
        let queue = if !self.control.is_empty() {
            &mut self.control
        } else {
            self.unsent.drop_forgotten();
            &mut self.unsent
        };
        let link = self.link.as_mut()?;
        let xid = match queue.slots().front()?.kind {
            Kind::Ping => Xid::PING,
            Kind::Auth => Xid::AUTH,
            Kind::User
            | Kind::Forgotten
            | Kind::ForgottenAuth
            | Kind::KeepAlive
            | Kind::Unwatch
            | Kind::Rewatch { .. }
            | Kind::Rearm
            | Kind::Close => link.take_xid(),
        };
        queue.pop_into(xid, out)
    }

    /// Keeps account of a frame that was just appended to `out`.
    fn sent(&mut self, mut slot: Slot, start: usize, out: &mut [u8], touched: bool) -> bool {
        let read_only = self.link.as_ref().is_some_and(|link: &Link| link.read_only);
        let timeout = self.timeout();
        // Credentials are dealt with before the session is looked up: they do not touch it.
        let touches = slot.kind != Kind::Auth;
        if touches && !touched && !read_only {
            self.live.sent(self.now, slot.xid, timeout);
        }
        if read_only {
            self.live.last_sent = Some(self.now);
        }
        if slot.proof && !read_only {
            let live: &mut Liveness = &mut self.live;
            live.sent_proof(self.now, slot.xid, timeout);
        }
        if let Some(watch) = &mut slot.watch {
            watch.arms = self.watches.sending(watch.entry, watch.kind);
            patch_watch(watch.kind, watch.arms, &mut out[start..]);
        }
        #[cfg(zk_planted)]
        if slot.proof && slot.watch.is_none() && self.is_planted(crate::Planted::ResendWrite) {
            self.planted_copies.push((slot.id, out[start..].to_vec()));
        }
        if let Some(link) = &self.link {
            let (xid, opcode, bytes) = (slot.xid.0, slot.opcode, slot.size);
            trace!(target: FRAMES, parent: &link.span, xid, %opcode, bytes, "sent");
        }
        match slot.kind {
            Kind::User | Kind::Auth => {
                if slot.kind == Kind::User {
                    self.timed.get_or_insert((slot.xid, self.now));
                }
                self.counters.requests += 1;
                self.last_sent = slot.id;
                self.in_flight.push_back(slot);
            }
            Kind::Ping => {
                self.keep_alive_queued = false;
                self.ping_sent = Some(self.now);
            }
            Kind::Forgotten
            | Kind::ForgottenAuth
            | Kind::KeepAlive
            | Kind::Unwatch
            | Kind::Rewatch { .. }
            | Kind::Rearm
            | Kind::Close => {
                if slot.kind == Kind::KeepAlive {
                    self.keep_alive_queued = false;
                    self.sync_in_flight = true;
                }
                slot.id = self.last_sent;
                self.in_flight.push_back(slot);
            }
        }
        touched || touches
    }
}

/// Writes into an encoded request what it is to register at the server. The watch flag is the last
/// byte of a read, the mode the last four of an addWatch.
fn patch_watch(kind: WatchKind, arms: u8, frame: &mut [u8]) {
    let end = frame.len();
    match kind {
        WatchKind::Data | WatchKind::Exist | WatchKind::Child => {
            frame[end - 1] = u8::from(arms != 0);
        }
        WatchKind::Persistent | WatchKind::Recursive => {
            let mode = if arms == RECURSIVE {
                AddWatchMode::PERSISTENT_RECURSIVE
            } else {
                AddWatchMode::PERSISTENT
            };
            frame[end - 4..].copy_from_slice(&mode.0.to_be_bytes());
        }
    }
}
