//! [`Client`]: kazoo's calls under kazoo's names.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use zk_proto::{
    Acl, Chroot, IntoData, Password, ServerAddr, SessionId, WatcherType, Zxid, parse_hosts,
};
use zk_session::{BackoffPolicy, Config, LinkError, Session, State};

use crate::async_result::{Origin, Slot};
use crate::builder::Options;
use crate::core::{Listen, ListenerId, StateChange, Ticket};
use crate::op::{
    AddAuth, AddWatch, CheckWatches, Close, Command, CountAll, Create, Delete, EnsurePath, Exists,
    GetAcls, GetChildren, GetConfig, GetData, GetEphemerals, GetServerVersion, MultiRead, Op, Read,
    Reconfig, Restart, Retry, RetryWith, Retryable, SetAcls, SetData, Sync, Transaction, Walk, WhoAmI,
};
use crate::{
    AsyncResult, Builder, Completer, Core, Error, EventStream, Handler, StateStream, Stats, Task,
    WhenFull, block_on,
};

/// A ZooKeeper client: one session, used from anywhere, by any number of clones.
///
/// Calls give an [`Op`], which is refined, and then awaited, waited for, or sent. All paths are
/// below the client's root path, and so are those in results and events; a leading slash may be
/// left out.
///
/// When the last clone is dropped, the session is closed in the background;
/// [`close`](Self::close) tells when that is done, [`detach`](Self::detach) leaves the session
/// alive.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    chroot: Chroot,
    acl: Arc<[Acl]>,
}

/// What all clones and views of a client share.
struct Shared {
    core: Arc<Core>,
    options: Options,
    /// The hosts' own root path.
    chroot: Chroot,
    credentials: Arc<Credentials>,
    /// The servers, once they were changed.
    servers: Mutex<Option<Vec<ServerAddr>>>,
}

/// What `add_auth` was successful with: a restarted client presents it again.
#[derive(Default)]
pub(crate) struct Credentials(Mutex<Vec<(String, Vec<u8>)>>);

impl Credentials {
    pub(crate) fn add(&self, credential: (String, Vec<u8>)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&credential) {
            all.push(credential);
        }
    }

    fn all(&self) -> Vec<(String, Vec<u8>)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let now = self.core.handler().now();
        let limit = self.options.close_limit();
        self.core
            .enter(|inner| inner.close(None, Session::close, (now, limit)));
    }
}

/// Making clients and views of them.
impl Client {
    /// Options for a client of these hosts: kazoo's string, root path included, such as
    /// `h1:2181,h2:2182,[::1]:2183/app/a`. A malformed one is an error of
    /// [`Builder::start`] and [`Builder::connect`].
    pub fn builder(hosts: impl AsRef<str>) -> Builder {
        Builder::new(hosts.as_ref())
    }

    /// A client with the given session options, and defaults for everything else. It begins to
    /// connect in the background.
    ///
    /// # Errors
    /// [`Error::Start`] if the handler cannot drive it.
    pub fn start(handler: Arc<dyn Handler>, config: Arc<Config>) -> Result<Self, Error> {
        Self::launch(handler, Options::new(config), Chroot::ROOT)
    }

    pub(crate) fn launch(
        handler: Arc<dyn Handler>,
        options: Options,
        chroot: Chroot,
    ) -> Result<Self, Error> {
        let core = Core::new(Arc::clone(&handler), Arc::clone(options.config()));
        let acl = options.default_acl();
        let shared = Shared {
            core: Arc::clone(&core),
            options,
            chroot: chroot.clone(),
            credentials: Arc::default(),
            servers: Mutex::new(None),
        };
        let client = Self {
            shared: Arc::new(shared),
            chroot,
            acl,
        };
        if let Err(error) = handler.drive(Arc::clone(&core)) {
            core.abandon(handler.now());
            return Err(error.into());
        }
        Ok(client)
    }

    /// A view whose paths are below `path`. It shares the session with this one.
    ///
    /// # Errors
    /// [`Error::Path`] if `path` is malformed.
    pub fn chroot(&self, path: &str) -> Result<Self, Error> {
        Ok(Self {
            chroot: self.chroot.join(path)?,
            ..self.clone()
        })
    }

    /// The root path of this view: empty, or such as `/app/a`.
    pub fn root_path(&self) -> &str {
        self.chroot.as_str()
    }

