//! What a peer has received: the other end of the wire.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::{
    Chroot, ConnectRequest, Frame, FrameDecoder, OpCode, Reader, Request, RequestHeader,
    ServerAddr, Xid,
};

/// One end of a connection that the session has asked for.
pub(crate) struct Peer {
    pub(crate) server: ServerAddr,
    pub(crate) attempt: u32,
    pub(crate) began: Instant,
    pub(crate) up: bool,
    /// The connect request, once it has arrived.
    pub(crate) greeting: Option<ConnectRequest>,
    pub(crate) asked: VecDeque<Asked>,
    /// What arrived and is not the protocol: `isro`, or the bytes of a layer.
    pub(crate) raw: Vec<u8>,
    /// Bytes are kept as they are, for a layer of the test to read.
    pub(crate) opaque: bool,
    decoder: FrameDecoder,
}

impl Peer {
    pub(crate) fn new(server: ServerAddr, attempt: u32, began: Instant) -> Self {
        Self {
            server,
            attempt,
            began,
            up: false,
            greeting: None,
            asked: VecDeque::new(),
            raw: Vec::new(),
            opaque: false,
            decoder: FrameDecoder::new(usize::MAX),
        }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let word = self.greeting.is_none() && self.decoder.buffered() == 0;
        if self.opaque || (word && bytes == b"isro") {
            self.raw.extend_from_slice(bytes);
            return;
        }
        self.read(bytes);
    }

    /// Reads bytes of the protocol, from below a layer.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next_frame().expect("well-formed frames") {
            let Frame::Whole { chunk, range } = frame else {
                panic!("a frame without limit is whole")
            };
            let body = chunk.slice(range);
            if self.greeting.is_none() {
                let mut reader = Reader::new(&body);
                let greeting = ConnectRequest::decode(&mut reader).expect("a connect request");
                assert_eq!(reader.remaining(), 0);
                self.greeting = Some(greeting);
            } else {
                self.asked.push_back(Asked::new(body));
            }
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("server", &self.server)
            .field("up", &self.up)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}

/// A request as the server sees it.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) xid: Xid,
    pub(crate) opcode: OpCode,
    body: Bytes,
}

impl Asked {
    fn new(frame: Bytes) -> Self {
        let mut reader = Reader::new(&frame);
        let header = RequestHeader::decode(&mut reader).expect("a request header");
        let asked = Self {
            xid: header.xid,
            opcode: header.opcode,
            body: frame.slice(RequestHeader::LEN..),
        };
        let mut reader = Reader::new(&asked.body);
        Request::decode(asked.opcode, &mut reader).expect("a request");
        assert_eq!(reader.remaining(), 0, "nothing behind the request");
        asked
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request::decode(self.opcode, &mut Reader::new(&self.body)).expect("it was decoded before")
    }

    pub(crate) fn is(&self, request: &Request<'_>) -> bool {
        let mut body = Vec::new();
        request.encode(&Chroot::ROOT, &mut body);
        self.opcode == request.opcode() && self.body == body
    }

    /// The length of the frame, its prefix not counted.
    pub(crate) fn frame_len(&self) -> usize {
        RequestHeader::LEN + self.body.len()
    }

    /// Does it keep the session alive and nothing else?
    pub(crate) fn is_keep_alive(&self) -> bool {
        self.is(&Request::Ping) || self.is(&Request::Sync { path: "/".into() })
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.xid, self.request())
    }
}
