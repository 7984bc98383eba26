//! [`Builder`]: the options of a client. [`Connect`]: starting one and waiting until it is usable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use zk_proto::{
    Acl, Chroot, HostsError, Password, ServerAddr, SessionId, parse_hosts, validate_acl,
};
use zk_session::{BackoffPolicy, Config, ConfigBuilder, GiveUp, LayerFactory, MechanismFactory};

use crate::{Client, Error, Handler, block_on};

/// How long [`Connect`] waits unless told otherwise, as in kazoo.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// How long [`Client::close`] takes at most unless told otherwise; more with a longer session
/// timeout.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

/// What becomes of a call when the bounds of the session's queue are reached.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum WhenFull {
    /// `.await` and `.wait()` wait for room, first come, first served; `.send()` is refused. The
    /// default.
    #[default]
    Wait,
    /// All are refused with [`Error::Full`].
    Refuse,
}

/// The options of a client. Each has a default; the numbers are checked by
/// [`start`](Self::start) and [`connect`](Self::connect).
#[derive(Clone, Debug)]
#[must_use = "nothing is started until `start` or `connect`"]
pub struct Builder {
    servers: Result<Vec<ServerAddr>, HostsError>,
    chroot: Chroot,
    /// Without servers.
    session: ConfigBuilder,
    resume: Option<(SessionId, Password)>,
    options: Settings,
}

/// The options that the session does not know of.
#[derive(Clone, Debug, Default)]
struct Settings {
    default_acl: Vec<Acl>,
    command_retry: BackoffPolicy,
    request_timeout: Option<Duration>,
    close_timeout: Option<Duration>,
    when_full: WhenFull,
    track_ensemble: bool,
}

impl Builder {
    pub(crate) fn new(hosts: &str) -> Self {
        let (servers, chroot) = match parse_hosts(hosts) {
            Ok((servers, chroot)) => (Ok(servers), chroot),
            Err(error) => (Err(error), Chroot::ROOT),
        };
        let session = ConfigBuilder::new(servers.clone().unwrap_or_default());
        Self {
            servers,
            chroot,
            session,
            resume: None,
            options: Settings::default(),
        }
    }