    /// A view whose new nodes have this access control list unless told otherwise.
    ///
    /// # Errors
    /// [`Error::Acl`] if it is malformed or empty.
    pub fn with_default_acl(&self, acl: &[Acl]) -> Result<Self, Error> {
        zk_proto::validate_acl(acl)?;
        Ok(Self {
            acl: Arc::from(acl),
            ..self.clone()
        })
    }

    /// The access control list of new nodes, unless told otherwise.
    pub fn default_acl(&self) -> &[Acl] {
        &self.acl
    }
}

/// Reading.
impl Client {
    /// The node's stat, or `None` if there is no such node.
    /// With [`watched`](Op::watched) it also tells when the node is created, changed or deleted.
    pub fn exists<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, Exists>> {
        Op::new(self, Read::new(path))
    }

    /// The node's data and stat. With [`watched`](Op::watched) it also tells when the node is
    /// changed or deleted.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`]; a watch is not set then.
    pub fn get<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetData>> {
        Op::new(self, Read::new(path))
    }

    /// The names of the node's children, in no particular order. With [`watched`](Op::watched) it
    /// also tells when a child comes or goes, or the node is deleted.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`]; a watch is not set then.
    pub fn get_children<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetChildren>> {
        Op::new(self, Read::new(path))
    }

    /// The node's access control list and stat.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`].
    pub fn get_acls<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, GetAcls>> {
        Op::new(self, Read::new(path))
    }

    /// The paths of this session's ephemeral nodes that begin with `prefix`. Needs 3.6.
    pub fn get_ephemerals<'a>(&'a self, prefix: &'a str) -> Op<'a, Read<'a, GetEphemerals>> {
        Op::new(self, Read::new(prefix))
    }

    /// How many nodes are below the node, at any depth. Needs 3.6.
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::NoAuth`].
    pub fn get_all_children_number<'a>(&'a self, path: &'a str) -> Op<'a, Read<'a, CountAll>> {
        Op::new(self, Read::new(path))
    }

    /// The ensemble's configuration, from `/zookeeper/config` whatever the root path is; see
    /// [`EnsembleConfig::parse`](zk_proto::EnsembleConfig::parse). Needs 3.5.
    pub fn get_config(&self) -> Op<'_, Read<'_, GetConfig>> {
        Op::new(self, Read::new("/zookeeper/config"))
    }

    /// Several reads of one state in one request. Needs 3.6. A read that fails is an
    /// [error](zk_proto::ReadResult::Error) among the results.
    pub fn multi_read(&self) -> Op<'_, MultiRead<'_>> {
        Op::new(self, MultiRead::default())
    }
}

/// Writing.
impl Client {
    /// Makes a node and gives its path. See [`Op::ephemeral`], [`Op::sequential`],
    /// [`Op::make_path`] and their neighbours.
    ///
    /// # Errors
    /// [`Error::NodeExists`], [`Error::NoNode`] without a parent,
    /// [`Error::NoChildrenForEphemerals`], [`Error::NoAuth`], [`Error::Acl`],
    /// [`Error::InvalidAcl`], [`Error::Mode`].
    pub fn create<'a>(&'a self, path: &'a str, data: impl IntoData<'a>) -> Op<'a, Create<'a>> {
        Op::new(self, Create::new(path, data.into_data()))
    }

    /// Makes the node and its parents if they do not exist, without data. With `/`, the root path
    /// itself.
    ///
    /// # Errors
    /// [`Error::NoAuth`], [`Error::NoChildrenForEphemerals`].
    pub fn ensure_path<'a>(&'a self, path: &'a str) -> Op<'a, EnsurePath<'a>> {
        Op::new(self, EnsurePath::new(path))
    }

    /// Replaces the node's data and gives its new stat. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NoAuth`].
    pub fn set<'a>(&'a self, path: &'a str, data: impl IntoData<'a>) -> Op<'a, SetData<'a>> {
        Op::new(self, SetData::new(path, data.into_data()))
    }

    /// Replaces the node's access control list and gives its new stat. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NoAuth`], [`Error::Acl`],
    /// [`Error::InvalidAcl`].
    pub fn set_acls<'a>(
        &'a self,
        path: &'a str,
        acls: impl Into<Cow<'a, [Acl]>>,
    ) -> Op<'a, SetAcls<'a>> {
        Op::new(self, SetAcls::new(path, acls.into()))
    }

    /// Deletes the node. See [`Op::version`].
    ///
    /// # Errors
    /// [`Error::NoNode`], [`Error::BadVersion`], [`Error::NotEmpty`], [`Error::NoAuth`].
    pub fn delete<'a>(&'a self, path: &'a str) -> Op<'a, Delete<'a>> {
        Op::new(self, Delete::new(path))
    }

    /// Lets the connected server catch up with its leader, and gives the path. Works for paths
    /// that do not exist.
    pub fn sync<'a>(&'a self, path: &'a str) -> Op<'a, Sync<'a>> {
        Op::new(self, Sync::new(path))
    }
}

