//! From names to addresses, off the I/O loop.
//!
//! The operating system's resolver blocks, for as long as its name servers are silent. So names are
//! looked up by a few threads of their own. At most one of them is busy with any one name: those
//! who ask for it meanwhile wait for a look-up that begins after they asked, all for the same. A
//! dead name takes one thread, whatever the number of clients, and ten thousand clients that
//! reconnect at once ask the name servers once.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, Weak};
use std::{fmt, io};

use crate::threads::{BlockingPool, lock};

/// What a look-up gives. Never an empty list.
pub type Answer = Result<Arc<[SocketAddr]>, io::ErrorKind>;

/// Looks up one name.
pub type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks names up, on threads of a pool.
pub struct Resolver {
    pool: Arc<BlockingPool>,
    look_up: Box<LookUp>,
    /// Names that are being looked up, or are to be.
    names: Mutex<HashMap<Arc<str>, Vec<Question>>>,
}

struct Question {
    port: u16,
    /// Dropped by one who does not want to know any more.
    wanted: Weak<Wanted>,
    answer: Box<dyn FnOnce(Answer) + Send>,
}

/// Held by one who waits for an answer.
#[derive(Debug)]
pub struct Wanted;

impl Resolver {
    /// One that asks the operating system.
    pub fn new(pool: Arc<BlockingPool>) -> Arc<Self> {
        Self::with(
            pool,
            Box::new(|host| (host, 0).to_socket_addrs().map(Iterator::collect)),
        )
    }

    /// One that asks `look_up`.
    pub fn with(pool: Arc<BlockingPool>, look_up: Box<LookUp>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            look_up,
            names: Mutex::default(),
        })
    }

    /// The address itself, if `host` is one and need not be looked up.
    pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
        host.parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, port))
    }

    /// Looks `host` up now and calls `answer` on another thread, or here if there is no thread to
    /// be had. `answer` is dropped instead if what this returns was dropped before.
    pub fn ask(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        answer: impl FnOnce(Answer) + Send + 'static,
    ) -> Arc<Wanted> {
        let token = Arc::new(Wanted);
        let wanted = Arc::downgrade(&token);
        let question = Question {
            port,
            wanted,
            answer: Box::new(answer),
        };
        let mut names = lock(&self.names);
        if let Some(waiting) = names.get_mut(host) {
            waiting.push(question);
        } else {
            let host: Arc<str> = Arc::from(host);
            names.insert(Arc::clone(&host), vec![question]);
            drop(names);
            self.schedule(host);
        }
        token
    }

    fn schedule(self: &Arc<Self>, host: Arc<str>) {
        let (resolver, name) = (Arc::clone(self), Arc::clone(&host));
        if let Err(error) = self.pool.run(move || resolver.look_up(name)) {
            tracing::warn!(host = &*host, %error, "cannot start a thread to look a name up");
            for question in lock(&self.names).remove(&host).into_iter().flatten() {
                (question.answer)(Err(error.kind()));
            }
        }
    }

    /// Answers all who have asked for `host` before now.
    fn look_up(self: &Arc<Self>, host: Arc<str>) {
        let mut asked = match lock(&self.names).get_mut(&host) {
            Some(waiting) => std::mem::take(waiting),
            None => return,
        };
        asked.retain(|question| question.wanted.strong_count() > 0);
        if !asked.is_empty() {
            let found = (self.look_up)(&host).map_err(|error| {
                tracing::debug!(host = &*host, %error, "the name does not resolve");
                io::ErrorKind::NotFound
            });
            for question in asked {
                if question.wanted.strong_count() > 0 {
                    (question.answer)(found.as_deref().map_err(|kind| *kind).and_then(|addrs| {
                        let with_port = |addr: &SocketAddr| {
                            let mut addr = *addr;
                            addr.set_port(question.port);
                            addr
                        };
                        let addrs: Arc<[_]> = addrs.iter().map(with_port).collect();
                        if addrs.is_empty() {
                            Err(io::ErrorKind::NotFound)
                        } else {
                            Ok(addrs)
                        }
                    }));
                }
            }
        }
        // Those who have asked meanwhile go to the end of the queue, behind other names.
        let mut names = lock(&self.names);
        if names.get(&host).is_some_and(Vec::is_empty) {
            names.remove(&host);
        } else {
            drop(names);
            self.schedule(host);
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
