//! Frames of either direction.
//!
//! The first byte of an input says what the rest is: see [`Kind`]. The second is the opcode that
//! replies go with, as a frame of a reply does not say it.

use bytes::Bytes;
use zk_proto::{
    Chroot, ConnectReply, ConnectRequest, DecodeError, Frame, FrameDecoder, FrameError, OpCode,
    Reader, Reply, ReplyHeader, Request, RequestHeader, Stat, WatcherEvent, WatcherEventRef, Xid,
};

use crate::cursor::Cursor;

/// Frames are kept up to this length, so that the fuzzer finds those that are longer.
const SHORT: usize = 1024;

/// Or up to this one, so that a buffer is lent for them.
const LONG: usize = 2 * FrameDecoder::LEND_THRESHOLD;

/// The most that reading takes, per byte of the frame and at least. A vector of short texts takes
/// the most: 4 bytes each in the frame, 24 and their own memory here, and while it grows, the vector
/// is there twice.
const EACH: u64 = 96;
const LEAST: u64 = 1024;

/// What a stream begins with, and who sends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    ConnectRequest = 0,
    Requests = 1,
    ConnectReply = 2,
    Replies = 3,
}

impl Kind {
    fn of(selector: u8) -> Self {
        match selector & 3 {
            0 => Self::ConnectRequest,
            1 => Self::Requests,
            2 => Self::ConnectReply,
            _ => Self::Replies,
        }
    }
}

/// A stream of frames: bytes become values become the same bytes.
///
/// # Panics
/// If they do not, if memory is taken for what did not arrive, or if the cuts of the stream matter.
pub fn decode_frame(input: &[u8]) {
    let mut cursor = Cursor::new(input);
    let selector = cursor.byte();
    let opcode = OpCode(i32::from(cursor.byte() as i8));
    let stream = cursor.rest();
    let limit = if selector & 0x80 == 0 { SHORT } else { LONG };
    let (whole, error) = split(stream, stream.len().max(1), limit, None);
    let size = 1 + usize::from(selector >> 2 & 31);
    for (size, fill) in [(1, None), (size, None), (7, Some(7)), (50, Some(3))] {
        let cut = split(stream, size, limit, fill);
        assert_eq!(cut, (whole.clone(), error), "{size}, {fill:?}");
    }
    let mut kind = Kind::of(selector);
    for frame in whole.into_iter().flatten() {
        kind = one(kind, opcode, &frame);
    }
    // Without a frame around it, which the fuzzer would have to keep in step.
    one(Kind::of(selector), opcode, &Bytes::copy_from_slice(stream));
}

/// Looks at a frame, and says what the next one is.
fn one(kind: Kind, opcode: OpCode, frame: &Bytes) -> Kind {
    match kind {
        Kind::ConnectRequest => {
            record(frame, ConnectRequest::decode, ConnectRequest::encode);
            Kind::Requests
        }
        Kind::ConnectReply => {
            record(frame, ConnectReply::decode, ConnectReply::encode);
            Kind::Replies
        }
        Kind::Requests => {
            let mut reader = Reader::new(frame);
            if let Ok(header) = RequestHeader::decode(&mut reader) {
                let body = frame.slice(RequestHeader::LEN..);
                request(header.opcode, &body);
            }
            kind
        }
        Kind::Replies => {
            let mut reader = Reader::new(frame);
            if let Ok(header) = ReplyHeader::decode(&mut reader) {
                let body = frame.slice(ReplyHeader::LEN..);
                if header.xid == Xid::WATCH {
                    record(&body, WatcherEvent::decode, WatcherEvent::encode);
                    let lent = WatcherEventRef::decode(&mut Reader::new(&body));
                    let owned = WatcherEvent::decode(&mut Reader::new(&body));
                    assert_eq!(lent.map(WatcherEventRef::into_owned), owned);
                } else {
                    reply(opcode, &body);
                }
            }
            kind
        }
    }
}

/// Reads within the bounds on memory.
fn bounded<T>(frame: &Bytes, read: impl FnOnce() -> T) -> T {
    let mut value = None;
    let taken = allocation_counter::measure(|| value = Some(read()));
    let bound = EACH * frame.len() as u64 + LEAST;
    let most = taken.bytes_max;
    assert!(most <= bound, "{} bytes took {most} to read", frame.len());
    value.expect("it was read just now")
}

/// A record that owns what it holds.
fn record<T: Eq + std::fmt::Debug>(
    frame: &Bytes,
    decode: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    match bounded(frame, || decode(&mut Reader::new(frame))) {
        Err(error) => drop(error.to_string()),
        Ok(value) => {
            let _ = format!("{value:?}");
            let again = encoded(|out| encode(&value, out));
            let mut reader = Reader::new(&again);
            assert_eq!(decode(&mut reader), Ok(value));
            assert_eq!(reader.remaining(), 0, "it reads all that it wrote");
        }
    }
}