/// Several at once, and again and again.
impl Client {
    /// Writes that happen all or not at all.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Makes a call until it succeeds, as far as that is safe (kazoo: `KazooRetry`). Attempts are
    /// repeated that failed for what may pass: a lost connection, an overloaded or read-only
    /// server, an attempt's own [`timeout`](Op::timeout). An expired session, too, but not for what
    /// depends on it. Where an answer was lost:
    ///
    /// | call | is |
    /// |---|---|
    /// | reads, `sync`, `ensure_path` | repeated |
    /// | `set`, `set_acls` without version | repeated |
    /// | `delete` without version | repeated; when the node is gone by then, that is success |
    /// | recursive `delete` | repeated |
    /// | [protected](Op::protected) `create`, transactions with one | looked up after a `sync`; repeated if it is not there |
    /// | ephemeral `create` | looked up after a `sync`: a new node of this session is its own |
    /// | other `create` | looked up after a `sync`; repeated if it is not there, else [`Error::Unknown`] |
    /// | sequential `create`, writes with a version, transactions | [`Error::Unknown`], unless [`resolve`](Op::resolve) is given |
    ///
    /// [`timeout`](Op::timeout) of `op` limits each attempt, that of the result limits all of them
    /// together: no attempt starts after it.
    ///
    /// # Errors
    /// [`Error::RetryFailed`] with the last error when the policy or the limit allows no more
    /// attempts; [`Error::Unknown`]; [`Error::SessionExpired`] for what depends on the session;
    /// any other error of the call at once.
    ///
    /// ```no_run
    /// # use zk_client::BackoffPolicy;
    /// # fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let policy = BackoffPolicy::new().max_tries(5);
    /// client.retry(&policy, client.set("/a", "b")).wait()?;
    /// # Ok(()) }
    /// ```
    pub fn retry<'a, K: Retryable>(
        &self,
        policy: &BackoffPolicy,
        op: Op<'a, K>,
    ) -> Op<'a, Retry<K>> {
        Op::retry(policy.clone(), op)
    }

    /// As [`retry`](Self::retry), with the client's own policy
    /// ([`Builder::command_retry`]; kazoo: `client.retry`).
    pub fn retry_default<'a, K: Retryable>(&self, op: Op<'a, K>) -> Op<'a, Retry<K>> {
        Op::retry(self.command_retry().clone(), op)
    }

    /// Calls `f` until it succeeds (kazoo: `client.retry(func)`): again after errors that
    /// [may pass](Error::is_retryable), [`Error::TryAgain`] among them, and after an expired
    /// session. What `f` does may then have been done more than once.
    ///
    /// # Errors
    /// [`Error::RetryFailed`] with the last error when the policy allows no more attempts; any
    /// other error of `f` at once; [`Error::Timeout`] at the limit of the call, if it has one.
    ///
    /// ```no_run
    /// # use zk_client::BackoffPolicy;
    /// # async fn f(client: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let policy = BackoffPolicy::new().max_tries(5);
    /// let sum = client.retry_with(&policy, |client| async move {
    ///     let (a, _) = client.get("/a").await?;
    ///     let (b, _) = client.get("/b").await?;
    ///     Ok(a.len() + b.len())
    /// });
    /// println!("{}", sum.await?);
    /// # Ok(()) }
    /// ```
    pub fn retry_with<F, R, T>(&self, policy: &BackoffPolicy, f: F) -> Op<'_, RetryWith<F>>
    where
        F: FnMut(Self) -> R + Send + 'static,
        R: Future<Output = Result<T, Error>> + Send + 'static,
        T: Send + 'static,
    {
        Op::retry_with(self, policy.clone(), f)
    }

    /// Goes through the node and all nodes below it, parents before their children, listing many
    /// at a time.
    pub fn walk(&self, path: &str) -> Walk {
        Walk::new(self, path)
    }
}

