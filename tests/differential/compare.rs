//! What a server said, without what differs from run to run.

use std::collections::BTreeMap;

use bytes::Bytes;
use zk_proto::{
    Acl, ConnectReply, ErrorCode, MultiResult, OpCode, ReadResult, Reader, Reply, ReplyHeader,
    SessionId, Stat, WatcherEvent, Xid,
};

/// How far the clocks of two servers on one machine may be apart, in milliseconds: what one of them
/// needs for an operation in the worst case.
const APART: i64 = 20_000;

/// A message of a server that can be compared with another server's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Seen {
    Event {
        zxid: i64,
        event: WatcherEvent,
    },
    Reply {
        xid: i32,
        zxid: i64,
        err: ErrorCode,
        body: Body,
    },
    Greeting {
        timeout: i32,
        /// The number of the session, if there is one.
        session: Option<usize>,
        password: usize,
        read_only: Option<bool>,
    },
    /// Bytes that are none of these.
    Other(Vec<u8>),
    Closed,
    Silence,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Body {
    Decoded(Reply),
    /// With an error, of an operation without a known reply, or not to be decoded.
    Raw(Vec<u8>),
}

impl Seen {
    pub(super) fn err(&self) -> Option<ErrorCode> {
        match self {
            Self::Reply { err, .. } => Some(*err),
            _ => None,
        }
    }

    /// The body of a reply without an error.
    pub(super) fn body(&self) -> Option<&Reply> {
        match self {
            Self::Reply {
                body: Body::Decoded(reply),
                ..
            } => Some(reply),
            _ => None,
        }
    }
}

/// What is known of a server, to take out of its messages what is its own.
#[derive(Default)]
pub(super) struct Side {
    /// The numbers of its sessions.
    sessions: BTreeMap<SessionId, usize>,
    /// When it executed a transaction, as its `Stat`s say.
    pub(super) times: BTreeMap<i64, i64>,
    /// What its `Stat`s contradict each other in.
    pub(super) faults: Vec<String>,
}

impl Side {
    /// Reads a greeting. The caller has yet to number the session, so it gets the number here.
    pub(super) fn greeting(
        &mut self,
        frame: &Bytes,
        number: usize,
    ) -> (Seen, Option<ConnectReply>) {
        let mut reader = Reader::new(frame);
        let Ok(reply) = ConnectReply::decode(&mut reader) else {
            return (Seen::Other(frame.to_vec()), None);
        };
        let ConnectReply::Response(response) = &reply else {
            return (Seen::Other(frame.to_vec()), None);
        };
        let id = response.session_id;
        if reader.remaining() > 0 {
            return (Seen::Other(frame.to_vec()), None);
        }
        let session = (!id.is_none()).then(|| *self.sessions.entry(id).or_insert(number));
        let seen = Seen::Greeting {
            timeout: response.timeout,
            session,
            password: response.password.as_bytes().len(),
            read_only: response.read_only,
        };
        (seen, Some(reply))
    }

    /// Reads an event or the reply to `opcode`.
    pub(super) fn message(&mut self, frame: &Bytes, opcode: OpCode) -> Seen {
        let mut reader = Reader::new(frame);
        let Ok(header) = ReplyHeader::decode(&mut reader) else {
            return Seen::Other(frame.to_vec());
        };
        if header.xid == Xid::WATCH && header.err.is_ok() {
            return match WatcherEvent::decode(&mut reader) {
                Ok(event) if reader.remaining() == 0 => Seen::Event {
                    zxid: header.zxid.0,
                    event,
                },
                _ => Seen::Other(frame.to_vec()),
            };
        }
        let raw = || Body::Raw(frame[ReplyHeader::LEN..].to_vec());
        let body = if header.err.is_ok() {
            match Reply::decode(opcode, &mut reader) {
                Ok(reply) if reader.remaining() == 0 => Body::Decoded(self.reply(reply)),
                _ => raw(),
            }
        } else {
            raw()
        };
        Seen::Reply {
            xid: header.xid.0,
            zxid: header.zxid.0,
            err: header.err,
            body,
        }
    }

    fn reply(&mut self, mut reply: Reply) -> Reply {
        match &mut reply {
            Reply::Created { stat, .. } | Reply::Stat(stat) | Reply::Data { stat, .. } => {
                self.stat(stat);
            }
            Reply::Acl { acl, stat } => {
                sort_identities(acl);
                self.stat(stat);
            }
            Reply::Children(children) => *children = children.sorted().into_iter().collect(),
            Reply::ChildrenStat { children, stat } => {
                *children = children.sorted().into_iter().collect();
                self.stat(stat);
            }
            Reply::Multi(results) => {
                for result in results {
                    match result {
                        MultiResult::Created {
                            stat: Some(stat), ..
                        }
                        | MultiResult::Set(stat) => self.stat(stat),
                        _ => {}
                    }
                }
            }
            Reply::MultiRead(results) => {
                for result in results {
                    match result {
                        ReadResult::Data { stat, .. } => self.stat(stat),
                        ReadResult::Children(children) => {
                            *children = children.sorted().into_iter().collect();
                        }
                        ReadResult::Error(_) => {}
                    }
                }
            }
            Reply::Ephemerals(paths) => paths.sort(),
            Reply::Clients(clients) => {
                clients.sort_by(|a, b| (&a.scheme, &a.user).cmp(&(&b.scheme, &b.user)));
            }
            _ => {}
        }
        reply
    }

    /// Keeps the times of a `Stat` to be compared, and takes them out; names its owner by number.
    fn stat(&mut self, stat: &mut Stat) {
        self.time(stat.czxid.0, stat.ctime);
        self.time(stat.mzxid.0, stat.mtime);
        (stat.ctime, stat.mtime) = (0, 0);
        if let Some(number) = self.sessions.get(&stat.ephemeral_owner) {
            stat.ephemeral_owner = SessionId(*number as i64 + 1);
        }
    }

    fn time(&mut self, zxid: i64, time: i64) {
        let known = *self.times.entry(zxid).or_insert(time);
        if known != time {
            self.faults
                .push(format!("transaction {zxid} was at {known} and at {time}"));
        }
    }
}

/// What two servers say of the times of their transactions, where it does not go together.
pub(super) fn compare_times(one: &Side, other: &Side) -> Option<String> {
    let mut faults = one.faults.iter().chain(&other.faults);
    if let Some(fault) = faults.next() {
        return Some(fault.clone());
    }
    let mut both = one
        .times
        .iter()
        .filter_map(|(zxid, time)| Some((zxid, time, other.times.get(zxid)?)));
    both.find(|(_, a, b)| (*a - *b).abs() > APART)
        .map(|(zxid, a, b)| format!("transaction {zxid} was at {a} and at {b}"))
}

/// What stands for `auth` in a list are all identities of a connection, in no particular order.
fn sort_identities(list: &mut [Acl]) {
    let is_digest = |acl: &Acl| acl.id.scheme == "digest";
    for run in list.chunk_by_mut(|a, b| a.perms == b.perms && is_digest(a) && is_digest(b)) {
        run.sort_by(|a, b| a.id.id.cmp(&b.id.id));
    }
}

/// Sorts each run of events, as the order within one is not promised.
pub(super) fn sort_events(seen: &mut [Seen]) {
    for run in seen.chunk_by_mut(|a, b| matches!((a, b), (Seen::Event { .. }, Seen::Event { .. })))
    {
        run.sort_by_key(|seen| match seen {
            Seen::Event { zxid, event } => Some((*zxid, event.path.clone(), event.kind.0)),
            _ => None,
        });
    }
}
