//! From names to addresses, off the I/O loop.
//!
//! A name is looked up by a [`Resolve`]: the operating system, or what a program has put in its
//! place. That may block, for as long as name servers are silent. So names are looked up by a few
//! threads of their own. At most one of them is busy with any one name: those who ask for it
//! meanwhile wait for a look-up that begins after they asked, all for the same. A dead name takes
//! one thread, whatever the number of clients, and ten thousand clients that reconnect at once ask
//! the name servers once.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Weak};
use std::{fmt, io};

use crate::threads::{BlockingPool, lock};

/// What a look-up gives. Never an empty list.
pub type Answer = Result<Arc<[SocketAddr]>, io::ErrorKind>;

/// Finds the addresses of a server: for names that the operating system does not know, such as
/// those of a service registry, or for tests. A function will do.
///
/// It is asked before every attempt to connect, and never for what is an address already. An
/// attempt tries all of the addresses until one can be connected to, in the order in which they
/// are given, but the `n`th attempt at a server begins with the `n`th: one that is silent uses up
/// an attempt. Nothing is kept: a name that appears, or moves, is found by the next attempt.
///
/// ```
/// use std::io;
/// use std::net::SocketAddr;
///
/// use zk_handler_base::Resolve;
///
/// /// Asks a registry for instances of a service, each with a port of its own, as SRV records
/// /// have it. The port of the connect string does not matter then.
/// #[derive(Debug)]
/// struct Registry;
///
/// impl Resolve for Registry {
///     fn resolve(&self, service: &str, _port: u16) -> io::Result<Vec<SocketAddr>> {
///         match service {
///             "zk.service" => Ok(vec![SocketAddr::from(([10, 0, 0, 7], 21_810))]),
///             _ => Err(io::ErrorKind::NotFound.into()),
///         }
///     }
/// }
/// # assert_eq!(Registry.resolve("zk.service", 2181).unwrap()[0].port(), 21_810);
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of `host`, now, for a connection to `port`. May block: it is called on a
    /// thread for that, on one at a time for any one host and port.
    ///
    /// # Errors
    /// If there are none. An empty list means the same. Why, is for the log.
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

impl<F> Resolve for F
where
    F: Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
{
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        self(host, port)
    }
}

/// Looks names up, on threads of a pool.
pub struct Resolver {
    pool: Arc<BlockingPool>,
    by: Mutex<Arc<dyn Resolve>>,
    /// Names that are being looked up, or are to be.
    names: Mutex<BTreeMap<Name, Vec<Question>>>,
}

type Name = (Arc<str>, u16);

struct Question {
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
        let system = |host: &str, port: u16| (host, port).to_socket_addrs().map(Iterator::collect);
        Self::with(pool, Arc::new(system))
    }

    /// One that asks `by`.
    pub fn with(pool: Arc<BlockingPool>, by: Arc<dyn Resolve>) -> Arc<Self> {
        Arc::new(Self {
            pool,
            by: Mutex::new(by),
            names: Mutex::default(),
        })
    }

    /// Asks `by` from now on.
    pub fn resolve_by(&self, by: Arc<dyn Resolve>) {
        let before = std::mem::replace(&mut *lock(&self.by), by);
        drop(before);
    }

    /// The address itself, if `host` is one and need not be looked up.
    pub fn literal(host: &str, port: u16) -> Option<SocketAddr> {
        host.parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, port))
    }

    /// Looks `host` up now and calls `answer` on another thread; or here, if `host` is an address
    /// already, or if there is no thread to be had. `answer` is dropped instead if what this
    /// returns was dropped before.
    pub fn ask(
        self: &Arc<Self>,
        host: &str,
        port: u16,
        answer: impl FnOnce(Answer) + Send + 'static,
    ) -> Arc<Wanted> {
        let token = Arc::new(Wanted);
        if let Some(address) = Self::literal(host, port) {
            answer(Ok(Arc::from([address])));
            return token;
        }
        let wanted = Arc::downgrade(&token);
        let question = Question {
            wanted,
            answer: Box::new(answer),
        };
        let name = (Arc::from(host), port);
        let mut names = lock(&self.names);
        if let Some(waiting) = names.get_mut(&name) {
            waiting.push(question);
            drop(names);
            self.pool.hurry();
        } else {
            names.insert(name.clone(), vec![question]);
            drop(names);
            self.schedule(name);
        }
        token
    }

    fn schedule(self: &Arc<Self>, name: Name) {
        let (resolver, asked) = (Arc::clone(self), name.clone());
        if let Err(error) = self.pool.run(move || resolver.look_up(asked)) {
            tracing::warn!(host = &*name.0, %error, "cannot start a thread to look a name up");
            let waiting = lock(&self.names).remove(&name);
            for question in waiting.into_iter().flatten() {
                (question.answer)(Err(error.kind()));
            }
        }
    }

    /// Answers all who have asked for a name before now.
    fn look_up(self: &Arc<Self>, name: Name) {
        let mut asked = match lock(&self.names).get_mut(&name) {
            Some(waiting) => std::mem::take(waiting),
            None => return,
        };
        asked.retain(|question| question.wanted.strong_count() > 0);
        if !asked.is_empty() {
            let found = self.find(&name);
            for question in asked {
                if question.wanted.strong_count() > 0 {
                    (question.answer)(found.clone());
                }
            }
        }
        // Those who have asked meanwhile go to the end of the queue, behind other names.
        let mut names = lock(&self.names);
        if names.get(&name).is_some_and(Vec::is_empty) {
            names.remove(&name);
        } else {
            drop(names);
            self.schedule(name);
        }
    }

    fn find(&self, (host, port): &Name) -> Answer {
        let by = Arc::clone(&lock(&self.by));
        // Whoever asks for this name after a panic is to have an answer, too.
        let found = catch_unwind(AssertUnwindSafe(|| by.resolve(host, *port)));
        let found = found.unwrap_or_else(|_| {
            tracing::error!(host = &**host, "looking a name up panicked");
            Err(io::ErrorKind::Other.into())
        });
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses.into()),
            Ok(_) => Err(io::ErrorKind::NotFound),
            Err(error) => {
                tracing::debug!(host = &**host, %error, "the name does not resolve");
                Err(io::ErrorKind::NotFound)
            }
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
