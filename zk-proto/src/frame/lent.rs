//! The loan of a buffer.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use bytes::Bytes;

/// The memory of a large frame, to be filled from the connection.
///
/// See [`FrameDecoder::lend`](crate::FrameDecoder::lend). A loan that is dropped instead of
/// [given back](crate::FrameDecoder::give_back) loses a part of the stream, and with it the
/// connection.
#[must_use = "a loan that is not given back is a lost connection"]
pub struct Lent {
    data: Vec<u8>,
    filled: usize,
    /// Tells the decoder which loan this is and whether it is still alive.
    token: Arc<()>,
}

impl Lent {
    /// Memory for a frame and its length. Its pages come as they are written.
    pub(super) fn new(length: usize) -> Self {
        Self {
            data: vec![0; length],
            filled: 0,
            token: Arc::new(()),
        }
    }

    /// Where the next bytes of the stream go. Empty once the frame is complete.
    #[inline]
    pub fn unfilled(&mut self) -> &mut [u8] {
        &mut self.data[self.filled..]
    }

    /// Says that `count` bytes have been written to [`unfilled`](Self::unfilled). Counts no further
    /// than its end.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.filled += count.min(self.missing());
    }

    /// Copies the front of `bytes`, as far as there is room, and returns how many bytes that were.
    pub(super) fn fill_from(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.missing());
        self.unfilled()[..count].copy_from_slice(&bytes[..count]);
        self.advance(count);
        count
    }

    pub(super) fn filled(&self) -> &[u8] {
        &self.data[..self.filled]
    }

    pub(super) fn missing(&self) -> usize {
        self.data.len() - self.filled
    }

    /// Moves the loan out of the decoder, which then keeps the lease alone.
    pub(super) fn take(&mut self) -> Self {
        let Self {
            data,
            filled,
            token,
        } = self;
        Self {
            data: std::mem::take(data),
            filled: *filled,
            token: Arc::clone(token),
        }
    }

    pub(super) fn take_bytes(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.data))
    }

    pub(super) fn lease(&self) -> Lease {
        Lease(Arc::downgrade(&self.token))
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({} of {} bytes)", self.filled, self.data.len())
    }
}

/// What the decoder keeps of a loan.
#[derive(Debug)]
pub(super) struct Lease(Weak<()>);

impl Lease {
    pub(super) fn is_lost(&self) -> bool {
        self.0.strong_count() == 0
    }

    pub(super) fn is_of(&self, lent: &Lent) -> bool {
        self.0.as_ptr() == Arc::as_ptr(&lent.token)
    }
}
