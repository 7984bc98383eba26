//! [`NonBlockingLease`] and [`MultiNonBlockingLease`]: something held until a time of day.
//!
//! ```
//! # use std::time::Duration;
//! # use zk_client::{Client, Error};
//! use zk_recipes::NonBlockingLease;
//! # let sim = zk_sim::Sim::new(1);
//! # let server = sim.standalone("s1:2181", zk_server::Options::new());
//! # let handler = sim.machine("app").handler();
//! # sim.block_on(async {
//! # let client = Client::builder(server.hosts()).connect(handler).await?;
//! let hour = Duration::from_secs(3600);
//! let nightly = NonBlockingLease::new(&client, "/nightly", hour).identifier("host7");
//! match nightly.obtain().await? {
//!     Some(lease) => assert!(lease.is_valid()),   // .. the work ..
//!     None => {}                                  // somebody else does it
//! }
//! # Ok::<_, Error>(()) })??; Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # On the server
//!
//! | znode | kind | data |
//! |---|---|---|
//! | `PATH/lease_holder` | persistent | `{"version": 1, "holder": "…", "end": "YYYY-MM-DDTHH:MM:SS"}`, UTC |
//! | `PATH/U__lock__N` | | a [`Lock`], held while the record is looked at |
//! | `PATH/I/…` | | one lease each of [`MultiNonBlockingLease`], `I` from 0 |
//!
//! # What it promises
//!
//! Whoever obtains it has it until its end, whatever becomes of its session or its process: that is
//! what it is for. It is renewed by [`obtain`](NonBlockingLease::obtain)ing it again under the same
//! identifier. It is as good as the clocks of those who share it are alike; where a session can be
//! kept, a [`Lock`] is better. The record is replaced in a transaction that is carried out only while
//! the lock is held.
//!
//! A record of another version, which a newer program has made, is left alone: not obtained.
//!
//! # Suspended and lost
//!
//! A lease hangs on no session. Obtaining goes on when the connection, or another session, is there;
//! kazoo's fails.
//!
//! # Requests
//!
//! Those of the lock, a read and a write. Several leases: a read each before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zk_client::{BackoffPolicy, Client, Error, Outcome, RecipeError, Stat};

use crate::mine::pause;
use crate::planted::{Plan, Planted};
use crate::{Lock, Pending, layout};

mod json;
mod multi;
mod record;

pub use multi::MultiNonBlockingLease;

use record::{Record, VERSION};

/// A lease for one. See the [module](self).
#[derive(Clone)]
pub struct NonBlockingLease {
    client: Client,
    lock: Lock,
    path: Arc<str>,
    duration: Duration,
    identifier: Arc<str>,
    plan: Plan,
}

/// A lease that was obtained. It ends by itself.
#[derive(Clone, Debug)]
pub struct Lease {
    client: Client,
    end: SystemTime,
}

impl Lease {
    /// When it ends: in whole seconds, by the clock of this machine.
    pub fn end(&self) -> SystemTime {
        self.end
    }

    /// Has it not ended yet, by the clock of this machine (kazoo: `obtained`, which stays true)?
    pub fn is_valid(&self) -> bool {
        self.client.wall_clock() < self.end
    }
}

impl NonBlockingLease {
    /// The lease at `path`, to be held for so long at a time. Nothing is sent.
    pub fn new(client: &Client, path: &str, duration: Duration) -> Self {
        let path = path.trim_end_matches('/');
        let identity = client.identity();
        let host = identity.rsplit_once('-').map_or(identity, |(host, _)| host);
        Self {
            client: client.clone(),
            lock: Lock::new(client, path).identifier(host),
            path: path.into(),
            duration,
            identifier: host.into(),
            plan: Plan::default(),
        }
    }

    /// Who holds it. Whoever has the same may renew it. Default: the name of the host.
    #[must_use]
    pub fn identifier(mut self, identifier: &str) -> Self {
        self.lock = self.lock.identifier(identifier);
        self.identifier = identifier.into();
        self
    }

    #[cfg(zk_planted)]
    #[doc(hidden)]
    pub fn planted(mut self, planted: Planted) -> Self {
        self.plan = Plan::of(planted);
        self
    }

