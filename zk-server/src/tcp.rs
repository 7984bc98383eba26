//! The server on a TCP port: one thread, one event loop. Needs the feature `tcp`.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use mio::{Poll, Waker, net::TcpListener};
use zk_proto::{OpCode, SessionId};

use crate::{ConnId, Fault, Matcher, Options, Standalone};

mod event_loop;
mod security;
mod setup;

use event_loop::{Command, EventLoop};
pub use setup::SetupError;

/// A ZooKeeper in the process of whoever started it, on a port of its own. Everything is in memory.
/// Dropping it stops it.
///
/// ```
/// let server = zk_server::Server::builder().quiet().start()?;
/// println!("connect to {}", server.hosts());
/// # Ok::<(), zk_server::StartError>(())
/// ```
pub struct Server {
    addr: SocketAddr,
    secure_addr: Option<SocketAddr>,
    commands: mpsc::Sender<Command>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

/// How a [`Server`] starts.
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    options: Options,
    addr: SocketAddr,
    quiet: bool,
    seed: Option<[u8; 32]>,
    nodes: Vec<(String, Vec<u8>)>,
    gate: Option<security::Gate>,
    secure_port: u16,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system has no event queue or no thread to spare.
    #[error("the event loop cannot start")]
    Loop(#[source] io::Error),
    /// A node that the server should begin with cannot be created.
    #[error("the node {path} cannot be created")]
    Node {
        /// The node.
        path: String,
        /// Why.
        source: SetupError,
    },
}

impl Server {
    /// Starts a server with the default options on a port of 127.0.0.1 that the system picks.
    ///
    /// # Errors
    /// [`StartError::Listen`], [`StartError::Loop`].
    pub fn start() -> Result<Self, StartError> {
        Self::builder().start()
    }

    /// Starts with the defaults.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            options: Options::new(),
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            quiet: false,
            seed: None,
            nodes: Vec::new(),
            gate: None,
            secure_port: 0,
        }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// What clients connect to: `address:port`.
    pub fn hosts(&self) -> String {
        self.addr.to_string()
    }

    /// Where it listens for clients with TLS, if it does.
    #[cfg(feature = "tls")]
    pub fn secure_addr(&self) -> Option<SocketAddr> {
        self.secure_addr
    }

    /// What clients with TLS connect to, if they can: `address:port`.
    #[cfg(feature = "tls")]
    pub fn secure_hosts(&self) -> Option<String> {
        self.secure_addr.map(|addr| addr.to_string())
    }

    /// Lets something go wrong with the next request that matches.
    pub fn inject(&self, matcher: Matcher, fault: Fault) {
        self.call(move |server, _| server.inject(matcher, fault));
    }

    /// Takes back every fault that has not happened, refusals included. What is held stays so.
    pub fn clear_faults(&self) {
        self.call(|server, _| server.clear_faults());
    }

    /// The number of faults that have not happened.
    pub fn pending_faults(&self) -> usize {
        self.call(|server, _| server.pending_faults()).unwrap_or(0)
    }

    /// Cuts the connection that the client of a session has. What waits to be sent is lost.
    pub fn cut_session(&self, session: SessionId) {
        self.call(move |server, now| server.cut_session(now, session));
    }

    /// Cuts all connections.
    pub fn cut_all(&self) {
        self.call(|server, now| server.cut_all(now));
    }

    /// Cuts a connection before its next request of this kind is executed.
    pub fn cut_before(&self, opcode: OpCode) {
        self.inject(Matcher::any().opcode(opcode), Fault::CutBefore);
    }

    /// Cuts a connection after its next request of this kind was executed, instead of the reply.
    pub fn cut_after(&self, opcode: OpCode) {
        self.inject(Matcher::any().opcode(opcode), Fault::CutAfter);
    }

    /// Sends nothing to the client of a session until [`release`](Self::release).
    pub fn hold(&self, session: SessionId) {
        self.call(move |server, _| {
            if let Some(conn) = server.member().connection_of(session) {
                server.hold(conn);
            }
        });
    }

    /// Sends what was held back on all connections.
    pub fn release(&self) {
        self.call(|server, now| server.release(now));
    }

    /// Ends a session as if it had not been heard of for too long.
    pub fn expire(&self, session: SessionId) {
        self.call(move |server, now| server.expire(now, session));
    }

    /// Whether a session is alive.
    pub fn is_alive(&self, session: SessionId) -> bool {
        self.call(move |server, _| server.is_alive(session))
            .unwrap_or(false)
    }

    /// The sessions that there are.
    pub fn sessions(&self) -> Vec<SessionId> {
        self.call(|server, _| server.member().sessions().keys().copied().collect())
            .unwrap_or_default()
    }

    /// Closes connections that want to open a session, until
    /// [`accept_connects`](Self::accept_connects).
    pub fn refuse_connects(&self) {
        self.call(|server, _| server.refuse_connects());
    }

    /// Ends [`refuse_connects`](Self::refuse_connects).
    pub fn accept_connects(&self) {
        self.call(|server, _| server.accept_connects());
    }

    /// The next reply to a connect request has this session in place of the right one.
    pub fn substitute_session(&self, session: SessionId) {
        self.call(move |server, _| server.substitute_session(session));
    }

