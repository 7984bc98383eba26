//! Buffers that the drivers of a thread share, as they use them one after the other.

use std::cell::Cell;

use crate::link::READ;

thread_local! {
    static IDLE: Cell<Option<Buffers>> = const { Cell::new(None) };
}

/// Memory that a thread keeps for what its clients will send.
const KEPT: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Buffers {
    pub(super) read: Box<[u8]>,
    pub(super) write: Vec<u8>,
}

/// This thread's buffers, on loan. A driver that is polled inside of another one's poll gets
/// buffers of its own.
pub(super) struct Scratch(Buffers);

impl Scratch {
    pub(super) fn take() -> Self {
        let idle = IDLE.try_with(Cell::take).ok().flatten();
        Self(idle.unwrap_or_else(|| Buffers {
            read: vec![0; READ].into_boxed_slice(),
            write: Vec::new(),
        }))
    }
}

impl std::ops::Deref for Scratch {
    type Target = Buffers;

    fn deref(&self) -> &Buffers {
        &self.0
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut Buffers {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffers = std::mem::take(&mut self.0);
        buffers.write.shrink_to(KEPT);
        // The thread-local may be gone while the thread ends.
        let _ = IDLE.try_with(|idle| idle.set(Some(buffers)));
    }
}
