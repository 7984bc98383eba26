//! Bytes on their way to a client.

use std::{mem, time::Instant};

/// Memory above this is given back when it has been sent.
const KEEP: usize = 256 * 1024;

/// What has not been handed to the driver yet.
#[derive(Debug, Default)]
pub(crate) struct OutputBuffer {
    bytes: Vec<u8>,
    /// Faults: nothing behind these places is handed out. They ascend.
    holds: Vec<Hold>,
    /// The driver has been told that there is something.
    pub(crate) announced: bool,
}

/// Where output is held back, and until when if not until it is released by call.
#[derive(Clone, Copy, Debug)]
struct Hold {
    at: usize,
    until: Option<Instant>,
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
        self.holds.first().map_or(self.bytes.len(), |hold| hold.at)
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
        for hold in &mut self.holds {
            hold.at -= ready;
        }
        ready
    }

    /// Lets nothing out from `at` on, which is not before what is held already.
    pub(crate) fn hold(&mut self, at: usize, until: Option<Instant>) {
        let least = self.holds.last().map_or(0, |hold| hold.at);
        let at = at.min(self.bytes.len()).max(least);
        self.holds.push(Hold { at, until });
    }

    pub(crate) fn release(&mut self) {
        self.holds.clear();
    }

    /// Releases what was held until now.
    pub(crate) fn release_due(&mut self, now: Instant) {
        self.holds
            .retain(|hold| hold.until.is_none_or(|until| until > now));
    }

    /// When something will be released by itself.
    pub(crate) fn releases(&self) -> impl Iterator<Item = Instant> {
        self.holds.iter().filter_map(|hold| hold.until)
    }

    pub(crate) fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// Forgets what was appended since.
    pub(crate) fn truncate(&mut self, at: usize) {
        self.bytes.truncate(at);
        for hold in &mut self.holds {
            hold.at = hold.at.min(at);
        }
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
        output.hold(3, None);
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
