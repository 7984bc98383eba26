//! Frames: four bytes of length, then as many bytes of body.

use std::{fmt, ops::Range};

use bytes::{Buf, Bytes, BytesMut};

use crate::{Reader, ReplyHeader};

mod lent;

use lent::Lease;
pub use lent::Lent;

/// The bytes of the length in front of a frame.
const PREFIX: usize = 4;

/// Splits a stream of bytes into frames.
///
/// Bytes go in through [`push`](Self::push) in pieces of any size, frames come out of
/// [`next_frame`](Self::next_frame). All frames that are complete by then are one shared buffer that
/// payloads can be slices of. Memory grows with the bytes received, never on the word of a length;
/// a frame above the limit is not kept at all.
///
/// A large frame can be read straight into its final place, see [`lend`](Self::lend).
///
/// ```
/// # use zk_proto::{Frame, FrameDecoder};
/// let mut decoder = FrameDecoder::new(1 << 20);
/// decoder.push(&[0, 0, 0, 2, b'h']);
/// assert_eq!(decoder.next_frame()?, None);
/// assert_eq!(decoder.missing(), 1);
/// decoder.push(b"i");
/// let Some(Frame::Whole { chunk, range }) = decoder.next_frame()? else { panic!() };
/// assert_eq!(&chunk[range], b"hi");
/// # Ok::<(), zk_proto::FrameError>(())
/// ```
///
/// | under way   | event                                        | then        |
/// |-------------|----------------------------------------------|-------------|
/// | `Nothing`   | a length above the limit, and the head       | `Discarded` |
/// | `Nothing`   | `lend` for a large frame                     | `Out`       |
/// | `Discarded` | its last byte                                | `Nothing`   |
/// | `Out`       | `give_back` of a frame still incomplete      | `Held`      |
/// | `Out`       | `give_back` of a complete frame              | `Nothing`   |
/// | `Out`       | the loan is dropped                          | `LentLost`  |
/// | `Held`      | `lend`                                       | `Out`       |
/// | `Held`      | `push` of the last byte                      | `Nothing`   |
pub struct FrameDecoder {
    limit: usize,
    /// Received, and not split yet. Begins with the length of a frame if nothing is under way.
    buffer: BytesMut,
    /// Complete frames only, with their lengths.
    chunk: Bytes,
    /// Where in `chunk` the next frame begins.
    next: usize,
    under_way: UnderWay,
}

/// The frame that the stream is in the middle of, unless it is simply in the buffer.
#[derive(Debug)]
enum UnderWay {
    Nothing,
    /// A frame too large to keep: this many bytes of it are still to come.
    Discarded {
        left: usize,
    },
    /// A large frame that has memory of its own.
    Held(Lent),
    /// The same, while the caller fills that memory.
    Out {
        lease: Lease,
        left: usize,
    },
}

/// A frame, or what is known of one that is too large. `Debug` shows lengths, never bytes.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a frame is within the limit or it is not"
)]
pub enum Frame<'a> {
    /// A frame within the limit, without its length.
    Whole {
        /// The buffer that it lies in.
        chunk: &'a Bytes,
        /// Where in that buffer it lies.
        range: Range<usize>,
    },
    /// A frame above the limit. It is reported once its first 16 bytes are there, which are the
    /// header of a reply; the rest is discarded as it arrives.
    TooLarge {
        /// The first bytes, with zeros after the end of a shorter frame.
        head: [u8; ReplyHeader::LEN],
        /// The length of the frame.
        length: usize,
    },
}

impl<'a> Frame<'a> {
    /// A cursor over a frame that is there.
    #[inline]
    pub fn reader(&self) -> Option<Reader<'a>> {
        match self {
            Self::Whole { chunk, range } => Some(Reader::within(chunk, range.clone())),
            Self::TooLarge { .. } => None,
        }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { range, .. } => write!(f, "Whole({} bytes)", range.len()),
            Self::TooLarge { length, .. } => write!(f, "TooLarge({length} bytes)"),
        }
    }
}

/// Why no more frames come out of a stream. It stays so: there is no way back into step.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length below zero.
    #[error("a frame has the negative length {0}")]
    NegativeLength(i32),
    /// A [`Lent`] was dropped instead of given back, and the bytes in it with it.
    #[error("a part of the stream was lost with a buffer that was lent and not given back")]
    LentLost,
}

