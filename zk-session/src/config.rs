//! Options of a session. Every one has a default; [`ConfigBuilder::build`] refuses nonsense.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zk_proto::{Password, ServerAddr, SessionId};

use crate::{BackoffPolicy, LayerFactory, MechanismFactory};

/// Options of a session that are known to be usable. Made by [`ConfigBuilder`].
#[derive(Clone)]
pub struct Config {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) session_timeout: Duration,
    pub(crate) resume: Option<(SessionId, Password)>,
    pub(crate) auth: Vec<(String, Vec<u8>)>,
    pub(crate) read_only: bool,
    pub(crate) randomize_hosts: bool,
    pub(crate) reconnect: BackoffPolicy,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) clock_margin: Option<Duration>,
    pub(crate) give_up: GiveUp,
    pub(crate) max_queued: (usize, usize),
    pub(crate) max_request_bytes: usize,
    pub(crate) max_reply_bytes: usize,
    pub(crate) transmit_chunk: usize,
    pub(crate) max_events: usize,
    pub(crate) layer: Option<Arc<dyn LayerFactory>>,
    pub(crate) mechanism: Option<Arc<dyn MechanismFactory>>,
    #[cfg(zk_planted)]
    pub(crate) planted: Option<crate::Planted>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("servers", &self.servers)
            .field("session_timeout", &self.session_timeout)
            .field("resume", &self.resume.as_ref().map(|(id, _)| id))
            .field(
                "auth",
                &self
                    .auth
                    .iter()
                    .map(|(scheme, _)| scheme)
                    .collect::<Vec<_>>(),
            )
            .field("read_only", &self.read_only)
            .field("reconnect", &self.reconnect)
            .field("give_up", &self.give_up)
            .field("layer", &self.layer)
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Starts with the defaults and these servers.
    pub fn builder(servers: Vec<ServerAddr>) -> ConfigBuilder {
        ConfigBuilder::new(servers)
    }

    /// Starts with these options.
    pub fn to_builder(&self) -> ConfigBuilder {
        ConfigBuilder {
            config: self.clone(),
        }
    }

    /// Is there a security layer under the protocol?
    pub fn is_layered(&self) -> bool {
        self.layer.is_some()
    }

    /// What makes the layer of each connection, if there is one.
    pub fn security_layer(&self) -> Option<&Arc<dyn LayerFactory>> {
        self.layer.as_ref()
    }

    /// The servers, in the given order.
    pub fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }

    /// The session timeout to ask for. Servers answer with their own.
    pub fn session_timeout(&self) -> Duration {
        self.session_timeout
    }

    /// The longest request frame in bytes.
    pub fn max_request_bytes(&self) -> usize {
        self.max_request_bytes
    }

    /// How much [`Session::poll_transmit`](crate::Session::poll_transmit) hands out at once, about.
    pub fn transmit_chunk(&self) -> usize {
        self.transmit_chunk
    }
}

/// When a session without contact is taken for lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GiveUp {
    /// A third of the session timeout after the servers may have dropped it: after
    /// [`Session::deadline`](crate::Session::deadline), or a session timeout after anything was
    /// last heard, whichever is later. The default.
    Default,
    /// This long after that moment.
    After(Duration),
    /// Only when a server says so (kazoo, and the Java client before 3.9.3).
    Never,
}

/// Why [`ConfigBuilder::build`] refuses.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The list of servers is empty.
    #[error("no servers given: name at least one, such as 127.0.0.1:2181")]
    NoServers,
    /// The session timeout does not fit the protocol.
    #[error("a session timeout of {0:?} is not between 1 ms and 2^31-1 ms")]
    SessionTimeout(Duration),
    /// The backoff policy has a factor below 1, a jitter outside of 0 to 1, or no tries at all.
    #[error("the reconnect policy needs factor >= 1, jitter between 0 and 1, and at least one try")]
    Backoff,
    /// An option that must not be zero is.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// More than a signed 32-bit length can say.
    #[error("{0} must be below 2 GiB")]
    TooLarge(&'static str),
    /// A session to resume with id 0.
    #[error("session id 0 cannot be resumed: leave the option out for a new session")]
    ResumeNothing,
}

/// Sets the options of a session.
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct ConfigBuilder {
    config: Config,
}

impl ConfigBuilder {
    /// Starts with the defaults and these servers.
    pub fn new(servers: Vec<ServerAddr>) -> Self {
        Self {
            config: Config {
                servers,
                session_timeout: Duration::from_secs(10),
                resume: None,
                auth: Vec::new(),
                read_only: false,
                randomize_hosts: true,
                reconnect: BackoffPolicy::default(),
                connect_timeout: None,
                clock_margin: None,
                give_up: GiveUp::Default,
                max_queued: (65_536, 64 << 20),
                max_request_bytes: 1_048_575,
                max_reply_bytes: 64 << 20,
                transmit_chunk: 64 << 10,
                max_events: 16_384,
                layer: None,
                mechanism: None,
                #[cfg(zk_planted)]
                planted: None,
            },
        }
    }

    /// Plants a fault.
    #[cfg(zk_planted)]
    pub fn planted(&mut self, planted: crate::Planted) -> &mut Self {
        self.config.planted = Some(planted);
        self
    }

    /// Replaces the servers.
    pub fn servers(&mut self, servers: Vec<ServerAddr>) -> &mut Self {
        self.config.servers = servers;
        self
    }