    /// Drops all clients and serves reads only; see [`Standalone::become_read_only`].
    pub fn become_read_only(&self) {
        self.call(|server, now| server.become_read_only(now));
    }

    /// Ends [`become_read_only`](Self::become_read_only).
    pub fn become_writable(&self) {
        self.call(|server, now| server.become_writable(now));
    }

    /// The data of a node: `None` if there is no such node, `Some(None)` if its data is null.
    pub fn data(&self, path: &str) -> Option<Option<Vec<u8>>> {
        let path = path.to_owned();
        self.call(move |server, _| {
            let data = server.tree().node(&path)?.data();
            Some(data.map(<[u8]>::to_vec))
        })
        .flatten()
    }

    /// The number of connections.
    pub fn connections(&self) -> usize {
        self.call(|server, _| server.member().connections())
            .unwrap_or(0)
    }

    /// Does something with the server on its thread, between two events. `None` if the thread has
    /// died.
    pub fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Standalone, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        let work = move |server: &mut Standalone, now| {
            // Nobody waits any more if the caller's thread has died.
            let _ = answer.send(work(server, now));
        };
        self.commands.send(Command::Call(Box::new(work))).ok()?;
        self.waker.wake().ok()?;
        answered.recv().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopping = self.commands.send(Command::Stop).is_ok() && self.waker.wake().is_ok();
        if let Some(thread) = self.thread.take()
            && (stopping || thread.is_finished())
        {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr)
            .field("secure_addr", &self.secure_addr)
            .finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// All options at once.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The options with some of them changed.
    ///
    /// ```
    /// # use zk_server::{Release, Server};
    /// let builder = Server::builder().with(|options| options.release(Release::V3_8));
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(Options) -> Options) -> Self {
        self.options = change(self.options);
        self
    }

    /// Listens on this port of 127.0.0.1. Default: one that the system picks.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.addr.set_port(port);
        self
    }

    /// Listens here.
    #[must_use]
    pub fn addr(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// The unit of session timeouts. Default 2 s.
    #[must_use]
    pub fn tick(self, tick: Duration) -> Self {
        self.with(|options| options.tick(tick))
    }

    /// Begins with this node, open to everybody. Parents come first.
    #[must_use]
    pub fn node(mut self, path: impl Into<String>, data: impl Into<Vec<u8>>) -> Self {
        self.nodes.push((path.into(), data.into()));
        self
    }

    /// What passwords of sessions are made from. Default: a number that the system picks.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Listens for clients with TLS on a second port, which
    /// [`secure_hosts`](Server::secure_hosts) tells. Needs the feature `tls`.
    ///
    /// A client that shows a certificate has the identity `x509:` and its subject, such as
    /// `CN=client,OU=zk,O=Example Org,C=DE`.
    ///
    /// ```no_run
    /// use zk_server::{Acceptor, Server};
    ///
    /// let tls = Acceptor::from_files("server.pem", "server.key").build()?;
    /// let server = Server::builder().tls(tls).start()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, acceptor: zk_tls::server::Acceptor) -> Self {
        self.gate = Some(acceptor);
        self
    }

    /// The port for clients with TLS. Default: one that the system picks.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn secure_port(mut self, port: u16) -> Self {
        self.secure_port = port;
        self
    }

    /// Does not say on the standard error that everything is in memory.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Every variant of [`StartError`].
    #[expect(
        clippy::disallowed_methods,
        reason = "here the server meets clock and threads"
    )]
    pub fn start(mut self) -> Result<Server, StartError> {
        let (mut listener, addr) = listen(self.addr)?;
        let (mut secure, secure_addr) = match self.gate {
            None => (None, None),
            Some(gate) => {
                let (listener, addr) = listen(SocketAddr::new(self.addr.ip(), self.secure_port))?;
                self.options.settings.x509 = true;
                (Some((listener, gate)), Some(addr))
            }
        };
        let now = Instant::now();
        let seed = self.seed.unwrap_or_else(setup::random_seed);
        let mut server = Standalone::new(Arc::new(self.options), seed, now, SystemTime::now());
        setup::create_nodes(&mut server, now, self.nodes)?;
        let poll = Poll::new().map_err(StartError::Loop)?;
        let (commands, inbox) = mpsc::channel();
        let second = secure.as_mut().map(|(listener, _)| listener);
        let waker = EventLoop::register(&poll, &mut listener, second).map_err(StartError::Loop)?;
        let event_loop = EventLoop::new(poll, listener, secure, server, inbox);
        let thread = std::thread::Builder::new()
            .name("zk-server".to_owned())
            .spawn(move || event_loop.run())
            .map_err(StartError::Loop)?;
        if !self.quiet {
            setup::warn(addr);
        }
        Ok(Server {
            addr,
            secure_addr,
            commands,
            waker: Arc::new(waker),
            thread: Some(thread),
        })
    }
}

fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listener = TcpListener::bind(addr);
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    match bound {
        Ok((addr, listener)) => Ok((listener, addr)),
        Err(source) => Err(StartError::Listen { addr, source }),
    }
}

/// The connections of an event loop are numbered from here on; smaller tokens are its own.
const FIRST_CONN: ConnId = ConnId(16);
