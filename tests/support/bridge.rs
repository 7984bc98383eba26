//! [`Bridge`]: the simulator's handler, for clients that other threads block on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant, SystemTime};

use zk::{AsyncResult, Callback, ClientId, Core, FourLetterWord, Handler, StartError, Task};

/// Drives clients in a universe; their callbacks run outside of it, where they may block.
#[derive(Debug)]
pub(crate) struct Bridge {
    inside: Arc<dyn Handler>,
    /// The universe's thread.
    home: ThreadId,
    identity: String,
    callbacks: Arc<Callbacks>,
}

impl Bridge {
    pub(crate) fn new(inside: Arc<dyn Handler>, home: ThreadId) -> Self {
        Self {
            identity: format!("{}-{}", inside.identity(), std::process::id()),
            inside,
            home,
            callbacks: Arc::default(),
        }
    }
}

impl Handler for Bridge {
    fn name(&self) -> &'static str {
        self.inside.name()
    }

    fn now(&self) -> Instant {
        self.inside.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.inside.wall_clock()
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn entropy(&self) -> [u8; 32] {
        self.inside.entropy()
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        self.inside.drive(core)
    }

    fn spawn(&self, task: Task) {
        self.inside.spawn(task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        Arc::clone(&self.callbacks).push(client, callback);
    }

    fn may_block(&self) -> bool {
        thread::current().id() != self.home
    }

    fn four_letter(&self, word: FourLetterWord, limit: Duration) -> AsyncResult<String> {
        self.inside.four_letter(word, limit)
    }
}

/// The callbacks that wait, by client. A client that is here has a thread that runs them.
#[derive(Debug, Default)]
struct Callbacks(Mutex<BTreeMap<ClientId, VecDeque<Callback>>>);

impl Callbacks {
    fn push(self: Arc<Self>, client: ClientId, callback: Callback) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = waiting.get_mut(&client) {
            return queue.push_back(callback);
        }
        waiting.insert(client, VecDeque::from([callback]));
        drop(waiting);
        thread::spawn(move || {
            while let Some(callback) = self.next(client) {
                callback.run();
            }
        });
    }

    fn next(&self, client: ClientId) -> Option<Callback> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = waiting.get_mut(&client)?.pop_front();
        if next.is_none() {
            waiting.remove(&client);
        }
        next
    }
}
