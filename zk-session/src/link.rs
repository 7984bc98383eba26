//! One connection, from the first attempt to its end.
//!
//! ```text
//! Connecting --up--> Greeting --reply--> Sasl --done--> Auth --replies--> Active
//!                                 \_________________________/
//!                                  left out where not needed
//! ```
//!
//! A connection that fails anywhere is dropped whole, and the next begins afresh: what a stage
//! knows dies with it.

use std::collections::VecDeque;
use std::time::Instant;

use tracing::Span;
use zk_proto::{FrameDecoder, ServerAddr, SessionId, Xid, Zxid};

use crate::{ConnId, Layer, LayerError, LinkError, Stranger, sasl};

/// No answer to a connect request is longer than this.
pub(crate) const MAX_GREETING: usize = 4096;

/// Memory that each buffer of a security layer may keep while there is little to do.
const KEPT: usize = 4 << 10;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// The session of the application.
    Attach,
    /// To close a session that was given up, so that its ephemerals do not haunt its successor.
    CloseOld,
}

/// How far a connection has come.
pub(crate) enum Stage {
    /// The transport is being set up.
    Connecting,
    /// The connect request is on its way; `offered` is the session it names.
    Greeting {
        offered: SessionId,
        sent: Option<Instant>,
    },
    /// The SASL exchange goes on; the server has answered so often.
    Sasl {
        mechanism: sasl::Shared,
        answers: u32,
        /// The next token is being worked out; it is not the server's turn.
        at_work: bool,
    },
    /// So many credentials are sent and unanswered.
    Auth { schemes: VecDeque<String> },
    /// The session can be used.
    Active { since: Instant },
    /// closeSession is sent for an old session.
    ClosingOld,
}

/// A connection.
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) server: ServerAddr,
    pub(crate) purpose: Purpose,
    pub(crate) stage: Stage,
    /// The attempt fails if it has not become active by then.
    pub(crate) budget: Instant,
    pub(crate) read_only: bool,
    /// The newest zxid that this session had seen when the connection began.
    pub(crate) seen: Zxid,
    pub(crate) next_xid: Xid,
    /// The server took the session that was offered.
    pub(crate) resumed: bool,
    /// Taken out while frames are read from it.
    pub(crate) decoder: Option<FrameDecoder>,
    /// Bytes of the handshake, to be sent before anything else.
    pub(crate) out: Vec<u8>,
    pub(crate) security: Option<Security>,
    /// Where its log goes.
    pub(crate) span: Span,
}