    /// The session timeout to ask for. Servers put it between their `minSessionTimeout` and
    /// `maxSessionTimeout` (2 and 20 ticks). Default 10 s.
    pub fn session_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.config.session_timeout = timeout;
        self
    }

    /// Takes over an existing session instead of making one (kazoo's `client_id`).
    pub fn resume(&mut self, id: SessionId, password: Password) -> &mut Self {
        self.config.resume = Some((id, password));
        self
    }

    /// A credential to present on every connection before anything else, such as `digest` with
    /// `user:password`. Can be given several times. If a server refuses it, the session ends.
    pub fn auth(&mut self, scheme: impl Into<String>, data: impl Into<Vec<u8>>) -> &mut Self {
        self.config.auth.push((scheme.into(), data.into()));
        self
    }

    /// Accepts servers that have lost their quorum and only serve reads, and looks for a better
    /// one meanwhile. Default no.
    pub fn read_only(&mut self, accept: bool) -> &mut Self {
        self.config.read_only = accept;
        self
    }

    /// Shuffles the list of servers, so that clients spread. Default yes.
    pub fn randomize_hosts(&mut self, shuffle: bool) -> &mut Self {
        self.config.randomize_hosts = shuffle;
        self
    }

    /// Delays between rounds over the servers. While a session lives they are also capped at a
    /// quarter of its timeout. Default: 100 ms, doubled up to 5 s, without end.
    pub fn reconnect(&mut self, policy: BackoffPolicy) -> &mut Self {
        self.config.reconnect = policy;
        self
    }

    /// How long one attempt may take, from the start of the connection to the session's being
    /// usable. Default: two thirds of the session timeout, divided by the number of servers, so
    /// that a dead one does not use up the time of the others.
    pub fn connect_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.config.connect_timeout = Some(timeout);
        self
    }

    /// How much earlier than computed the session's deadline is put, against clocks that run at
    /// different rates. Default a twentieth of the session timeout.
    pub fn clock_margin(&mut self, margin: Duration) -> &mut Self {
        self.config.clock_margin = Some(margin);
        self
    }

    /// When a session without contact is taken for lost. Default: a third of the session timeout
    /// after the servers may have dropped it.
    pub fn give_up(&mut self, give_up: GiveUp) -> &mut Self {
        self.config.give_up = give_up;
        self
    }

    /// Bounds on requests that are queued or in flight, and on their encoded bytes. The session's
    /// own requests and urgent ones do not count. Default 65,536 requests and 64 MiB.
    pub fn max_queued(&mut self, requests: usize, bytes: usize) -> &mut Self {
        self.config.max_queued = (requests, bytes);
        self
    }

    /// The longest request in bytes; longer ones are refused, as a server (`jute.maxbuffer`) would
    /// drop the connection. Default 1,048,575.
    pub fn max_request_bytes(&mut self, limit: usize) -> &mut Self {
        self.config.max_request_bytes = limit;
        self
    }

    /// The longest reply in bytes; a longer one fails its own request. Servers do not limit their
    /// replies. Default 64 MiB; memory grows with what arrives, not with what is announced.
    pub fn max_reply_bytes(&mut self, limit: usize) -> &mut Self {
        self.config.max_reply_bytes = limit;
        self
    }

    /// About how many bytes are handed out for one write. Default 64 KiB.
    pub fn transmit_chunk(&mut self, bytes: usize) -> &mut Self {
        self.config.transmit_chunk = bytes;
        self
    }

    /// How many events may wait before [`Session::wants_read`](crate::Session::wants_read) asks
    /// the driver to stop reading. Default 16,384.
    pub fn max_events(&mut self, events: usize) -> &mut Self {
        self.config.max_events = events;
        self
    }

    /// Puts a security layer under the protocol.
    pub fn layer(&mut self, factory: Arc<dyn LayerFactory>) -> &mut Self {
        self.config.layer = Some(factory);
        self
    }

    /// Authenticates by SASL on every connection.
    pub fn mechanism(&mut self, factory: Arc<dyn MechanismFactory>) -> &mut Self {
        self.config.mechanism = Some(factory);
        self
    }

    /// The options, checked.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn build(&self) -> Result<Arc<Config>, ConfigError> {
        let c = &self.config;
        if c.servers.is_empty() {
            return Err(ConfigError::NoServers);
        }
        let millis = c.session_timeout.as_millis();
        if millis == 0 || millis > i32::MAX as u128 {
            return Err(ConfigError::SessionTimeout(c.session_timeout));
        }
        if !c.reconnect.is_valid() {
            return Err(ConfigError::Backoff);
        }
        for (name, value) in [
            ("max_queued", c.max_queued.0.min(c.max_queued.1)),
            ("max_request_bytes", c.max_request_bytes),
            ("max_reply_bytes", c.max_reply_bytes),
            ("transmit_chunk", c.transmit_chunk),
            ("max_events", c.max_events),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        if c.connect_timeout == Some(Duration::ZERO) {
            return Err(ConfigError::Zero("connect_timeout"));
        }
        for (name, value) in [
            ("max_request_bytes", c.max_request_bytes),
            ("max_reply_bytes", c.max_reply_bytes),
        ] {
            if value > i32::MAX as usize {
                return Err(ConfigError::TooLarge(name));
            }
        }
        if c.resume
            .as_ref()
            .is_some_and(|(id, _)| *id == SessionId::NONE)
        {
            return Err(ConfigError::ResumeNothing);
        }
        Ok(Arc::new(c.clone()))
    }
}
