//! What other threads have to tell the I/O loop.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use mio::{Registry, Token, Waker};
use zk_client::Core;
use zk_handler_base::{Answer, lock};

/// News for the I/O loop.
#[derive(Debug)]
pub(crate) enum Letter {
    /// A client to be driven.
    Drive(Arc<Core>),
    /// The client in this place has something to do.
    Work(usize),
    /// The addresses of the server that the link in this place is to connect to. Links are
    /// numbered, as places are reused.
    Resolved {
        link: usize,
        serial: u64,
        answer: Answer,
    },
    /// The loop is to panic, to see that nobody hangs then.
    #[cfg(test)]
    Panic,
}

/// The loop's inbox. Whoever posts wakes the loop, but only if it sleeps.
#[derive(Debug)]
pub(crate) struct Inbox {
    waker: Waker,
    asleep: AtomicBool,
    letters: Mutex<Option<Vec<Letter>>>,
    /// How often the loop went to sleep.
    #[cfg(test)]
    pub(crate) sleeps: std::sync::atomic::AtomicUsize,
}

impl Inbox {
    /// An inbox of the loop that polls `registry`. Its wakes come as events of `token`.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let waker = Waker::new(registry, token)?;
        let letters = Mutex::new(Some(Vec::new()));
        Ok(Self {
            waker,
            asleep: AtomicBool::new(false),
            letters,
            #[cfg(test)]
            sleeps: std::sync::atomic::AtomicUsize::new(0),
        })
    }

    /// Leaves a letter. `Err`: the loop has ended, and nobody will read it.
    pub(crate) fn post(&self, letter: Letter) -> Result<(), Letter> {
        match &mut *lock(&self.letters) {
            Some(letters) => letters.push(letter),
            None => return Err(letter),
        }
        if self.asleep.swap(false, Ordering::AcqRel) {
            if let Err(error) = self.waker.wake() {
                tracing::error!(%error, "cannot wake the I/O loop");
            }
        }
        Ok(())
    }

    /// Takes all letters out, into an empty list.
    pub(crate) fn read(&self, into: &mut Vec<Letter>) {
        if let Some(letters) = &mut *lock(&self.letters) {
            std::mem::swap(letters, into);
        }
    }

    /// The loop wants to sleep. `true`: it may, and the next letter will wake it.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::Release);
        #[cfg(test)]
        self.sleeps.fetch_add(1, Ordering::SeqCst);
        let nothing = lock(&self.letters).as_ref().is_none_or(Vec::is_empty);
        if !nothing {
            self.asleep.store(false, Ordering::Relaxed);
        }
        nothing
    }

    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::Acquire)
    }

    /// The loop is awake again.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Takes no more letters, if there are none. `true`: the loop may end.
    pub(crate) fn close_if_empty(&self) -> bool {
        let mut letters = lock(&self.letters);
        if letters.as_ref().is_some_and(|letters| !letters.is_empty()) {
            return false;
        }
        *letters = None;
        true
    }

    /// Takes no more letters. Hands back those that are left.
    pub(crate) fn close(&self) -> Vec<Letter> {
        lock(&self.letters).take().unwrap_or_default()
    }
}