impl Link {
    pub(crate) fn new(
        conn: ConnId,
        server: ServerAddr,
        purpose: Purpose,
        budget: Instant,
        layer: Option<Box<dyn Layer>>,
        span: Span,
    ) -> Self {
        Self {
            conn,
            server,
            purpose,
            stage: Stage::Connecting,
            budget,
            read_only: false,
            seen: Zxid::ZERO,
            next_xid: Xid::FIRST,
            resumed: false,
            decoder: Some(FrameDecoder::new(MAX_GREETING)),
            out: Vec::new(),
            security: layer.map(Security::new),
            span,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        matches!(self.stage, Stage::Active { .. })
    }

    pub(crate) fn take_xid(&mut self) -> Xid {
        let xid = self.next_xid;
        self.next_xid = xid.next();
        xid
    }

    /// Whatever listens there: does its first word give it away?
    pub(crate) fn stranger(&self) -> Option<Stranger> {
        let first = self.decoder.as_ref()?.peek();
        stranger(first).or_else(|| match first {
            [a, b, c, d, ..] => {
                let length = i32::from_be_bytes([*a, *b, *c, *d]);
                let fits = usize::try_from(length).is_ok_and(|n| n <= MAX_GREETING);
                (!fits).then_some(Stranger::Other)
            }
            _ => None,
        })
    }

    /// The reason when the transport has ended.
    pub(crate) fn closed_early(&self, kind: std::io::ErrorKind) -> LinkError {
        let is_up = !matches!(self.stage, Stage::Connecting);
        let security = self.security.as_ref().filter(|_| is_up);
        if let Some(error) = security.and_then(Security::closed) {
            return LinkError::Layer(error);
        }
        match self.stage {
            Stage::Greeting { sent: Some(_), .. } => match self.decoder.as_ref() {
                Some(decoder) if decoder.buffered() > 0 => {
                    LinkError::NotZooKeeper(self.stranger().unwrap_or(Stranger::Other))
                }
                _ => LinkError::Declined,
            },
            Stage::Connecting
            | Stage::Greeting { sent: None, .. }
            | Stage::Sasl { .. }
            | Stage::Auth { .. }
            | Stage::Active { .. }
            | Stage::ClosingOld => LinkError::Io(kind),
        }
    }

    /// What was not done in time.
    pub(crate) fn too_late(&self) -> LinkError {
        match self.stage {
            Stage::Sasl { at_work: true, .. } => LinkError::SaslTimeout,
            Stage::Connecting
            | Stage::Greeting { .. }
            | Stage::Sasl { at_work: false, .. }
            | Stage::Auth { .. }
            | Stage::Active { .. }
            | Stage::ClosingOld => LinkError::ConnectTimeout,
        }
    }
}

/// Who begins like that, and is no ZooKeeper server.
pub(crate) fn stranger(first: &[u8]) -> Option<Stranger> {
    match first {
        [b'H', b'T', b'T', b'P', ..] => Some(Stranger::Http),
        // A TLS record: alert (0x15) or handshake (0x16), version 3.x.
        [0x15 | 0x16, 0x03, 0x00..=0x04, ..] => Some(Stranger::Tls),
        _ => None,
    }
}

/// The security layer of a connection, and bytes on both of its sides.
pub(crate) struct Security {
    layer: Box<dyn Layer>,
    /// What the layer has to say itself, to be sent first.
    wire: Vec<u8>,
    plain_in: Vec<u8>,
    plain_out: Vec<u8>,
}

impl Security {
    pub(crate) fn new(layer: Box<dyn Layer>) -> Self {
        Self {
            layer,
            wire: Vec::new(),
            plain_in: Vec::new(),
            plain_out: Vec::new(),
        }
    }

    /// The transport is up: the layer may speak first.
    pub(crate) fn start(&mut self) {
        self.layer.flush(&mut self.wire);
    }

    /// Takes what arrived; gives the decoded bytes, and why there will be no more.
    pub(crate) fn decode(&mut self, data: &[u8]) -> (&[u8], Option<LayerError>) {
        self.plain_in.clear();
        if data.len() < KEPT {
            self.plain_in.shrink_to(KEPT);
        }
        let end = self
            .layer
            .decode(data, &mut self.plain_in, &mut self.wire)
            .err();
        if end.is_none() {
            self.layer.flush(&mut self.wire);
        }
        (&self.plain_in, end)
    }

    pub(crate) fn is_established(&self) -> bool {
        self.layer.is_established()
    }

    /// The peer has ended the connection: what that means, if the layer knows.
    pub(crate) fn closed(&self) -> Option<LayerError> {
        self.layer.closed()
    }

    /// This side ends the connection: what the peer is still to be told.
    pub(crate) fn last_words(mut self) -> Vec<u8> {
        self.layer.close(&mut self.wire);
        self.wire
    }

    /// Appends to `out` what the layer itself has to say.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.layer.flush(&mut self.wire);
        out.append(&mut self.wire);
    }

    /// A place for bytes to be encoded.
    pub(crate) fn plain(&mut self) -> &mut Vec<u8> {
        &mut self.plain_out
    }

    /// Encodes what was put there, appending to `out`.
    pub(crate) fn encode(&mut self, out: &mut Vec<u8>) -> Result<(), LayerError> {
        let result = if self.plain_out.is_empty() {
            Ok(())
        } else {
            self.layer.encode(&self.plain_out, out)
        };
        if self.plain_out.len() < KEPT {
            self.plain_out.shrink_to(KEPT);
        }
        self.plain_out.clear();
        result
    }
}