/// Watching.
impl Client {
    /// Sets a persistent watch. See [`Op::recursive`]. Needs 3.6.
    pub fn add_watch<'a>(&'a self, path: &'a str) -> Op<'a, AddWatch<'a>> {
        Op::new(self, AddWatch::new(path))
    }

    /// Asks the server whether this session has such a watch there. Watches are removed by
    /// dropping their handles.
    ///
    /// # Errors
    /// [`Error::NoWatcher`] if it has none.
    pub fn check_watches<'a>(
        &'a self,
        path: &'a str,
        kind: WatcherType,
    ) -> Op<'a, CheckWatches<'a>> {
        Op::new(self, CheckWatches::new(path, kind))
    }
}

/// Credentials and the ensemble.
impl Client {
    /// Presents a credential, such as `digest` with `user:password`, now and on every later
    /// connection. A refused one changes nothing and is not presented again.
    ///
    /// # Errors
    /// [`Error::AuthFailed`]
    pub fn add_auth<'a>(
        &'a self,
        scheme: &'a str,
        credential: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Op<'a, AddAuth<'a>> {
        Op::new(self, AddAuth::new(scheme, credential.as_ref()))
    }

    /// The identities that the server knows this session by. Needs 3.7.
    pub fn who_am_i(&self) -> Op<'_, WhoAmI> {
        Op::new(self, WhoAmI)
    }

    /// Changes the ensemble and gives its new configuration. See [`Op::joining`] and its
    /// neighbours. Needs 3.5.
    ///
    /// # Errors
    /// [`Error::NoAuth`], [`Error::ReconfigDisabled`], [`Error::ReconfigInProgress`],
    /// [`Error::NewConfigNoQuorum`], [`Error::BadVersion`], [`Error::BadArguments`].
    pub fn reconfig(&self) -> Op<'_, Reconfig<'_>> {
        Op::new(self, Reconfig::new())
    }

    /// Changes the servers to connect to. The session stays; the connection moves if its server is
    /// no longer on the list, or to spread clients over new ones.
    ///
    /// # Errors
    /// [`Error::Hosts`]; [`Error::ChrootChanged`] if `hosts` has another root path than the client
    /// was made with. It may be left out.
    pub fn set_hosts(&self, hosts: &str) -> Result<(), Error> {
        let (servers, chroot) = parse_hosts(hosts)?;
        if !chroot.is_root() && chroot != self.shared.chroot {
            return Err(Error::ChrootChanged);
        }
        let now = self.now();
        self.core().enter(|inner| {
            inner.session.set_servers(now, &servers);
            inner.loop_has_work();
        });
        *self
            .shared
            .servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(servers);
        Ok(())
    }
}

/// Questions of operators.
impl Client {
    /// Sends a four-letter word such as `ruok` to the connected server, on a connection of its
    /// own, and gives the whole answer. [`timeout`](Op::timeout) limits it; default 10 s.
    ///
    /// # Errors
    /// [`Error::ConnectionLoss`] while not connected; [`Error::NotWhitelisted`];
    /// [`Error::NotAWord`]; [`Error::Command`].
    pub fn command(&self, word: impl AsRef<[u8]>) -> Op<'_, Command> {
        Op::new(self, Command::new(word.as_ref()))
    }

    /// The version of the connected server: what it says to `srvr`, or else to `envi` (kazoo asks
    /// only `envi`, which servers since 3.5.3 do not answer by default).
    ///
    /// # Errors
    /// [`Error::NoVersion`] if no version is in four answers, or those of
    /// [`command`](Self::command).
    pub fn server_version(&self) -> Op<'_, GetServerVersion> {
        Op::new(self, GetServerVersion::default())
    }
}

/// The session's state.
impl Client {
    /// Whether the session can be used (kazoo: `state`). It shows everything that came before any
    /// result or event seen so far.
    pub fn state(&self) -> State {
        self.core().look(Session::state)
    }

    /// Is there a usable connection (kazoo: `connected`)?
    pub fn connected(&self) -> bool {
        self.state().is_connected()
    }

    /// Resolves when there is a usable connection, at once if there is one.
    ///
    /// # Errors
    /// What ended the client: [`Error::AuthFailed`], [`Error::RetriesExhausted`],
    /// [`Error::Closed`].
    pub fn until_connected(&self) -> AsyncResult<()> {
        self.core().result(Arc::new(Slot::new(())), |inner, slot| {
            inner.until_connected(slot);
            Ticket::NONE
        })
    }

