//! One connection of a client, without what its requests mean.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use zk_proto::{
    ErrorCode, FrameDecoder, Id, OpCode, ReplyHeader, RequestHeader, SessionId, Xid, Zxid, put_int,
};

use crate::{ConnId, Fault, SaslServer};

mod output;

pub(crate) use output::OutputBuffer;

/// The most identities of a connection, its address among them. One word in the list of a node may
/// stand for all of them, so that they cost more than they are long.
const MAX_IDS: usize = 50;

/// The most bytes of them all.
const MAX_ID_BYTES: usize = 4096;

/// The input of a connection, and all else. They are apart so that a frame can be looked at where it
/// lies.
pub(crate) struct Connection {
    pub(crate) decoder: FrameDecoder,
    pub(crate) client: Client,
}

/// What is known of a client.
pub(crate) struct Client {
    pub(crate) id: ConnId,
    pub(crate) peer: SocketAddr,
    pub(crate) stage: Stage,
    /// Always with that of the scheme `ip`.
    pub(crate) ids: Arc<[Id]>,
    pub(crate) sasl: Option<Box<dyn SaslServer>>,
    pub(crate) output: OutputBuffer,
    /// Requests without a reply, in the order of replies. The first is with the leader.
    pub(crate) waiting: VecDeque<Waiting>,
    pub(crate) next_serial: u64,
    /// The connection is to be closed by whoever has just worked on it.
    pub(crate) ending: Option<Ending>,
    /// Its session has been heard of since the leader was told.
    pub(crate) touched: bool,
    pub(crate) stats: Stats,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// Nothing has been said. Closed at the deadline.
    Greeting { deadline: Instant },
    /// The leader has been asked for the session; what comes meanwhile is left in the decoder.
    Opening(Opening),
    /// Requests are served.
    Active {
        session: SessionId,
        timeout: i32,
        /// Whether the session is known to this member alone.
        local: bool,
    },
    /// A four-letter word has been asked.
    Asked,
    /// Closed. Only output is left, until the deadline. Without one it is held back, and the driver
    /// has not been told.
    Gone { deadline: Option<Instant> },
}

/// A connect request that the leader has not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Opening {
    pub(crate) session: SessionId,
    pub(crate) timeout: i32,
    /// Whether the byte was there: it is in the answer then.
    pub(crate) has_read_only: bool,
    pub(crate) serial: u64,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// After all output was sent.
    Flush,
    /// At once.
    Abort,
}

/// A request without a reply.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) header: RequestHeader,
    pub(crate) body: Bytes,
    pub(crate) place: Place,
    pub(crate) fault: Option<Fault>,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// At the leader, under this number.
    Leader { serial: u64 },
    /// Behind others.
    Here,
}

/// Figures for the four-letter words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stats {
    pub(crate) established: i64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_opcode: Option<OpCode>,
    pub(crate) last_xid: i32,
    pub(crate) last_zxid: Zxid,
}

impl Connection {
    pub(crate) fn new(
        id: ConnId,
        peer: SocketAddr,
        max_frame: usize,
        deadline: Instant,
        wall_millis: i64,
    ) -> Self {
        Self {
            decoder: FrameDecoder::new(max_frame),
            client: Client {
                id,
                peer,
                stage: Stage::Greeting { deadline },
                ids: Arc::new([ip_id(peer.ip())]),
                sasl: None,
                output: OutputBuffer::default(),
                waiting: VecDeque::new(),
                next_serial: 0,
                ending: None,
                touched: false,
                stats: Stats::new(wall_millis),
            },
        }
    }
}

impl Client {
    /// The session, once there is one.
    pub(crate) fn session(&self) -> Option<SessionId> {
        match self.stage {
            Stage::Active { session, .. } => Some(session),
            Stage::Greeting { .. } | Stage::Opening(_) | Stage::Asked | Stage::Gone { .. } => None,
        }
    }

    /// The timeout of the session in milliseconds.
    pub(crate) fn timeout(&self) -> Option<i32> {
        match self.stage {
            Stage::Active { timeout, .. } => Some(timeout),
            Stage::Greeting { .. } | Stage::Opening(_) | Stage::Asked | Stage::Gone { .. } => None,
        }
    }

    /// Whether the session is known to this member alone.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.stage, Stage::Active { local: true, .. })
    }

    /// Asks for the end of the connection; the more abrupt of two wins.
    pub(crate) fn end(&mut self, ending: Ending) {
        if self.ending != Some(Ending::Abort) {
            self.ending = Some(ending);
        }
    }

    /// The number of the next request for the leader.
    pub(crate) fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    /// Adds an identity; the ids are a set. `false` if there are too many.
    pub(crate) fn add_id(&mut self, id: Id) -> bool {
        if self.ids.contains(&id) {
            return true;
        }
        let bytes = |id: &Id| id.scheme.len() + id.id.len();
        let known: usize = self.ids.iter().map(bytes).sum();
        let has_room = self.ids.len() < MAX_IDS && known + bytes(&id) <= MAX_ID_BYTES;
        if has_room {
            let all = self.ids.iter().cloned().chain([id]);
            self.ids = all.collect();
        }
        has_room
    }

    /// Appends a reply; `body` is called if there is no error so far, and may find one.
    pub(crate) fn reply(
        &mut self,
        xid: Xid,
        zxid: Zxid,
        body: impl FnOnce(&[Id], &mut Vec<u8>) -> Result<(), ErrorCode>,
    ) -> ErrorCode {
        let out = self.output.begin();
        let start = out.len();
        put_int(out, 0);
        let ok = ReplyHeader {
            xid,
            zxid,
            err: ErrorCode::OK,
        };
        ok.encode(out);
        let end = out.len();
        let mut code = ErrorCode::OK;
        if let Err(err) = body(&self.ids, out) {
            out.truncate(end);
            out[end - 4..].copy_from_slice(&err.0.to_be_bytes());
            code = err;
        }
        let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        self.stats.sent += 1;
        self.stats.last_zxid = zxid;
        code
    }

    /// Appends a reply without a body.
    pub(crate) fn reply_code(&mut self, xid: Xid, zxid: Zxid, code: ErrorCode) {
        self.reply(
            xid,
            zxid,
            |_, _| if code.is_ok() { Ok(()) } else { Err(code) },
        );
    }
}

impl Stats {
    fn new(wall_millis: i64) -> Self {
        Self {
            established: wall_millis,
            received: 0,
            sent: 0,
            last_opcode: None,
            last_xid: 0,
            last_zxid: Zxid::ZERO,
        }
    }
}

impl Stage {
    /// When something happens by itself.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Greeting { deadline } => Some(deadline),
            Self::Gone { deadline } => deadline,
            Self::Opening(_) | Self::Active { .. } | Self::Asked => None,
        }
    }
}

/// The identity that every connection has.
fn ip_id(address: IpAddr) -> Id {
    Id::new("ip", address.to_canonical().to_string())
}
