//! What arrives on a connection, frame by frame and in order.

use tracing::{trace, warn};
use zk_proto::{
    ErrorCode, Frame, FrameError, OpCode, Reader, Reply, ReplyHeader, WatcherEventRef, Xid,
};

use super::Session;
use super::spans::FRAMES;
use crate::link::{MAX_GREETING, Stage};
use crate::queue::{Kind, Slot, WatchKind};
use crate::{
    AuthFailure, CloseOutcome, LinkError, ProtocolError, RequestError, StateReason, Stranger,
};

impl Session {
    /// Reads all frames that have arrived.
    pub(super) fn read_frames(&mut self) {
        let Some(link) = &mut self.link else { return };
        let conn = link.conn;
        if matches!(link.stage, Stage::Greeting { .. } | Stage::Connecting) {
            if let Some(stranger) = link.stranger() {
                return self.drop_link(LinkError::NotZooKeeper(stranger), true);
            }
        }
        // Out of the session, so that a frame can be read where it lies.
        let Some(mut decoder) = link.decoder.take() else {
            return;
        };
        loop {
            decoder.set_limit(self.frame_limit());
            let next = match decoder.next_frame() {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err(error) => return self.drop_link(bad_frame(error), true),
            };
            match next {
                Frame::Whole { chunk, range } => self.frame(Reader::within(chunk, range)),
                Frame::TooLarge { head, length } => self.too_large(&head, length),
            }
            if !self.has_link(conn) {
                return;
            }
        }
        if let Some(link) = &mut self.link {
            link.decoder = Some(decoder);
        }
        self.advance_closing();
    }

    fn frame_limit(&self) -> usize {
        match self.link.as_ref().map(|link| &link.stage) {
            Some(Stage::Greeting { .. } | Stage::Connecting) => MAX_GREETING,
            _ => self.config.max_reply_bytes,
        }
    }

    fn frame(&mut self, mut reader: Reader<'_>) {
        let Some(link) = &self.link else { return };
        match link.stage {
            Stage::Active { .. } => self.active_frame(reader),
            Stage::Connecting => self.drop_link(LinkError::NotZooKeeper(Stranger::Other), true),
            Stage::Greeting { .. } => self.greeting(reader),
            Stage::Sasl { .. } | Stage::Auth { .. } | Stage::ClosingOld => {
                let header = match ReplyHeader::decode(&mut reader) {
                    Ok(header) => header,
                    Err(error) => return self.drop_link(undecodable(error), true),
                };
                match (&link.stage, header.xid) {
                    (_, Xid::PING | Xid::WATCH) => {}
                    (Stage::Auth { .. }, Xid::AUTH) => self.credential_reply(header),
                    (Stage::Sasl { at_work: true, .. }, got) => self.wrong_xid(got, Xid::WATCH),
                    (Stage::Sasl { at_work: false, .. }, _) => self.sasl_reply(header, reader),
                    (Stage::ClosingOld, _) => self.old_session_reply(header.err),
                    (_, got) => self.wrong_xid(got, Xid::AUTH),
                }
            }
        }
    }