    /// Calls `f` at every change of the session's state until it is removed: in order with the
    /// client's other callbacks, off the I/O loop. It may use the client.
    pub fn add_listener(
        &self,
        f: impl FnMut(StateChange) -> Listen + Send + 'static,
    ) -> ListenerId {
        self.core().enter(|inner| inner.listeners.add(Box::new(f)))
    }

    /// Removes a listener. Removing an absent one is fine.
    pub fn remove_listener(&self, id: ListenerId) {
        drop(self.core().enter(|inner| inner.listeners.remove(id)));
    }

    /// Every change of the session's state from now on. Ends when the client is closed. If nobody
    /// reads, the newest 1,024 are kept.
    pub fn state_changes(&self) -> StateStream {
        let buffer = self.core().enter(|inner| inner.add_state_stream());
        EventStream::new(buffer, self.core().origin(), Ticket::NONE)
    }

    /// Before this moment of [`now`](Self::now) the servers cannot have dropped the session.
    /// `None` without a session.
    pub fn deadline(&self) -> Option<Instant> {
        self.core().look(Session::deadline)
    }

    /// The session's id and password, for resuming it; `None` without a session.
    pub fn client_id(&self) -> Option<(SessionId, Password)> {
        self.core().look(Session::credentials)
    }

    /// The session timeout that the servers have set; `None` without a session.
    pub fn negotiated_timeout(&self) -> Option<Duration> {
        self.core().look(Session::negotiated_timeout)
    }

    /// The newest transaction that this session has seen the result of.
    pub fn last_zxid(&self) -> Zxid {
        self.core().look(Session::last_zxid)
    }

    /// The server that the session is connected to.
    pub fn server(&self) -> Option<ServerAddr> {
        self.core().look(|session| session.server().cloned())
    }

    /// The servers, in the order in which they are tried.
    pub fn servers(&self) -> Vec<ServerAddr> {
        self.core().look(Session::servers)
    }

    /// Why the last attempt or connection failed, and where.
    pub fn last_error(&self) -> Option<(ServerAddr, LinkError)> {
        self.core().look(|session| {
            session
                .last_error()
                .map(|(at, why)| (at.clone(), why.clone()))
        })
    }

    /// What the client has done, and what waits in it.
    pub fn stats(&self) -> Stats {
        let callbacks_queued = self.core().callbacks_queued();
        self.core().enter(|inner| Stats {
            session: inner.session.stats(),
            callbacks_queued,
            waiting_for_room: inner.room.len(),
            stream_overflows: inner.overflows(),
        })
    }

    /// While any of these is held, the session is kept alive by a `sync` every quarter of its
    /// timeout instead of by pings, so that its [`deadline`](Self::deadline) stays in the future.
    /// For what relies on the session, such as a held lock.
    pub fn keep_alive_by_sync(&self) -> SyncKeepAlive {
        let now = self.now();
        self.core().enter(|inner| inner.hold_sync(now));
        SyncKeepAlive(Arc::clone(self.core()))
    }
}

/// See [`Client::keep_alive_by_sync`].
#[derive(Debug)]
#[must_use = "dropping it goes back to pings"]
pub struct SyncKeepAlive(Arc<Core>);

impl Drop for SyncKeepAlive {
    fn drop(&mut self) {
        let now = self.0.handler().now();
        self.0.enter(|inner| inner.release_sync(now));
    }
}

/// How it begins again and ends.
impl Client {
    /// Closes the session: what was submitted before is sent first, then the servers delete its
    /// ephemeral nodes. Nothing can be submitted any more. Closing a closed client is fine.
    ///
    /// [`timeout`](Op::timeout) is the limit of the whole; default the greater of 10 s and the
    /// session timeout, or [`Builder::close_timeout`].
    ///
    /// # Errors
    /// [`Error::CloseUnconfirmed`] if no server has confirmed it within the limit; the client is
    /// closed all the same.
    pub fn close(&self) -> Op<'_, Close> {
        Op::new(self, Close::session()).until(None)
    }

    /// Ends the client but not its session, which lives on until its timeout: another client can
    /// [resume](Builder::resume) it. Take [`client_id`](Self::client_id) before.
    ///
    /// What was submitted before is sent first. [`timeout`](Op::timeout) is the limit of that;
    /// default as for [`close`](Self::close).
    pub fn detach(&self) -> Op<'_, Close> {
        Op::new(self, Close::connection()).until(None)
    }

    /// Closes the session and begins with a new one. Listeners stay; credentials added
    /// successfully are presented again.
    ///
    /// # Errors
    /// [`Error::Start`] if the handler cannot drive it again.
    pub fn restart(&self) -> Op<'_, Restart> {
        Op::new(self, Restart).until(None)
    }

    /// Drops the connection and keeps the session, as a failing network would.
    pub fn reconnect(&self) {
        let now = self.now();
        self.core().enter(|inner| {
            inner.session.reconnect(now);
            inner.loop_has_work();
        });
    }
}