    /// Obtains or renews it; `None` if somebody else has it (kazoo: the constructor does this).
    ///
    /// # Errors
    /// [`RecipeError::NotUnderstood`] if the record is none; those of [`Lock::acquire`] and of writes
    /// that do not pass.
    pub fn obtain(&self) -> Pending<Option<Lease>> {
        let this = self.clone();
        Pending::new(&self.client, async move { this.try_obtain().await })
    }

    async fn try_obtain(&self) -> Result<Option<Lease>, Error> {
        let client = &self.client;
        let path = format!("{}/{}", self.path, layout::LEASE_HOLDER);
        let mut written: Option<Record> = None;
        loop {
            let guard = self.lock.acquire().await?;
            let found = self.read(&path).await?;
            let current = found.as_ref().map(|(record, _)| record);
            // By an attempt whose answer was lost.
            let done = written.take().filter(|written| current == Some(written));
            if let Some(record) = done {
                return Ok(Some(self.lease(record.end)));
            }
            let now = client.wall_clock();
            let early = u64::from(self.plan.has(Planted::TakeEarly));
            let seen = now + Duration::from_secs(early);
            if current.is_some_and(|record| !record.is_free(&self.identifier, seen)) {
                return Ok(None);
            }
            let end = now.checked_add(self.duration).unwrap_or(now);
            let record = Record::new(&self.identifier, end);
            let text = record.write();
            let blind = self.plan.has(Planted::BlindRecord);
            let transaction = if blind {
                client.transaction()
            } else {
                guard.transaction()
            };
            let transaction = match &found {
                Some(_) if blind => transaction.set(&path, text.as_str()),
                Some((_, stat)) => {
                    transaction.with(client.set(&path, text.as_str()).version(stat.version))
                }
                None => transaction.create(&path, text.as_str()),
            };
            match transaction.commit().await {
                Ok(_) if self.plan.has(Planted::FromReply) => {
                    return Ok(Some(self.lease(client.wall_clock() + self.duration)));
                }
                Ok(_) => return Ok(Some(self.lease(record.end))),
                // The lock was lost: from the beginning.
                Err(Error::NotHeld | Error::SessionExpired { sent: false }) => {}
                Err(Error::Transaction(error)) => {
                    let cause = error.cause();
                    // Somebody has come in spite of the lock.
                    let raced =
                        matches!(cause, Error::BadVersion | Error::NodeExists | Error::NoNode);
                    if !raced {
                        return Err(cause.clone());
                    }
                }
                Err(error) => {
                    if error.outcome() == Some(Outcome::Unknown) {
                        written = Some(record);
                    }
                    if !matches!(error, Error::SessionExpired { .. }) {
                        pause(client, error).await?;
                    }
                }
            }
        }
    }

    fn lease(&self, end: SystemTime) -> Lease {
        Lease {
            client: self.client.clone(),
            end,
        }
    }

    /// The record, if there is one.
    async fn read(&self, path: &str) -> Result<Option<(Record, Stat)>, Error> {
        let get = self.client.get(path).synced();
        let (data, stat) = match self.client.retry(&BackoffPolicy::new(), get).await {
            Err(Error::NoNode) => return Ok(None),
            found => found?,
        };
        let record = Record::read(&data).ok_or_else(|| {
            Error::Recipe(RecipeError::NotUnderstood {
                path: path.to_owned(),
                expected: "the record of a lease",
            })
        })?;
        Ok(Some((record, stat)))
    }

    /// Does the record name this holder?
    async fn is_named(&self) -> Result<bool, Error> {
        let path = format!("{}/{}", self.path, layout::LEASE_HOLDER);
        let found = self.read(&path).await?;
        Ok(found.is_some_and(|(record, _)| {
            record.version == VERSION && *record.holder == *self.identifier
        }))
    }
}

impl Record {
    /// May this holder take it?
    fn is_free(&self, holder: &str, now: SystemTime) -> bool {
        self.version == VERSION && (self.holder == holder || now >= self.end)
    }
}

impl std::fmt::Debug for NonBlockingLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NonBlockingLease")
            .field("path", &self.path)
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}
