//! What kind of server or ensemble to start.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;
use crate::kdc::Kdc;

/// How a [`Cluster`](crate::Cluster) is set up. The default is one standalone server with
/// ZooKeeper's own tick of two seconds.
///
/// Whatever the options, every four-letter word is allowed, TTL nodes work, a client address may
/// open any number of connections, the super user signs in with the digest `super:superpw`, and an
/// ensemble can be reconfigured unless its quorum is [proxied](Self::proxied_quorum).
///
/// ```
/// use std::time::Duration;
/// use zk_testkit::Options;
/// let options = Options::new().ensemble(3).tick(Duration::from_millis(200));
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) voters: usize,
    pub(crate) observers: usize,
    pub(crate) tick: Duration,
    pub(crate) sync_limit: Duration,
    pub(crate) ready_within: Duration,
    pub(crate) read_only: bool,
    pub(crate) local_sessions: bool,
    pub(crate) fsync: bool,
    pub(crate) proxied_quorum: bool,
    pub(crate) sasl: Option<Sasl>,
    pub(crate) kerberos: Option<Kerberos>,
    pub(crate) tls: Option<Tls>,
    pub(crate) conf: Vec<String>,
    pub(crate) java: Vec<String>,
}

/// What a server needs to know of a realm.
#[derive(Clone, Debug)]
pub(crate) struct Kerberos {
    pub(crate) config: PathBuf,
    pub(crate) key_table: PathBuf,
}

/// Whether sessions must sign in by SASL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Sasl {
    /// A session may sign in, and may do without.
    Offered,
    /// A session that does not sign in is refused.
    Required,
}

/// The users of [`Options::sasl_digest`], each with the password.
pub const SASL_USERS: [(&str, &str); 3] = [
    ("super", "adminsecret"),
    ("alice", "alicesecret"),
    ("bob", "bobsecret"),
];

/// What members show to clients with TLS, and what they want to see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tls {
    /// A PEM file with the private key (PKCS#8) and the certificates of the members.
    pub key_store: PathBuf,
    /// A PEM file with the authorities of clients' certificates.
    pub trust_store: PathBuf,
    /// Whether clients must have certificates.
    pub client_auth: ClientAuth,
}

/// Whether clients must have certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// They are not asked.
    None,
    /// They are asked and may have none.
    Want,
    /// They must.
    Need,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            voters: 1,
            observers: 0,
            tick: Duration::from_millis(2000),
            sync_limit: Duration::from_secs(5),
            ready_within: Duration::from_secs(240),
            read_only: false,
            local_sessions: false,
            fsync: false,
            proxied_quorum: false,
            sasl: None,
            kerberos: None,
            tls: None,
            conf: Vec::new(),
            java: Vec::new(),
        }
    }
}

impl Options {
    /// One standalone server.
    pub fn new() -> Self {
        Self::default()
    }

    /// The length of a tick, in whole milliseconds, at least 1; 2000 by default.
    ///
    /// The least session timeout is two ticks, and sessions expire on multiples of one. The other
    /// limits of the server, which ZooKeeper counts in ticks, keep their length in seconds.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// The number of voting members, 1 to 9; 1 by default.
    #[must_use]
    pub fn ensemble(mut self, voters: usize) -> Self {
        self.voters = voters;
        self
    }

    /// The number of observers besides the voting members, after which they are numbered, 0 to 9;
    /// none by default.
    #[must_use]
    pub fn observers(mut self, observers: usize) -> Self {
        self.observers = observers;
        self
    }

    /// How long a member may lag behind its leader, or not hear from it, before the two part;
    /// rounded up to ticks, at least two; five seconds by default.
    #[must_use]
    pub fn sync_limit(mut self, limit: Duration) -> Self {
        self.sync_limit = limit;
        self
    }

    /// How long a member is waited for when it starts; four minutes by default.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Whether members without a quorum serve read-only sessions; not by default.
    #[must_use]
    pub fn read_only(mut self, enabled: bool) -> Self {
        self.read_only = enabled;
        self
    }

    /// Whether sessions start local and are upgraded by their first ephemeral node; not by default.
    #[must_use]
    pub fn local_sessions(mut self, enabled: bool) -> Self {
        self.local_sessions = enabled;
        self
    }

    /// Whether writes wait for the disk; not by default, which is faster and survives the kill of a
    /// server, though not that of the machine.
    #[must_use]
    pub fn fsync(mut self, enabled: bool) -> Self {
        self.fsync = enabled;
        self
    }

    /// SASL DIGEST-MD5 with the users [`SASL_USERS`]; not by default.
    #[must_use]
    pub fn sasl_digest(mut self, sasl: Sasl) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// SASL GSSAPI with tickets of this realm, in place of DIGEST-MD5; not by default. The servers are
    /// `zookeeper/localhost`, so clients connect to `localhost`; identities are without the realm.
    ///
    /// # Errors
    ///
    /// As [`Kdc::key_table`].
    pub fn sasl_kerberos(mut self, kdc: &Kdc, sasl: Sasl) -> Result<Self, Error> {
        self.sasl = Some(sasl);
        self.kerberos = Some(Kerberos {
            config: kdc.config(),
            key_table: kdc.key_table("zookeeper/localhost")?,
        });
        Ok(self)
    }

    /// A second port of each member for clients with TLS; not by default.
    ///
    /// Whoever has a certificate is known by its subject, by the scheme `x509`.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether every member reaches the others' quorum ports through proxies, which
    /// [`Cluster::isolate`](crate::Cluster::isolate) needs; not by default. Such an ensemble has a
    /// static configuration: reconfiguration is off.
    #[must_use]
    pub fn proxied_quorum(mut self, enabled: bool) -> Self {
        self.proxied_quorum = enabled;
        self
    }

    /// One more line for `zoo.cfg`, such as `jute.maxbuffer=4096`; after and over the others.
    #[must_use]
    pub fn conf(mut self, line: impl Into<String>) -> Self {
        self.conf.push(line.into());
        self
    }

    /// One more argument for the JVM, such as `-Dzookeeper.snapCount=100`.
    #[must_use]
    pub fn java(mut self, argument: impl Into<String>) -> Self {
        self.java.push(argument.into());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(1..=9).contains(&self.voters) || self.observers > 9 {
            return Err(Error::Options(
                "an ensemble has 1 to 9 voters and at most 9 observers",
            ));
        }
        if self.tick < Duration::from_millis(1) {
            return Err(Error::Options("a tick has at least a millisecond"));
        }
        if self.proxied_quorum && self.members() == 1 {
            return Err(Error::Options("a standalone server has no quorum to proxy"));
        }
        Ok(())
    }

    /// How many members there are in all.
    pub(crate) fn members(&self) -> usize {
        self.voters + self.observers
    }
}
