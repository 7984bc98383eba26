//! Whether this is still the process that the threads were started in.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Tells a forked child from its parent. In the child there are no threads but the one that forked.
#[derive(Clone, Debug)]
pub struct Process(Arc<Known>);

#[derive(Debug)]
struct Known {
    /// The process that the first thread was started in.
    home: OnceLock<u32>,
    current: fn() -> u32,
    forked: AtomicBool,
}

impl Process {
    /// One that asks `current` which process it is in.
    pub fn new(current: fn() -> u32) -> Self {
        Self(Arc::new(Known {
            home: OnceLock::new(),
            current,
            forked: AtomicBool::new(false),
        }))
    }

    /// A thread is about to be started. `false`: those started before are in another process.
    pub fn settle(&self) -> bool {
        self.0.home.get_or_init(self.0.current);
        !self.is_forked()
    }

    /// Asks the operating system.
    pub fn is_forked(&self) -> bool {
        let forked = self
            .0
            .home
            .get()
            .is_some_and(|home| *home != (self.0.current)());
        if forked {
            self.0.forked.store(true, Ordering::Relaxed);
        }
        forked
    }

    /// Has the operating system said so before?
    pub fn is_known_to_be_forked(&self) -> bool {
        self.0.forked.load(Ordering::Relaxed)
    }
}