impl FrameDecoder {
    /// [`lend`](Self::lend) is for frames that lack at least this many bytes.
    pub const LEND_THRESHOLD: usize = 64 * 1024;
    /// [`lend`](Self::lend) is for frames of at most this many bytes, because it takes the memory for
    /// them in advance. Larger ones grow as they arrive.
    pub const LEND_MAX: usize = 64 * 1024 * 1024;

    /// A decoder for frames of at most `limit` bytes, their lengths not counted.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            chunk: Bytes::new(),
            next: 0,
            under_way: UnderWay::Nothing,
        }
    }

    /// Changes the limit, for frames that have not been split off or lent yet.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Adds received bytes.
    pub fn push(&mut self, mut data: &[u8]) {
        self.release_chunk();
        match &mut self.under_way {
            UnderWay::Nothing | UnderWay::Out { .. } => {}
            UnderWay::Discarded { left } => {
                let gone = data.len().min(*left);
                *left -= gone;
                data = &data[gone..];
                self.under_way.settle();
            }
            UnderWay::Held(lent) => {
                data = &data[lent.fill_from(data)..];
                self.take_if_filled();
            }
        }
        self.buffer.extend_from_slice(data);
    }

    /// The next complete frame, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// Every variant of [`FrameError`], from then on with each call.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if self.next == self.chunk.len() {
            if let UnderWay::Out { lease, .. } = &self.under_way {
                return if lease.is_lost() {
                    Err(FrameError::LentLost)
                } else {
                    Ok(None)
                };
            }
            if !matches!(self.under_way, UnderWay::Nothing) {
                return Ok(None);
            }
            match self.split()? {
                Split::Whole(0) => return Ok(None),
                Split::Whole(length) => {
                    self.chunk = self.buffer.split_to(length).freeze();
                    self.next = 0;
                }
                Split::TooLarge(length) => return Ok(self.discard(length)),
            }
        }
        // Only complete frames are ever split off, so the length is there and right.
        let prefix = &self.chunk[self.next..self.next + PREFIX];
        let start = self.next + PREFIX;
        let end = start
            + prefix
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.next = end;
        Ok(Some(Frame::Whole {
            chunk: &self.chunk,
            range: start..end,
        }))
    }

    /// The buffer of the frame under way, to be filled from the connection: its bytes are then
    /// copied once less. `None` unless the frame lacks at least
    /// [`LEND_THRESHOLD`](Self::LEND_THRESHOLD) bytes and all frames before it have been taken.
    ///
    /// Give it back by [`give_back`](Self::give_back), in whatever state. Bytes that are pushed
    /// meanwhile count as what follows those in the loan.
    pub fn lend(&mut self) -> Option<Lent> {
        if self.next != self.chunk.len() {
            return None;
        }
        let lent = match &mut self.under_way {
            UnderWay::Nothing => {
                let length = length_prefix(&self.buffer).and_then(body_length)?;
                let missing = (PREFIX + length).checked_sub(self.buffer.len())?;
                if missing < Self::LEND_THRESHOLD || length > self.limit.min(Self::LEND_MAX) {
                    return None;
                }
                let mut lent = Lent::new(PREFIX + length);
                let filled = lent.fill_from(&self.buffer);
                self.buffer.advance(filled);
                lent
            }
            UnderWay::Held(lent) if lent.missing() >= Self::LEND_THRESHOLD => lent.take(),
            UnderWay::Held(_) | UnderWay::Discarded { .. } | UnderWay::Out { .. } => return None,
        };
        self.release_chunk();
        self.under_way = UnderWay::Out {
            lease: lent.lease(),
            left: lent.missing(),
        };
        Some(lent)
    }

    /// Takes back what [`lend`](Self::lend) lent. What was filled counts as pushed. A loan of another
    /// decoder is dropped.
    pub fn give_back(&mut self, lent: Lent) {
        match &self.under_way {
            UnderWay::Out { lease, .. } if lease.is_of(&lent) => {}
            UnderWay::Nothing
            | UnderWay::Discarded { .. }
            | UnderWay::Held(_)
            | UnderWay::Out { .. } => return,
        }
        let mut lent = lent;
        let filled = lent.fill_from(&self.buffer);
        self.buffer.advance(filled);
        self.under_way = UnderWay::Held(lent);
        self.take_if_filled();
    }

    /// The number of bytes that the frame under way still lacks; 0 between two frames and while the
    /// length is not there.
    pub fn missing(&self) -> usize {
        match &self.under_way {
            UnderWay::Discarded { left } | UnderWay::Out { left, .. } => *left,
            UnderWay::Held(lent) => lent.missing(),
            UnderWay::Nothing => {
                let mut rest = &self.buffer[..];
                while let Some(length) = length_prefix(rest).and_then(body_length) {
                    match rest.get(PREFIX + length..) {
                        Some(after) => rest = after,
                        None => return PREFIX + length - rest.len(),
                    }
                }
                0
            }
        }
    }

    /// The number of bytes held that no frame has been made of, lengths included. Those in a loan do
    /// not count.
    pub fn buffered(&self) -> usize {
        let held = match &self.under_way {
            UnderWay::Held(lent) => lent.filled().len(),
            UnderWay::Nothing | UnderWay::Discarded { .. } | UnderWay::Out { .. } => 0,
        };
        held + self.buffer.len()
    }

    /// The first of the bytes held that no frame has been made of, to tell what it is that does not
    /// speak this protocol.
    pub fn peek(&self) -> &[u8] {
        match &self.under_way {
            UnderWay::Held(lent) => lent.filled(),
            UnderWay::Nothing | UnderWay::Discarded { .. } | UnderWay::Out { .. } => &self.buffer,
        }
    }

    /// How many bytes at the front of the buffer are complete frames within the limit. If none are,
    /// a frame above the limit whose head is there is reported, or a length below zero.
    fn split(&self) -> Result<Split, FrameError> {
        let mut end = 0;
        loop {
            let rest = &self.buffer[end..];
            let Some(prefix) = length_prefix(rest) else {
                return Ok(Split::Whole(end));
            };
            match body_length(prefix) {
                Some(length) if length <= self.limit && rest.len() - PREFIX >= length => {
                    end += PREFIX + length;
                }
                _ if end > 0 => return Ok(Split::Whole(end)),
                Some(length) if length <= self.limit => return Ok(Split::Whole(0)),
                Some(length) if rest.len() - PREFIX < length.min(ReplyHeader::LEN) => {
                    return Ok(Split::Whole(0));
                }
                Some(length) => return Ok(Split::TooLarge(length)),
                None => return Err(FrameError::NegativeLength(prefix)),
            }
        }
    }

    fn discard(&mut self, length: usize) -> Option<Frame<'static>> {
        self.buffer.advance(PREFIX);
        let mut head = [0; ReplyHeader::LEN];
        let known = length.min(ReplyHeader::LEN);
        head[..known].copy_from_slice(&self.buffer[..known]);
        let gone = length.min(self.buffer.len());
        self.buffer.advance(gone);
        self.under_way = UnderWay::Discarded {
            left: length - gone,
        };
        self.under_way.settle();
        Some(Frame::TooLarge { head, length })
    }

    /// Makes a frame that has memory of its own the chunk, once it is complete.
    fn take_if_filled(&mut self) {
        let UnderWay::Held(lent) = &mut self.under_way else {
            return;
        };
        if lent.missing() == 0 {
            self.chunk = lent.take_bytes();
            self.next = 0;
            self.under_way = UnderWay::Nothing;
        }
    }

    /// Lets go of a chunk that has been handed out, so that its memory can be used again if nobody
    /// else holds on to it.
    fn release_chunk(&mut self) {
        if self.next == self.chunk.len() {
            self.chunk = Bytes::new();
            self.next = 0;
        }
    }
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameDecoder")
            .field("limit", &self.limit)
            .field("buffered", &self.buffered())
            .field("ready", &(self.chunk.len() - self.next))
            .field("under_way", &self.under_way)
            .finish()
    }
}

impl UnderWay {
    /// A discarded frame ends with its last byte.
    fn settle(&mut self) {
        if matches!(self, Self::Discarded { left: 0 }) {
            *self = Self::Nothing;
        }
    }
}

/// What is at the front of the buffer.
enum Split {
    /// Complete frames, of this many bytes.
    Whole(usize),
    /// A frame above the limit, of this length.
    TooLarge(usize),
}

#[inline]
fn length_prefix(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().copied().map(i32::from_be_bytes)
}

#[inline]
fn body_length(prefix: i32) -> Option<usize> {
    usize::try_from(prefix).ok()
}

#[cfg(test)]
mod tests;
