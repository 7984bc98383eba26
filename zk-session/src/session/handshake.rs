//! From a fresh connection to a usable session.

use std::collections::VecDeque;
use std::time::Duration;

use tracing::debug;
use zk_proto::{
    Chroot, ConnectReply, ConnectRequest, ConnectResponse, ErrorCode, OpCode, Password, Reader,
    ReplyHeader, Request, RequestHeader, SessionId, Xid, Zxid, frame,
};

use super::{Ended, Identity, Session};
use crate::link::{Purpose, Stage};
use crate::sasl::Shared;
use crate::watch::Restore;
use crate::{
    Action, AuthFailure, Challenge, CloseOutcome, LinkError, ProtocolError, RequestError,
    SaslError, SaslWork, State, StateReason, Step, Stranger,
};

impl Session {
    /// The transport is up: name the session that is wanted.
    pub(super) fn greet(&mut self) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        if !matches!(link.stage, Stage::Connecting) {
            return;
        }
        let wanted = match link.purpose {
            Purpose::CloseOld => self.stale.as_ref().map(|stale| &stale.identity),
            // A session that only read-only servers knew is unknown to all others.
            Purpose::Attach => self.identity.as_ref().filter(|i| i.seen_writable),
        };
        let offered = wanted.map_or(SessionId::NONE, |i| i.id);
        link.seen = match link.purpose {
            Purpose::Attach if self.identity.is_some() => self.last_zxid,
            Purpose::Attach | Purpose::CloseOld => Zxid::ZERO,
        };
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: link.seen,
            timeout: i32::try_from(self.config.session_timeout.as_millis()).unwrap_or(i32::MAX),
            session_id: offered,
            password: wanted.map_or(Password::EMPTY, |i| i.password),
            read_only: Some(self.config.read_only),
        };
        frame(&mut link.out, |out| request.encode(out));
        link.stage = Stage::Greeting {
            offered,
            sent: None,
        };
        if let Some(security) = &mut link.security {
            security.start();
        }
    }

    /// The server's answer to the connect request.
    pub(super) fn greeting(&mut self, mut reader: Reader<'_>) {
        let response = match ConnectReply::decode(&mut reader) {
            Ok(ConnectReply::Response(response)) => response,
            Ok(ConnectReply::Refused(code)) => {
                return self.drop_link(LinkError::Refused(code), true);
            }
            Err(_) => return self.drop_link(LinkError::NotZooKeeper(Stranger::Other), true),
        };
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Stage::Greeting { offered, sent } = link.stage else {
            return;
        };
        let sent = sent.unwrap_or(self.now);
        if response.is_expired() {
            return self.expired(offered);
        }
        if response.session_id == SessionId::NONE || response.password.as_bytes().len() > 256 {
            return self.drop_link(LinkError::NotZooKeeper(Stranger::Other), true);
        }
        let read_only = response.read_only == Some(true);
        if read_only && !self.config.read_only {
            return self.drop_link(LinkError::Refused(ErrorCode::NOT_READ_ONLY), true);
        }
        link.read_only = read_only;
        let same = offered == response.session_id;
        #[cfg(zk_planted)]
        let same = same
            || (offered != SessionId::NONE
                && self.config.planted == Some(crate::Planted::SilentSubstitution));
        if link.purpose == Purpose::Attach || !same {
            link.purpose = Purpose::Attach;
            link.resumed = same && offered != SessionId::NONE;
            self.adopt(response, offered, read_only);
            let timeout = self.timeout();
            self.live.attached(sent, self.now, !read_only, timeout);
        }
        self.authenticate();
    }

    /// The server says that the offered session does not exist.
    fn expired(&mut self, offered: SessionId) {
        let purpose = self.link.as_ref().map(|link| link.purpose);
        if offered == SessionId::NONE {
            // There was nothing to expire: this server will not have us.
            return self.drop_link(LinkError::Refused(ErrorCode::SESSION_EXPIRED), true);
        }
        if purpose == Some(Purpose::CloseOld) {
            return self.old_session_closed();
        }
        self.abandon_link();
        if self.closing.is_some() {
            return self.finish_closing(CloseOutcome::Confirmed);
        }
        self.lose_session(StateReason::Expired);
        self.attempt();
    }

    /// A server answers closeSession for the session that was given up.
    pub(super) fn old_session_reply(&mut self, code: ErrorCode) {
        if code.is_ok() || code == ErrorCode::SESSION_EXPIRED {
            self.old_session_closed();
        } else {
            self.drop_link(LinkError::Refused(code), true);
        }
    }

    /// The session that was given up is closed: now for a new one.
    pub(super) fn old_session_closed(&mut self) {
        debug!(parent: self.spans.session(), "the session that was given up is closed");
        self.stale = None;
        self.abandon_link();
        if self.closing.is_some() {
            return self.finish_closing(CloseOutcome::Confirmed);
        }
        self.attempt();
    }

    /// The connection has served its purpose.
    pub(super) fn abandon_link(&mut self) {
        if let Some(mut link) = self.link.take() {
            self.disconnect(&mut link, true);
        }
        self.stop_probing();
        self.live.disconnected();
        self.clear_control();
    }

    /// The session is the one that the server names, which may be another than the one offered.
    fn adopt(&mut self, response: ConnectResponse, offered: SessionId, read_only: bool) {
        let same = offered == response.session_id;
        let timeout = Duration::from_millis(u64::try_from(response.timeout).unwrap_or(1));
        #[cfg(zk_planted)]
        let same = same
            || (offered != SessionId::NONE && self.is_planted(crate::Planted::SilentSubstitution));
        if !same && (offered != SessionId::NONE || self.state != State::Lost) {
            self.lose_session(StateReason::Substituted);
        }
        self.stale = None;
        let seen_writable =
            !read_only || (same && self.identity.as_ref().is_some_and(|i| i.seen_writable));
        if !same {
            self.counters.sessions += 1;
            self.live.reset();
            self.last_zxid = Zxid::ZERO;
        }
        if !same || self.state == State::Lost {
            self.spans.begin(response.session_id, timeout, read_only);
        }
        self.identity = Some(Identity {
            id: response.session_id,
            password: response.password,
            timeout,
            seen_writable,
        });
    }

    /// SASL first, if it is configured.
    fn authenticate(&mut self) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Some(factory) = &self.config.mechanism else {
            return self.present_credentials();
        };
        let mut nonce = [0; 16];
        self.rng.fill(&mut nonce);
        let mechanism = factory.mechanism(&link.server, nonce);
        link.stage = Stage::Sasl {
            mechanism: Shared::new(mechanism),
            answers: 0,
            at_work: false,
        };
        self.sasl_step(Challenge::Initial);
    }

    fn sasl_step(&mut self, challenge: Challenge<'_>) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Stage::Sasl {
            mechanism, at_work, ..
        } = &mut link.stage
        else {
            return;
        };
        let step = mechanism.lock().step(challenge);
        match step {
            Ok(Step::Send(token)) => self.send_token(&token),
            Ok(Step::Done) => self.present_credentials(),
            Ok(Step::Later) => {
                *at_work = true;
                self.actions.push_back(Action::Sasl {
                    conn: link.conn,
                    work: SaslWork::new(mechanism.clone(), challenge),
                });
            }
            Err(error) => self.fail_sasl(error),
        }
    }

    fn fail_sasl(&mut self, error: SaslError) {
        if error.temporary {
            self.drop_link(LinkError::Sasl(error), true);
        } else {
            self.fail_auth(AuthFailure::Sasl(error));
        }
    }

    fn send_token(&mut self, token: &[u8]) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let xid = link.take_xid();
        let request = Request::Sasl {
            token: Some(token.into()),
        };
        put_request(&mut link.out, xid, &request);
    }

    pub(super) fn sasl_token(&mut self, token: Result<Vec<u8>, SaslError>) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Stage::Sasl {
            at_work: at_work @ true,
            ..
        } = &mut link.stage
        else {
            return;
        };
        *at_work = false;
        match token {
            Ok(token) => self.send_token(&token),
            Err(error) => self.fail_sasl(error),
        }
    }

    pub(super) fn sasl_reply(&mut self, header: ReplyHeader, mut reader: Reader<'_>) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Stage::Sasl {
            answers, mechanism, ..
        } = &mut link.stage
        else {
            return;
        };
        *answers += 1;
        let first = *answers == 1;
        match header.err {
            ErrorCode::OK => {}
            ErrorCode::AUTH_FAILED | ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH => {
                let failure = mechanism.lock().refused();
                return self.fail_auth(failure);
            }
            code => return self.drop_link(LinkError::Refused(code), true),
        }
        match reader.buffer("token") {
            Ok(Some(token)) => self.sasl_step(Challenge::Token(token)),
            Ok(None) if first => self.fail_auth(AuthFailure::SaslUnsupported),
            Ok(None) => self.sasl_step(Challenge::Null),
            Err(error) => {
                let error = LinkError::Protocol(ProtocolError::Undecodable(error));
                self.drop_link(error, true);
            }
        }
    }

    /// Then all credentials, in the order in which they were given.
    fn present_credentials(&mut self) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let mut schemes = VecDeque::new();
        for credential in &self.credentials {
            let request = Request::Auth {
                scheme: credential.scheme.as_str().into(),
                data: Some(credential.data.as_slice().into()),
            };
            put_request(&mut link.out, Xid::AUTH, &request);
            schemes.push_back(credential.scheme.clone());
        }
        #[cfg(zk_planted)]
        if self.config.planted == Some(crate::Planted::SkipAuth) {
            link.out.clear();
            schemes.clear();
        }
        if schemes.is_empty() {
            self.activate();
        } else {
            link.stage = Stage::Auth { schemes };
        }
    }

    pub(super) fn credential_reply(&mut self, header: ReplyHeader) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let Stage::Auth { schemes } = &mut link.stage else {
            return;
        };
        let Some(scheme) = schemes.pop_front() else {
            return;
        };
        if header.err == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH {
            self.fail_auth(AuthFailure::Required);
        } else if !header.err.is_ok() {
            self.fail_auth(AuthFailure::Credential { scheme });
        } else if schemes.is_empty() {
            self.activate();
        }
    }

    /// The credentials are no good anywhere: the session ends for good.
    pub(super) fn fail_auth(&mut self, failure: AuthFailure) {
        let error = |sent| RequestError::AuthFailed { sent };
        let reason = StateReason::AuthFailed(failure);
        self.end(
            Ended::AuthFailed,
            reason,
            error,
            CloseOutcome::Unconfirmed,
            true,
        );
    }

    /// Is the session the one that was to be resumed?
    fn is_resumed_one(&self) -> bool {
        let wanted = self.config.resume.as_ref().map(|(id, _)| *id);
        wanted.is_some() && wanted == self.identity.as_ref().map(|i| i.id)
    }

    /// The session can be used.
    fn activate(&mut self) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        if link.purpose == Purpose::CloseOld {
            let xid = link.take_xid();
            put_request(&mut link.out, xid, &Request::CloseSession);
            link.stage = Stage::ClosingOld;
            return;
        }
        link.stage = Stage::Active { since: self.now };
        self.complaints.clear();
        let read_only = link.read_only;
        // A session that was lost before it could be used is news to the application.
        let resumed = link.resumed && (self.state != State::Lost || self.is_resumed_one());
        let reason = if resumed {
            StateReason::Resumed
        } else {
            StateReason::Established
        };
        self.servers.succeeded();
        self.backoff.succeeded();
        self.failing_since = None;
        self.outage_told = false;
        self.counters.connections += 1;
        self.set_state(State::Connected { read_only }, reason);
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::SkipRestore) {
            return self.end_gap(self.last_zxid);
        }
        if self.watches.len() > 0 {
            self.restore = Some(Restore::new(self.gap_from.unwrap_or(self.last_zxid)));
            #[cfg(zk_planted)]
            if let (true, Some(restore)) = (
                self.is_planted(crate::Planted::RestoreTooNew),
                &mut self.restore,
            ) {
                restore.since = Zxid(i64::MAX);
            }
            self.unreconciled = self.watches.unserved();
        } else {
            self.gap_from = None;
        }
        if read_only {
            self.start_probing();
        } else {
            self.forget_probing();
        }
        self.advance_closing();
    }
}

/// A request of the handshake, which needs no place in the queue.
fn put_request(out: &mut Vec<u8>, xid: Xid, request: &Request<'_>) {
    let opcode: OpCode = request.opcode();
    frame(out, |out| {
        RequestHeader { xid, opcode }.encode(out);
        request.encode(&Chroot::default(), out);
    });
}
