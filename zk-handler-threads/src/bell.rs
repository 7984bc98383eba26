//! What a client rings when it has given a sleeping loop work.
//!
//! Waking the loop costs two changes of threads. While nothing is in flight on a connection, the
//! loop has no use for its writing half, and leaves it here. Whoever then submits a request writes
//! it, and the loop sleeps on until the reply comes. With more in flight the loop is woken, as it
//! writes everything that has come up meanwhile at once.
//!
//! | desk | the writing half is | left by |
//! |---|---|---|
//! | `Vacant` | with the loop, or there is none | `offer`, `close` |
//! | `Open` | here | `reclaim`; a borrower; `close` |
//! | `Away` | with a borrower | its return; `close` |
//! | `Closed` | nowhere any more | never |

use std::sync::{Arc, Mutex, Weak};
use std::task::Wake;

use zk_client::Core;
use zk_handler_base::{Process, clock, lock};
use zk_session::TimeoutReason;

use crate::inbox::{Inbox, Letter};
use crate::io_loop::is_loop_thread;
use crate::output::Output;

/// The waker of one client's core.
#[derive(Debug)]
pub(crate) struct Bell {
    client: usize,
    core: Weak<Core>,
    inbox: Arc<Inbox>,
    process: Process,
    desk: Mutex<Desk>,
}

#[derive(Debug)]
enum Desk {
    Vacant,
    Open(Output),
    /// `missed`: the loop has looked for it.
    Away {
        missed: bool,
    },
    Closed,
}

impl Bell {
    pub(crate) fn new(
        client: usize,
        core: &Arc<Core>,
        inbox: &Arc<Inbox>,
        process: Process,
    ) -> Arc<Self> {
        let (core, inbox) = (Arc::downgrade(core), Arc::clone(inbox));
        Arc::new(Self {
            client,
            core,
            inbox,
            process,
            desk: Mutex::new(Desk::Vacant),
        })
    }

    /// The loop leaves the writing half here. It gets it back at once while another one, of the
    /// connection before, has not come home.
    #[must_use = "a connection without its writing half is mute"]
    pub(crate) fn offer(&self, output: Output) -> Option<Output> {
        let mut desk = lock(&self.desk);
        if matches!(*desk, Desk::Vacant) {
            *desk = Desk::Open(output);
            None
        } else {
            Some(output)
        }
    }

    /// The loop takes the writing half back. If it is away, the loop will be told of its return.
    pub(crate) fn reclaim(&self) -> Option<Output> {
        let mut desk = lock(&self.desk);
        match &mut *desk {
            Desk::Vacant | Desk::Closed => None,
            Desk::Away { missed } => {
                *missed = true;
                None
            }
            Desk::Open(_) => match std::mem::replace(&mut *desk, Desk::Vacant) {
                Desk::Open(output) => Some(output),
                Desk::Vacant | Desk::Away { .. } | Desk::Closed => None,
            },
        }
    }

    /// The loop drives this client no more. Called before the core is told so: from then on its
    /// session may be another one.
    pub(crate) fn close(&self) {
        let before = std::mem::replace(&mut *lock(&self.desk), Desk::Closed);
        drop(before);
    }

    fn is_closed(&self) -> bool {
        matches!(*lock(&self.desk), Desk::Closed)
    }

    fn borrow(&self) -> Option<Loan<'_>> {
        let mut desk = lock(&self.desk);
        match std::mem::replace(&mut *desk, Desk::Away { missed: false }) {
            Desk::Open(output) => Some(Loan {
                bell: self,
                output: Some(output),
                broken_off: true,
            }),
            before @ (Desk::Vacant | Desk::Away { .. } | Desk::Closed) => {
                *desk = before;
                None
            }
        }
    }

    /// Puts the writing half back. Does the loop have to know?
    fn give_back(&self, output: Output) -> bool {
        let mut desk = lock(&self.desk);
        match *desk {
            Desk::Away { missed } => {
                *desk = Desk::Open(output);
                missed
            }
            Desk::Vacant | Desk::Open(_) | Desk::Closed => false,
        }
    }

    fn wake_loop(&self) {
        // A loop that has ended has abandoned the core, or was dismissed by it.
        let _ = self.inbox.post(Letter::Work(self.client));
    }

    /// Does the loop's work on this thread, if it is nothing but to write a first request.
    fn write_here(&self) -> bool {
        if is_loop_thread() {
            return false;
        }
        let (Some(core), Some(mut loan)) = (self.core.upgrade(), self.borrow()) else {
            return false;
        };
        let Some(output) = &mut loan.output else {
            return false;
        };
        let now = clock::now();
        let fetched = core.with(|session| {
            if self.is_closed() {
                return None;
            }
            if session.stats().in_flight > 0 {
                return Some(false);
            }
            session.poll_transmit(now, output.conn, output.bytes());
            let in_time = match (session.poll_timeout(), output.looked_after) {
                (Some(deadline), Some(looked_after)) => looked_after <= deadline,
                (Some(_), None) => false,
                (None, _) => true,
            };
            Some(in_time && session.timeout_reason() != TimeoutReason::Undrained)
        });
        let Some(enough) = fetched else {
            // The core may have another loop by now, which is not to miss anything by our visit.
            core.inject(|_| ());
            return true;
        };
        output.write();
        let written = output.is_clear();
        loan.broken_off = false;
        drop(loan);
        // `false` if more has come up meanwhile.
        enough && written && core.prepare_sleep()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.process.is_forked() {
            // There is no loop in this process, and the connection is not ours.
            if let Some(core) = self.core.upgrade() {
                core.abandon(clock::now());
            }
        } else if !self.write_here() {
            self.wake_loop();
        }
    }
}

/// The writing half, borrowed. It returns whatever happens.
struct Loan<'a> {
    bell: &'a Bell,
    output: Option<Output>,
    /// Somebody else's waker has panicked on the way.
    broken_off: bool,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let missed = self
            .output
            .take()
            .is_some_and(|output| self.bell.give_back(output));
        if missed || self.broken_off {
            self.bell.wake_loop();
        }
    }
}