/// For recipes and tools: time, chance and background work, all from the handler.
impl Client {
    /// Resolves after `time`; as [`Error::Closed`] when the client is closed before.
    pub fn sleep(&self, time: Duration) -> AsyncResult<()> {
        self.core().sleep(time)
    }

    /// The time on the handler's clock, which goes on while the machine is suspended.
    pub fn now(&self) -> Instant {
        self.core().handler().now()
    }

    /// The time of day on the handler's clock.
    pub fn wall_clock(&self) -> SystemTime {
        self.core().handler().wall_clock()
    }

    /// Host name and process id.
    pub fn identity(&self) -> &str {
        self.core().handler().identity()
    }

    /// A fresh name that nobody else has: 32 hexadecimal digits (kazoo: `uuid4().hex`).
    pub fn unique_id(&self) -> String {
        let mut bytes = [0; 16];
        self.core().enter(|inner| inner.session.random(&mut bytes));
        format!("{:032x}", u128::from_be_bytes(bytes))
    }

    /// Runs a future in the background, to its end.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.core().handler().spawn(Task::new(future));
    }

    /// Runs a future in the background. Dropping the result drops the future.
    pub fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> AsyncResult<T> {
        let (completer, result) = AsyncResult::pair();
        self.spawn(complete(completer, Box::pin(future)));
        result.with_origin(self.core().origin())
    }

    /// Runs a future on this thread, which sleeps while there is nothing to do.
    ///
    /// # Errors
    /// [`Error::WouldDeadlock`] where waiting would never end.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        self.core().may_park()?;
        Ok(block_on(future))
    }

    /// The policy for retrying calls: [`Builder::command_retry`].
    pub fn command_retry(&self) -> &BackoffPolicy {
        self.shared.options.command_retry()
    }

    /// What drives this client.
    pub fn handler(&self) -> &Arc<dyn Handler> {
        self.core().handler()
    }
}

impl Client {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    pub(crate) fn chroot_ref(&self) -> &Chroot {
        &self.chroot
    }

    /// A view without a root path.
    pub(crate) fn absolute(&self) -> Self {
        Self {
            chroot: Chroot::ROOT,
            ..self.clone()
        }
    }

    /// A view with this root path.
    pub(crate) fn below(&self, chroot: &Chroot) -> Self {
        Self {
            chroot: chroot.clone(),
            ..self.clone()
        }
    }

    /// The seed of a generator for one procedure.
    pub(crate) fn random_seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.core().enter(|inner| inner.session.random(&mut seed));
        seed
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.shared.credentials)
    }

    pub(crate) fn default_timeout(&self) -> Option<Duration> {
        self.shared.options.request_timeout()
    }

    pub(crate) fn close_limit(&self) -> Duration {
        self.shared.options.close_limit()
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.shared.options.when_full()
    }

    /// Starts over with a new session. The driver has gone.
    pub(crate) fn renew(&self) -> Result<(), Error> {
        let Shared {
            core,
            options,
            credentials,
            servers,
            ..
        } = &*self.shared;
        let servers = servers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let config = options.renewed_config(credentials.all())?;
        core.renew(config, servers.as_deref());
        let handler = core.handler();
        handler.drive(Arc::clone(core)).map_err(|error| {
            core.abandon(handler.now());
            error.into()
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("core", &self.shared.core)
            .field("root_path", &self.root_path())
            .finish_non_exhaustive()
    }
}

/// Drives a future until it is done, or nobody wants its result any more.
async fn complete<T: Send + 'static>(
    mut completer: Completer<T>,
    mut future: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
) {
    let result = poll_fn(|cx| {
        if completer.poll_cancelled(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    });
    if let Some(result) = result.await {
        completer.complete(result);
    }
}