    /// The session timeout to ask for (kazoo: `timeout`). Servers put it between their bounds,
    /// which are 2 and 20 ticks. Default 10 s.
    pub fn session_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.session.session_timeout(timeout);
        self
    }

    /// Takes over an existing session (kazoo: `client_id`). If it is gone, a new one is made.
    pub fn resume(&mut self, id: SessionId, password: Password) -> &mut Self {
        self.resume = Some((id, password));
        self
    }

    /// The access control list of new nodes unless told otherwise. Default: open to anyone.
    pub fn default_acl(&mut self, acl: impl Into<Vec<Acl>>) -> &mut Self {
        self.options.default_acl = acl.into();
        self
    }

    /// A credential to present on every connection before anything else, such as `digest` with
    /// `user:password` (kazoo: `auth_data`). Can be given several times. If a server refuses it,
    /// the session ends.
    pub fn auth(&mut self, scheme: impl Into<String>, credential: impl Into<Vec<u8>>) -> &mut Self {
        self.session.auth(scheme, credential);
        self
    }

    /// Accepts servers that have lost their quorum and only serve reads. Default no.
    pub fn read_only(&mut self, accept: bool) -> &mut Self {
        self.session.read_only(accept);
        self
    }

    /// Shuffles the list of servers, so that clients spread. Default yes.
    pub fn randomize_hosts(&mut self, shuffle: bool) -> &mut Self {
        self.session.randomize_hosts(shuffle);
        self
    }

    /// Delays between rounds over the servers (kazoo: `connection_retry`). Default: 100 ms,
    /// doubled up to 5 s, without end.
    pub fn connection_retry(&mut self, policy: BackoffPolicy) -> &mut Self {
        self.session.reconnect(policy);
        self
    }

    /// The policy of `client.retry` (kazoo: `command_retry`). Default: as for
    /// [`connection_retry`](Self::connection_retry).
    pub fn command_retry(&mut self, policy: BackoffPolicy) -> &mut Self {
        self.options.command_retry = policy;
        self
    }

    /// How long one attempt to connect may take. Default: two thirds of the session timeout,
    /// divided by the number of servers.
    pub fn attempt_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.session.connect_timeout(timeout);
        self
    }

    /// The deadline of each call that has none of its own ([`Op::timeout`](crate::Op::timeout)),
    /// but for those that end the client. Default none.
    pub fn request_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.request_timeout = Some(timeout);
        self
    }

    /// The limit of [`Client::close`], and of the close in the background when the last clone is
    /// dropped. Default: the greater of 10 s and the session timeout.
    pub fn close_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.options.close_timeout = Some(timeout);
        self
    }

    /// How much earlier than computed the session's deadline is put. Default a twentieth of the
    /// session timeout.
    pub fn clock_margin(&mut self, margin: Duration) -> &mut Self {
        self.session.clock_margin(margin);
        self
    }

    /// When a session without contact is taken for lost. Default: a third of the session timeout
    /// after the servers may have dropped it.
    pub fn give_up(&mut self, give_up: GiveUp) -> &mut Self {
        self.session.give_up(give_up);
        self
    }

    /// Bounds on requests that are queued or in flight, and on their bytes. A read that is synced
    /// or linearizable counts once. Default 65,536 and 64 MiB.
    pub fn max_queued(&mut self, requests: usize, bytes: usize) -> &mut Self {
        self.session.max_queued(requests, bytes);
        self
    }

    /// Follows the ensemble's configuration: members that it names are tried after the servers
    /// given, which stay the first choice. Addresses that are of no use here are left out:
    /// missing ones, and those of the loopback interface unless all servers given are there.
    /// Needs 3.5, and servers whose dynamic configuration names client addresses. Default no.
    pub fn track_ensemble(&mut self) -> &mut Self {
        self.options.track_ensemble = true;
        self
    }

    /// What becomes of a call beyond [`max_queued`](Self::max_queued). Default:
    /// [`WhenFull::Wait`].
    pub fn when_full(&mut self, when_full: WhenFull) -> &mut Self {
        self.options.when_full = when_full;
        self
    }

    /// The longest request in bytes; longer ones fail at once, as a server (`jute.maxbuffer`)
    /// would drop the connection. Default 1,048,575.
    pub fn max_request_bytes(&mut self, limit: usize) -> &mut Self {
        self.session.max_request_bytes(limit);
        self
    }

    /// The longest reply in bytes; a longer one fails its own call. Default 64 MiB.
    pub fn max_reply_bytes(&mut self, limit: usize) -> &mut Self {
        self.session.max_reply_bytes(limit);
        self
    }

    /// Encrypts every connection, such as by `Tls` of `zk-tls` (kazoo: `use_ssl`). Attempts that fail
    /// for it go on, as a server may be mended; [`Client::last_error`] and, at its limit,
    /// [`Error::ConnectTimeout`] say why, and each kind of failure is warned of in the log.
    pub fn tls(&mut self, factory: impl LayerFactory + 'static) -> &mut Self {
        self.layer(Arc::new(factory))
    }

    /// Puts a security layer under the protocol, which is shared.
    pub fn layer(&mut self, factory: Arc<dyn LayerFactory>) -> &mut Self {
        self.session.layer(factory);
        self
    }

    /// Authenticates by SASL on every connection (kazoo: `sasl_options`), such as by `DigestMd5` of
    /// `zk-sasl`. What goes wrong ends the client with an
    /// [`AuthFailure`](zk_session::AuthFailure) that says what it was.
    pub fn sasl(&mut self, factory: impl MechanismFactory + 'static) -> &mut Self {
        self.mechanism(Arc::new(factory))
    }

    /// The same, with a mechanism that is shared (kazoo: `sasl_options`).
    pub fn mechanism(&mut self, factory: Arc<dyn MechanismFactory>) -> &mut Self {
        self.session.mechanism(factory);
        self
    }

    /// Plants a fault.
    #[cfg(zk_planted)]
    pub fn planted(&mut self, planted: zk_session::Planted) -> &mut Self {
        self.session.planted(planted);
        self
    }

    /// Starts a client that connects in the background (kazoo: `start_async`). What is submitted
    /// before it is connected waits.
    ///
    /// # Errors
    /// [`Error::Hosts`], [`Error::Config`], [`Error::Acl`], [`Error::Start`].
    pub fn start(&self, handler: Arc<dyn Handler>) -> Result<Client, Error> {
        Client::launch(handler, self.options()?, self.chroot.clone())
    }

    /// Starts a client and waits until it is usable (kazoo: `start`), at most 15 s unless
    /// [told otherwise](Connect::limit). Nothing happens until the result is awaited or waited for.
    pub fn connect(&self, handler: Arc<dyn Handler>) -> Connect {
        Connect {
            limit: CONNECT_LIMIT,
            progress: Progress::Unstarted(Box::new(self.clone()), handler),
        }
    }

    fn options(&self) -> Result<Options, Error> {
        if let Err(error) = &self.servers {
            return Err(error.clone().into());
        }
        if !self.options.default_acl.is_empty() {
            validate_acl(&self.options.default_acl)?;
        }
        let mut first = self.session.clone();
        if let Some((id, password)) = &self.resume {
            first.resume(*id, *password);
        }
        Ok(Options {
            config: first.build()?,
            renewed: Some(self.session.clone()),
            settings: self.options.clone(),
        })
    }
}