    #[inline]
    fn active_frame(&mut self, mut reader: Reader<'_>) {
        let header = match ReplyHeader::decode(&mut reader) {
            Ok(header) => header,
            Err(error) => return self.drop_link(undecodable(error), true),
        };
        if let Some(link) = &self.link {
            let (xid, zxid, err) = (header.xid.0, header.zxid, header.err);
            trace!(target: FRAMES, parent: &link.span, xid, %zxid, %err, "received");
        }
        if header.err == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH {
            return self.fail_auth(AuthFailure::Required);
        }
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::AnyProof) {
            self.live.planted_proof(self.now, self.timeout());
        }
        match header.xid {
            Xid::WATCH => self.watch_event(header, reader),
            Xid::PING => {
                self.live
                    .answered(self.now, Xid::PING, false, self.timeout());
                if let Some(sent) = self.ping_sent.take() {
                    self.counters.round_trip = Some(self.now - sent);
                }
            }
            Xid::AUTH => self.credential_answer(header),
            _ => self.answer(header, Body::Here(reader)),
        }
    }

    /// A frame above the limit: if it answers a request, that request fails and no other.
    fn too_large(&mut self, head: &[u8; ReplyHeader::LEN], length: usize) {
        let header = ReplyHeader::from_head(head);
        let is_active = self.link.as_ref().is_some_and(crate::link::Link::is_active);
        if is_active && header.xid.0 > 0 {
            self.answer(header, Body::TooLarge(length));
        } else {
            self.drop_link(LinkError::Protocol(ProtocolError::TooLarge(length)), true);
        }
    }

    fn wrong_xid(&mut self, got: Xid, expected: Xid) {
        let error = ProtocolError::WrongXid { got, expected };
        self.drop_link(LinkError::Protocol(error), true);
    }

    /// The answer to the oldest request in flight, or a breach of the protocol.
    #[inline]
    fn answer(&mut self, header: ReplyHeader, body: Body<'_>) {
        // Credentials are answered by themselves; they are the only ones that can stand before.
        let at = self.in_flight.iter().position(|slot| !slot.is_auth());
        let expected = at.map_or(Xid::WATCH, |at| self.in_flight[at].xid);
        if expected != header.xid || at.is_none() {
            return self.wrong_xid(header.xid, expected);
        }
        if let Some(seen) = self.link.as_ref().map(|link| link.seen) {
            if header.zxid.is_positive() && header.zxid < seen {
                let error = ProtocolError::WentBack {
                    got: header.zxid,
                    seen,
                };
                return self.drop_link(LinkError::Protocol(error), true);
            }
        }
        let is_close = at.is_some_and(|at| self.in_flight[at].kind == Kind::Close);
        if header.err == ErrorCode::SESSION_EXPIRED && !is_close {
            return self.answered_expired();
        }
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::SwapReplies) {
            self.planted_count += 1;
            let alike = |at: usize| {
                let kind = |slot: &Slot| (slot.opcode, slot.kind, slot.watch.is_some());
                let next = self.in_flight.get(at + 1)?;
                (kind(&self.in_flight[at]) == kind(next)).then_some(at)
            };
            if let (0, Some(at)) = (self.planted_count % 40, at.and_then(alike)) {
                let (one, other) = (self.in_flight[at].xid, self.in_flight[at + 1].xid);
                self.in_flight.swap(at, at + 1);
                (self.in_flight[at].xid, self.in_flight[at + 1].xid) = (one, other);
            }
        }
        let Some(slot) = at.and_then(|at| self.in_flight.remove(at)) else {
            return;
        };
        if let Some((_, sent)) = self.timed.take_if(|(xid, _)| *xid == header.xid) {
            self.counters.round_trip = Some(self.now - sent);
        }
        self.watches.settle_event();
        let by_leader = from_leader(&slot, &header);
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::ReadProof)
            || (by_leader && self.is_planted(crate::Planted::ProofFromAnswer))
        {
            self.live.planted_proof(self.now, self.timeout());
        }
        self.live
            .answered(self.now, header.xid, by_leader, self.timeout());
        if header.zxid.is_positive() {
            self.last_zxid = self.last_zxid.max(header.zxid);
        }
        match slot.kind {
            Kind::User | Kind::Forgotten => self.answer_user(slot, header, body),
            Kind::Unwatch => {
                if header.err == ErrorCode::UNIMPLEMENTED {
                    self.cannot_unwatch = true;
                }
                if let Some(place) = self.unwatching.pop_front().flatten() {
                    self.watches.hush(place);
                }
            }
            Kind::Rewatch { last } => self.rewatched(header, last),
            Kind::Rearm => {
                if let (Some(place), true) = (self.rearming.pop_front(), header.err.is_ok()) {
                    let Self {
                        watches, events, ..
                    } = self;
                    watches.rearmed(place, header.zxid, &mut |event| events.push_back(event));
                }
                self.rewatched(header, false);
            }
            Kind::Close => self.close_reply(header.err),
            Kind::KeepAlive | Kind::Auth | Kind::ForgottenAuth | Kind::Ping => {}
        }
        self.settle_credentials();
        #[cfg(zk_planted)]
        self.events.extend(std::mem::take(&mut self.planted_late));
    }

    /// A server answers a request by saying that the session is gone.
    fn answered_expired(&mut self) {
        let fresh = self.is_fresh_link();
        self.abandon_link();
        if self.closing.is_some() {
            return self.finish_closing(CloseOutcome::Confirmed);
        }
        self.lose_session(StateReason::Expired);
        // A server that says so again and again must not be asked without a pause.
        if fresh { self.pause() } else { self.attempt() }
    }

    #[inline]
    fn answer_user(&mut self, slot: Slot, header: ReplyHeader, body: Body<'_>) {
        self.counters.replies += 1;
        let result = match body {
            _ if !header.err.is_ok() => Err(RequestError::Server(header.err)),
            Body::TooLarge(length) => {
                let limit = self.config.max_reply_bytes;
                Err(RequestError::ReplyTooLarge { length, limit })
            }
            Body::Here(mut reader) => match Reply::decode(slot.opcode, &mut reader) {
                Ok(mut reply) => {
                    if !slot.chroot.is_root() {
                        reply.strip_chroot(&slot.chroot);
                    }
                    Ok(reply)
                }
                Err(error) => Err(RequestError::Undecodable(error)),
            },
        };
        let Some(watch) = slot.watch else {
            return self.complete(&slot, header.zxid, result);
        };
        let kind = if watch.kind == WatchKind::Exist && header.err.is_ok() {
            WatchKind::Data
        } else {
            watch.kind
        };
        let missing = watch.kind == WatchKind::Exist && header.err == ErrorCode::NO_NODE;
        let set = header.err.is_ok() || missing;
        if set && result.is_err() && !missing {
            // Set at the server, but the caller will not learn of it.
            self.watches.drop_watcher(watch.id);
        }
        self.watches
            .answered(watch.id, watch.entry, kind, watch.arms, set);
        self.complete(&slot, header.zxid, result);
        self.reconcile(watch.entry);
    }

    /// Answers to credentials carry no number: they come in the order in which these were sent.
    fn credential_answer(&mut self, header: ReplyHeader) {
        let at = self
            .in_flight
            .iter()
            .position(|slot| slot.is_auth() && slot.early.is_none());
        let Some(at) = at else {
            return self.wrong_xid(Xid::AUTH, Xid::WATCH);
        };
        if let Some((_, credential)) = self.offered.pop_front() {
            let known =
                |c: &super::Credential| c.scheme == credential.scheme && c.data == credential.data;
            if header.err.is_ok() && !self.credentials.iter().any(known) {
                self.credentials.push(credential);
            }
        }
        self.in_flight[at].early = Some((header.zxid, header.err));
        self.settle_credentials();
    }

    /// Credentials are answered at once by the server's network layer; their results wait for
    /// those of older requests.
    fn settle_credentials(&mut self) {
        while let Some((zxid, code)) = self.in_flight.front().and_then(|slot| slot.early) {
            let Some(slot) = self.in_flight.pop_front() else {
                return;
            };
            let ok = code.is_ok();
            let result = if ok {
                Ok(Reply::Empty)
            } else {
                Err(RequestError::Server(code))
            };
            self.complete(&slot, zxid, result);
        }
    }

    fn watch_event(&mut self, header: ReplyHeader, mut reader: Reader<'_>) {
        let event = match WatcherEventRef::decode(&mut reader) {
            Ok(event) => event,
            Err(error) => return self.drop_link(undecodable(error), true),
        };
        self.counters.watch_events += 1;
        #[cfg(zk_planted)]
        if self.planted_event(&event.path, event.kind, header) {
            return;
        }
        let Self {
            watches, events, ..
        } = self;
        let at = (header.zxid, self.gap_from.is_some());
        let touched = watches.fire(event.kind, &event.path, at, &mut |event| {
            events.push_back(event)
        });
        if let Some(entry) = touched {
            self.reconcile(entry);
        }
    }

    /// Planted: `true` if the event is dealt with.
    #[cfg(zk_planted)]
    fn planted_event(
        &mut self,
        path: &str,
        kind: zk_proto::EventType,
        header: ReplyHeader,
    ) -> bool {
        use crate::Planted;
        match self.config.planted {
            Some(Planted::DropEvent) => {
                self.planted_count += 1;
                self.planted_count % 5 == 0
            }
            Some(Planted::SeenByEvent) => {
                self.last_zxid = self.last_zxid.max(header.zxid);
                false
            }
            Some(Planted::ReplyBeforeEvent) => {
                let Self {
                    watches,
                    planted_late,
                    ..
                } = self;
                let at = (header.zxid, false);
                if let Some(entry) =
                    watches.fire(kind, path, at, &mut |event| planted_late.push(event))
                {
                    self.reconcile(entry);
                }
                true
            }
            _ => false,
        }
    }

    fn rewatched(&mut self, header: ReplyHeader, last: bool) {
        if !header.err.is_ok() {
            if !std::mem::replace(&mut self.refusal_told, true) {
                let (span, error) = (self.spans.session(), header.err);
                warn!(parent: span, %error, "the server did not take the watches, trying on");
            }
            return self.drop_link(LinkError::WatchesRefused(header.err), true);
        }
        if last {
            self.refusal_told = false;
            self.end_gap(header.zxid);
        }
    }
}

enum Body<'a> {
    Here(Reader<'a>),
    TooLarge(usize),
}

/// Does the answer show that the request has reached the leader? Errors that a follower can give
/// by itself do not.
fn from_leader(slot: &Slot, header: &ReplyHeader) -> bool {
    const BY_LEADER: [ErrorCode; 6] = [
        ErrorCode::NO_NODE,
        ErrorCode::NODE_EXISTS,
        ErrorCode::BAD_VERSION,
        ErrorCode::NOT_EMPTY,
        ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ErrorCode::NO_AUTH,
    ];
    let by_leader = header.zxid.is_positive() && BY_LEADER.contains(&header.err);
    slot.proof && (header.err.is_ok() || (by_leader && slot.opcode != OpCode::SYNC))
}

fn undecodable(error: zk_proto::DecodeError) -> LinkError {
    LinkError::Protocol(ProtocolError::Undecodable(error))
}

fn bad_frame(error: FrameError) -> LinkError {
    let length = if let FrameError::NegativeLength(length) = error {
        length
    } else {
        -1
    };
    LinkError::Protocol(ProtocolError::BadLength(length.into()))
}
