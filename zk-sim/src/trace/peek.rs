//! Reads along on a connection, to name the frames that pass.

use std::collections::VecDeque;
use std::fmt::Write;

use zk_proto::{
    ConnectReply, ConnectRequest, FrameDecoder, OpCode, Reader, ReplyHeader, Request,
    RequestHeader, WatcherEvent, Xid, is_four_letter,
};

/// Frames above this are counted, not read.
const LIMIT: usize = 4 << 20;

/// One connection as an eavesdropper sees it.
pub(crate) struct Peek {
    requests: Side,
    replies: Side,
    /// Requests without a reply. Replies come in their order, but for reserved xids.
    asked: VecDeque<(Xid, OpCode)>,
}

struct Side {
    decoder: FrameDecoder,
    greeted: bool,
    /// This is not the protocol, or is hidden by a layer.
    blind: bool,
    /// The first four bytes, until there are as many.
    head: Vec<u8>,
}

impl Side {
    fn new() -> Self {
        Self {
            decoder: FrameDecoder::new(LIMIT),
            greeted: false,
            blind: false,
            head: Vec::new(),
        }
    }
}

impl Peek {
    pub(crate) fn new() -> Self {
        Self {
            requests: Side::new(),
            replies: Side::new(),
            asked: VecDeque::new(),
        }
    }

    /// The names of the frames that end in `bytes`, from the client (0) or the server (1).
    pub(crate) fn names(&mut self, from: usize, bytes: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        let Self {
            requests,
            replies,
            asked,
        } = self;
        let side = if from == 0 {
            &mut *requests
        } else {
            &mut *replies
        };
        if side.blind {
            return names;
        }
        if from == 0 && side.head.len() < 4 {
            let missing = 4 - side.head.len();
            side.head.extend(bytes.iter().take(missing));
            if let Ok(word) = <[u8; 4]>::try_from(&*side.head) {
                if is_four_letter(&word) {
                    names.push(String::from_utf8_lossy(&word).into_owned());
                    (requests.blind, replies.blind) = (true, true);
                    return names;
                }
            }
        }
        side.decoder.push(bytes);
        loop {
            let frame = match side.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) => {
                    side.blind = true;
                    break;
                }
            };
            let Some(mut reader) = frame.reader() else {
                names.push("a large frame".to_owned());
                continue;
            };
            let greeting = !std::mem::replace(&mut side.greeted, true);
            let name = match (from, greeting) {
                (0, true) => connect(&mut reader),
                (0, false) => request(&mut reader, asked),
                (_, true) => greet(&mut reader),
                (_, false) => reply(&mut reader, asked),
            };
            match name {
                Some(name) => names.push(name),
                None => {
                    side.blind = true;
                    names.push("unreadable".to_owned());
                    break;
                }
            }
        }
        names
    }
}

fn connect(reader: &mut Reader<'_>) -> Option<String> {
    let connect = ConnectRequest::decode(reader).ok()?;
    Some(format!(
        "connect session={:#x} timeout={} seen={:#x}",
        connect.session_id.0, connect.timeout, connect.last_zxid_seen.0
    ))
}

fn greet(reader: &mut Reader<'_>) -> Option<String> {
    Some(match ConnectReply::decode(reader).ok()? {
        ConnectReply::Response(response) if response.is_expired() => "expired".to_owned(),
        ConnectReply::Response(response) => format!(
            "greeting session={:#x} timeout={}",
            response.session_id.0, response.timeout
        ),
        ConnectReply::Refused(code) => format!("refused {code}"),
    })
}

fn request(reader: &mut Reader<'_>, asked: &mut VecDeque<(Xid, OpCode)>) -> Option<String> {
    let RequestHeader { xid, opcode } = RequestHeader::decode(reader).ok()?;
    asked.push_back((xid, opcode));
    let mut name = format!("{opcode} xid={}", xid.0);
    let path = match Request::decode(opcode, reader) {
        Ok(Request::Multi(ops)) => Some(format!("{} ops", ops.len())),
        Ok(request) => request.path().map(str::to_owned),
        Err(_) => Some("malformed".to_owned()),
    };
    if let Some(path) = path {
        // Writing to a string does not fail.
        let _ = write!(name, " {path}");
    }
    Some(name)
}

fn reply(reader: &mut Reader<'_>, asked: &mut VecDeque<(Xid, OpCode)>) -> Option<String> {
    let header = ReplyHeader::decode(reader).ok()?;
    if header.xid == Xid::WATCH {
        let event = WatcherEvent::decode(reader).ok()?;
        return Some(format!("event {} {}", event.kind, event.path));
    }
    let place = asked.iter().position(|(xid, _)| *xid == header.xid);
    let opcode = place.and_then(|place| asked.remove(place));
    let mut name = match opcode {
        Some((_, opcode)) => format!("reply {opcode}"),
        None => "reply to nothing".to_owned(),
    };
    let _ = write!(name, " xid={} zxid={:#x}", header.xid.0, header.zxid.0);
    if header.err.0 != 0 {
        let _ = write!(name, " {}", header.err);
    }
    Some(name)
}