/// The options of a running client.
pub(crate) struct Options {
    config: Arc<Config>,
    /// Makes the options of a session after a restart: they resume nothing.
    renewed: Option<ConfigBuilder>,
    settings: Settings,
}

impl Options {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            renewed: None,
            settings: Settings::default(),
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn renewed_config(
        &self,
        credentials: Vec<(String, Vec<u8>)>,
    ) -> Result<Arc<Config>, Error> {
        let Some(renewed) = &self.renewed else {
            return Ok(Arc::clone(&self.config));
        };
        let mut renewed = renewed.clone();
        for (scheme, credential) in credentials {
            renewed.auth(scheme, credential);
        }
        Ok(renewed.build()?)
    }

    pub(crate) fn default_acl(&self) -> Arc<[Acl]> {
        match &*self.settings.default_acl {
            [] => Acl::open_unsafe().into(),
            acl => Arc::from(acl),
        }
    }

    pub(crate) fn tracks_ensemble(&self) -> bool {
        self.settings.track_ensemble
    }

    pub(crate) fn command_retry(&self) -> &BackoffPolicy {
        &self.settings.command_retry
    }

    pub(crate) fn request_timeout(&self) -> Option<Duration> {
        self.settings.request_timeout
    }

    pub(crate) fn close_limit(&self) -> Duration {
        let default = || CLOSE_LIMIT.max(self.config.session_timeout());
        self.settings.close_timeout.unwrap_or_else(default)
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.settings.when_full
    }
}

/// A client being started: await it or [`wait`](Self::wait) for it. Dropping it gives up.
#[must_use = "nothing is started until awaited or waited for"]
pub struct Connect {
    limit: Duration,
    progress: Progress,
}

enum Progress {
    Unstarted(Box<Builder>, Arc<dyn Handler>),
    Failed(Error),
    Connecting(Pin<Box<dyn Future<Output = Result<Client, Error>> + Send>>),
    Over,
}

impl Connect {
    /// One that fails with `error`: for what goes wrong before there is a handler.
    pub fn failed(error: Error) -> Self {
        Self {
            limit: CONNECT_LIMIT,
            progress: Progress::Failed(error),
        }
    }

    /// How long to wait. Default 15 s.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Starts the client and blocks until it is usable.
    ///
    /// # Errors
    /// [`Error::ConnectTimeout`] at the limit; the client is closed then. As for
    /// [`Builder::start`]; what ended the client ([`Error::SignIn`],
    /// [`Error::RetriesExhausted`]); [`Error::WouldDeadlock`], before anything is started, where
    /// waiting would never end.
    pub fn wait(self) -> Result<Client, Error> {
        if let Progress::Unstarted(_, handler) = &self.progress {
            if !handler.may_block() {
                return Err(Error::WouldDeadlock);
            }
        }
        block_on(self)
    }
}

impl Future for Connect {
    type Output = Result<Client, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.progress, Progress::Over) {
                Progress::Unstarted(builder, handler) => {
                    let client = builder.start(handler)?;
                    let limit = self.limit;
                    self.progress = Progress::Connecting(Box::pin(connected(client, limit)));
                }
                Progress::Connecting(mut connecting) => {
                    let poll = connecting.as_mut().poll(cx);
                    if poll.is_pending() {
                        self.progress = Progress::Connecting(connecting);
                    }
                    return poll;
                }
                Progress::Failed(error) => return Poll::Ready(Err(error)),
                Progress::Over => return Poll::Ready(Err(Error::Taken)),
            }
        }
    }
}

impl std::fmt::Debug for Connect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connect")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Waits until the client is usable. A client that is not within `limit` is closed.
async fn connected(client: Client, limit: Duration) -> Result<Client, Error> {
    let mut up = client.until_connected();
    let mut limit = client.sleep(limit);
    let in_time = std::future::poll_fn(|cx| {
        if let Poll::Ready(up) = Pin::new(&mut up).poll(cx) {
            return Poll::Ready(Some(up));
        }
        Pin::new(&mut limit).poll(cx).map(|_| None)
    });
    match in_time.await {
        Some(Err(error)) => return Err(client.auth_failure().map_or(error, Error::SignIn)),
        Some(Ok(())) => {}
        None => {
            return Err(Error::ConnectTimeout {
                last: client.last_error(),
            });
        }
    }
    if !client.root_path().is_empty() {
        let root = client.root_path().to_owned();
        let span = client.core().span().clone();
        client.exists("/").send().on_complete(move |stat| {
            if let Ok(None) = stat {
                tracing::warn!(
                    parent: &span,
                    root,
                    "the root path does not exist: ensure_path(\"/\") makes it"
                );
            }
        });
    }
    Ok(client)
}
