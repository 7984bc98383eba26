//! Faults on demand, for tests of clients.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode, SessionId};

use crate::ConnId;

/// Which request a fault waits for: a credential is one, too. Everything that is not said matches.
///
/// ```
/// # use zk_proto::OpCode;
/// # use zk_server::Matcher;
/// let matcher = Matcher::any().opcode(OpCode::CREATE).path("/locks/a");
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Matcher {
    conn: Option<ConnId>,
    session: Option<SessionId>,
    opcode: Option<OpCode>,
    path: Option<String>,
    skip: usize,
}

/// What a matcher looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) conn: ConnId,
    pub(crate) session: SessionId,
    pub(crate) opcode: OpCode,
    pub(crate) path: Option<&'a str>,
}

impl Matcher {
    /// The next request of anybody.
    pub fn any() -> Self {
        Self::default()
    }

    /// On this connection.
    #[must_use]
    pub fn conn(mut self, conn: ConnId) -> Self {
        self.conn = Some(conn);
        self
    }

    /// In this session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Of this operation.
    #[must_use]
    pub fn opcode(mut self, opcode: OpCode) -> Self {
        self.opcode = Some(opcode);
        self
    }

    /// About this node; of a sequential one, the path before the counter.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Let so many of them pass before.
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    fn matches(&self, seen: Seen<'_>) -> bool {
        self.conn.is_none_or(|conn| conn == seen.conn)
            && self.session.is_none_or(|session| session == seen.session)
            && self.opcode.is_none_or(|opcode| opcode == seen.opcode)
            && self
                .path
                .as_deref()
                .is_none_or(|path| Some(path) == seen.path)
    }
}

/// What becomes of a request that matches. Each fault happens once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is cut; the request is not executed.
    CutBefore,
    /// The request is executed, then the connection is cut; nothing more is sent on it.
    CutAfter,
    /// The request is not executed; this is the answer.
    Answer(ErrorCode),
    /// The request is executed. Its reply and all that follows on the connection, its orderly end
    /// included, wait until `release`.
    Hold,
    /// The same, for this time. Other holds and delays of the connection are waited for as well.
    Delay(Duration),
    /// The request is executed. Every byte of the reply but those of its length is wrong.
    Corrupt,
}

/// Faults that have not happened yet.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<(Matcher, Fault)>,
    pub(crate) connects: Connects,
    /// Stands in for the session id in the next reply to a connect request.
    pub(crate) substitute: Option<SessionId>,
}

/// What becomes of connect requests.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Connects {
    #[default]
    Accepted,
    /// The connection is closed without an answer.
    Refused,
}

impl Faults {
    pub(crate) fn add(&mut self, matcher: Matcher, fault: Fault) {
        self.waiting.push((matcher, fault));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// The oldest fault for this request.
    pub(crate) fn take(&mut self, seen: Seen<'_>) -> Option<Fault> {
        for at in 0..self.waiting.len() {
            let (matcher, fault) = &mut self.waiting[at];
            if !matcher.matches(seen) {
                continue;
            }
            if matcher.skip == 0 {
                let fault = *fault;
                self.waiting.remove(at);
                return Some(fault);
            }
            matcher.skip -= 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(opcode: OpCode, path: Option<&'a str>) -> Seen<'a> {
        Seen {
            conn: ConnId(1),
            session: SessionId(7),
            opcode,
            path,
        }
    }

    #[test]
    fn a_fault_happens_once_to_the_first_that_matches_all() {
        let mut faults = Faults::default();
        let matcher = Matcher::any()
            .conn(ConnId(1))
            .session(SessionId(7))
            .opcode(OpCode::CREATE)
            .path("/a")
            .skip(1);
        faults.add(matcher, Fault::CutAfter);
        assert_eq!(faults.take(seen(OpCode::CREATE, Some("/b"))), None);
        assert_eq!(faults.take(seen(OpCode::DELETE, Some("/a"))), None);
        assert_eq!(faults.take(seen(OpCode::CREATE, None)), None);
        assert_eq!(faults.take(seen(OpCode::CREATE, Some("/a"))), None);
        assert_eq!(
            faults.take(seen(OpCode::CREATE, Some("/a"))),
            Some(Fault::CutAfter)
        );
        assert!(faults.is_empty());
        assert_eq!(faults.take(seen(OpCode::CREATE, Some("/a"))), None);
    }
}