fn request(opcode: OpCode, body: &Bytes) {
    // A request is compared with one that borrows from this, for which it has to live as long.
    let again: Bytes;
    let value = match bounded(body, || Request::decode(opcode, &mut Reader::new(body))) {
        Ok(value) => value,
        Err(error) => return drop(error.to_string()),
    };
    let _ = format!("{value:?} {:?} {opcode}", value.path());
    named(&value);
    assert_eq!(value.opcode(), opcode, "{value:?}");
    assert!(!value.is_write() || value.is_quorum(), "{value:?}");
    let below = Chroot::parse("/chroot").expect("a path");
    let longer = encoded(|out| value.encode(&below, out));
    again = encoded(|out| value.encode(&Chroot::ROOT, out));
    assert!(longer.len() >= again.len());
    let mut reader = Reader::new(&again);
    assert_eq!(Request::decode(opcode, &mut reader).as_ref(), Ok(&value));
    assert_eq!(reader.remaining(), 0, "{value:?}");
}

/// Numbers have names, or say that they have none.
fn named(value: &Request<'_>) {
    let _ = match value {
        Request::AddWatch { mode, .. } => format!("{mode}"),
        Request::CheckWatches { kind, .. } | Request::RemoveWatches { kind, .. } => {
            format!("{kind}")
        }
        Request::SetWatches(watches) => format!("{}", watches.is_empty()),
        _ => return,
    };
}

/// What is told of a node agrees with what it is told by.
fn stat(stat: &Stat) {
    assert_eq!(stat.acl_version(), stat.aversion);
    assert_eq!(stat.children_version(), stat.cversion);
    assert_eq!(stat.data_length(), stat.data_length);
    assert_eq!(stat.children_count(), stat.num_children);
    assert_eq!(stat.creation_transaction_id(), stat.czxid);
    assert_eq!(stat.last_modified_transaction_id(), stat.mzxid);
    assert_eq!(
        stat.owner_session_id().is_none(),
        stat.ephemeral_owner.is_none()
    );
    let _ = (stat.created(), stat.last_modified());
}

fn reply(opcode: OpCode, body: &Bytes) {
    let decode = |reader: &mut Reader<'_>| Reply::decode(opcode, reader);
    record(body, decode, |value, out| value.encode(opcode, out));
    let Ok(mut value) = decode(&mut Reader::new(body)) else {
        return;
    };
    if let Reply::Children(children) | Reply::ChildrenStat { children, .. } = &value {
        let forth: Vec<&str> = children.iter().collect();
        let mut back: Vec<&str> = children.iter().rev().collect();
        back.reverse();
        assert_eq!(forth, back);
        assert_eq!(forth.len(), children.len());
        assert!((0..forth.len()).all(|at| children.get(at) == Some(forth[at])));
        assert_eq!(children.sorted().len(), children.to_vec().len());
    }
    if let Reply::Stat(found) | Reply::Data { stat: found, .. } = &value {
        stat(found);
    }
    value.strip_chroot(&Chroot::parse("/a").expect("a path"));
    let once = value.clone();
    value.strip_chroot(&Chroot::ROOT);
    assert_eq!(once, value, "the root is stripped off nothing");
}

type Frames = Vec<Option<Bytes>>;

/// Feeds a stream in pieces of a size, of which so much is read into a loan where there is one.
/// `None` stands for a frame that is too long.
fn split(
    stream: &[u8],
    size: usize,
    limit: usize,
    fill: Option<usize>,
) -> (Frames, Option<FrameError>) {
    let mut decoder = FrameDecoder::new(limit);
    let mut frames = Vec::new();
    for piece in stream.chunks(size) {
        let mut left = piece;
        if let Some(mut lent) = fill.and_then(|_| decoder.lend()) {
            let _ = format!("{lent:?}");
            assert!(decoder.missing() >= FrameDecoder::LEND_THRESHOLD);
            assert!(decoder.lend().is_none() && decoder.next_frame() == Ok(None));
            let room = lent.unfilled();
            let count = fill.unwrap_or_default().min(room.len()).min(left.len());
            room[..count].copy_from_slice(&left[..count]);
            lent.advance(count);
            decoder.give_back(lent);
            left = &left[count..];
        }
        decoder.push(left);
        loop {
            match decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let _ = format!("{frame:?}");
                    frames.push(match frame {
                        Frame::Whole { chunk, range } => Some(chunk.slice(range)),
                        Frame::TooLarge { .. } => None,
                    });
                }
                Err(error) => {
                    assert!(decoder.next_frame().is_err(), "there is no way back");
                    return (frames, Some(error));
                }
            }
        }
        assert!(decoder.buffered() <= stream.len() && decoder.peek().len() <= stream.len());
        let _ = format!("{decoder:?} {}", decoder.missing());
    }
    lost(decoder);
    (frames, None)
}

/// A loan that is dropped is noticed, and the end of the stream.
fn lost(mut decoder: FrameDecoder) {
    if let Some(lent) = decoder.lend() {
        drop(lent);
        assert_eq!(decoder.next_frame(), Err(FrameError::LentLost));
    }
}

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    Bytes::from(out)
}
