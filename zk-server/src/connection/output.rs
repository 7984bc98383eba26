//! Bytes on their way to a client.

use std::mem;

/// Memory above this is given back when it has been sent.
const KEEP: usize = 256 * 1024;

/// What has not been handed to the driver yet.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    bytes: Vec<u8>,
    /// A fault: nothing behind this place is handed out.
    held_at: Option<usize>,
    /// The driver has been told that there is something.
    pub(crate) announced: bool,
}

impl OutputBuffer {
    /// The buffer, to append to.
    #[inline]
    pub(crate) fn begin(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// All that is not sent.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What can be handed out now.
    #[inline]
    pub(crate) fn ready(&self) -> usize {
        self.held_at.unwrap_or(self.bytes.len())
    }

    /// Hands out what is ready, and returns how many bytes that were.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) -> usize {
        self.announced = false;
        let ready = self.ready();
        if ready == self.bytes.len() && out.is_empty() {
            // The driver's buffer comes back into use here.
            mem::swap(out, &mut self.bytes);
            if self.bytes.capacity() > KEEP {
                self.bytes = Vec::new();
            }
        } else {
            out.extend_from_slice(&self.bytes[..ready]);
            self.bytes.drain(..ready);
        }
        if let Some(held_at) = &mut self.held_at {
            *held_at = 0;
        }
        ready
    }

    /// Lets nothing out from `at` on. A place before stays.
    pub(crate) fn hold(&mut self, at: usize) {
        let at = at.min(self.bytes.len());
        self.held_at.get_or_insert(at);
    }

    pub(crate) fn release(&mut self) {
        self.held_at = None;
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held_at.is_some()
    }

    /// Forgets what was appended since.
    pub(crate) fn truncate(&mut self, at: usize) {
        self.bytes.truncate(at);
    }

    /// Makes every byte from `at` on a wrong one.
    pub(crate) fn corrupt(&mut self, at: usize) {
        for byte in self.bytes.iter_mut().skip(at) {
            *byte = !*byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_stays_in_order() {
        let mut output = OutputBuffer::default();
        output.begin().extend_from_slice(b"one");
        output.hold(3);
        output.begin().extend_from_slice(b"two");
        let mut out = Vec::new();
        assert_eq!((output.take(&mut out), &out[..]), (3, &b"one"[..]));
        assert_eq!(output.take(&mut out), 0);
        output.begin().extend_from_slice(b"three");
        assert_eq!((output.ready(), output.len()), (0, 8));
        output.release();
        assert_eq!((output.take(&mut out), &out[..]), (8, &b"onetwothree"[..]));
    }

    #[test]
    fn buffers_are_used_again() {
        let mut output = OutputBuffer::default();
        let mut out = Vec::with_capacity(1000);
        output.begin().extend_from_slice(b"x");
        output.take(&mut out);
        assert_eq!(output.begin().capacity(), 1000);
        out.clear();
        output.begin().reserve(2 * KEEP);
        output.begin().push(1);
        output.take(&mut out);
        out.clear();
        output.begin().push(1);
        output.take(&mut out);
        assert!(output.begin().capacity() <= KEEP);
    }
}
