//! What every test starts from: a running server, a root path of its own, and clients that are
//! looked at for leaks when the test is over.

mod bridge;
pub(crate) mod log;
mod place;
mod proxy;
mod relay;
mod strangers;
pub(crate) mod under;
mod universe;
mod words;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use zk::{
    Builder, Client, Error, EventStream, EventType, Handler, Notice, SessionId, StateChange, Stats,
    WatchedEvent,
};
use zk_testkit::eventually;

pub(crate) use place::{Place, Server};
pub(crate) use proxy::{Direction, Proxy};
pub(crate) use strangers::Stranger;

/// How long something may take that has to happen. Reached only by a test that fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// How tests get a fresh handler of the kind under test.
pub(crate) type MakeHandler = fn(&Server) -> Arc<dyn Handler>;

/// A place to run at, and the handler under test.
pub(crate) struct Env {
    place: Place,
    server: Server,
    release: String,
    make_handler: MakeHandler,
    handler: Arc<dyn Handler>,
    /// The root path of this test's clients.
    root: String,
    /// A client without a root path: somebody else, for the clients under test.
    other: Client,
    sasl_address: OnceLock<SocketAddr>,
    clients: Mutex<Vec<Client>>,
    proxies: Mutex<Vec<Arc<Proxy>>>,
}

/// Runs one test, then looks at what it has left behind.
pub(crate) fn run(place: Place, name: &str, make_handler: MakeHandler, test: fn(&Env)) {
    log::start();
    let env = Env::new(place, name, make_handler);
    test(&env);
    env.finish();
}

impl Env {
    fn new(place: Place, name: &str, make_handler: MakeHandler) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = place.server(name);
        let release = server.release();
        let handler = make_handler(&server);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = format!("/{}-{number}", name.replace("::", "-"));
        let other = Client::builder(server.address().to_string())
            .session_timeout(Duration::from_secs(20))
            .connect(Arc::clone(&handler))
            .limit(LIMIT)
            .wait()
            .unwrap();
        other.create(&root, b"").wait().unwrap();
        Self {
            place,
            server,
            release,
            make_handler,
            handler,
            root,
            other,
            sasl_address: OnceLock::new(),
            clients: Mutex::default(),
            proxies: Mutex::default(),
        }
    }

    /// Is the server of version 3.9 or newer?
    pub(crate) fn is_3_9(&self) -> bool {
        self.place.is_3_9()
    }

    /// The server's exact release, such as `3.9.3`.
    pub(crate) fn release(&self) -> &str {
        &self.release
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address by which the server knows a client's machine.
    pub(crate) fn ip_of(&self, client: &Client) -> IpAddr {
        match self.place {
            Place::Real(_) | Place::Embedded(_) | Place::Secured(_) => {
                IpAddr::V4(Ipv4Addr::LOCALHOST)
            }
            Place::Simulated(_) => words::peer_of(&self.word("cons"), session_of(client)).unwrap(),
        }
    }

    /// The root path of this test's clients.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The server's own path of a client's path.
    pub(crate) fn full(&self, path: &str) -> String {
        if path == "/" {
            self.root.clone()
        } else {
            format!("{}{path}", self.root)
        }
    }

    /// What clients are given to connect, root path included.
    pub(crate) fn hosts(&self) -> String {
        self.hosts_at(self.server.client_address())
    }

    /// The same for another way to the server.
    pub(crate) fn hosts_at(&self, address: SocketAddr) -> String {
        format!("{address}{}", self.root)
    }

    /// The handler that the test's clients share.
    pub(crate) fn handler(&self) -> Arc<dyn Handler> {
        Arc::clone(&self.handler)
    }

    /// A handler of the same kind that nobody else uses.
    pub(crate) fn new_handler(&self) -> Arc<dyn Handler> {
        (self.make_handler)(&self.server)
    }

    /// A client without a root path that the tested clients know nothing of.
    pub(crate) fn other(&self) -> &Client {
        &self.other
    }

    /// The options of a client with this test's root path.
    pub(crate) fn builder(&self) -> Builder {
        self.layered(Client::builder(self.hosts()))
    }

    fn layered(&self, mut builder: Builder) -> Builder {
        if let Some(tls) = self.server.tls() {
            builder.tls(tls.clone());
        }
        builder
    }

    /// The same, through a proxy, with so long a session timeout that nothing goes over the wire
    /// but what the test sends.
    pub(crate) fn builder_through(&self, proxy: &Proxy) -> Builder {
        let mut builder = self.layered(Client::builder(self.hosts_at(proxy.address())));
        builder.session_timeout(Duration::from_secs(40));
        builder
    }

    /// A connected client with this test's root path.
    pub(crate) fn client(&self) -> Client {
        self.connect(&self.builder())
    }

    /// A connected client with these options.
    pub(crate) fn connect(&self, builder: &Builder) -> Client {
        let connect = builder.connect(self.handler()).limit(LIMIT);
        let client = self.track(connect.wait().unwrap());
        // Connecting looks whether the root path exists; that is over when this is answered.
        client.sync("/").wait().unwrap();
        client
    }

    /// A client with these options that connects in the background.
    pub(crate) fn start(&self, builder: &Builder) -> Client {
        self.track(builder.start(self.handler()).unwrap())
    }

    /// Looks at the client for leaks when the test is over. A clone of it lives until then.
    pub(crate) fn track(&self, client: Client) -> Client {
        self.clients.lock().unwrap().push(client.clone());
        client
    }

    /// Another way to the server, which a test can hold up. It is there, and open again, when the
    /// test's clients are closed.
    pub(crate) fn proxy(&self) -> Arc<Proxy> {
        let proxy = Arc::new(self.server.proxy());
        self.proxies.lock().unwrap().push(Arc::clone(&proxy));
        proxy
    }

    /// An address where something else than a ZooKeeper server listens.
    pub(crate) fn stranger(&self, kind: Stranger) -> SocketAddr {
        self.server.stranger(kind)
    }

    /// A port of the server's host where nobody listens.
    pub(crate) fn nobody(&self) -> SocketAddr {
        self.server.nobody()
    }

    /// The server's answer to a four-letter word, asked on a plain socket.
    pub(crate) fn word(&self, word: &str) -> String {
        self.server.word(word)
    }

    /// The paths that the server watches for a session, the test's root path taken off.
    pub(crate) fn watched_paths(&self, session: SessionId) -> BTreeSet<String> {
        let paths = words::watches_of(&self.word("wchc"), session);
        let paths = paths.iter().map(|path| self.strip(path));
        paths.collect()
    }

    /// The sessions that the server knows to watch a path below the test's root path.
    pub(crate) fn watchers(&self, path: &str) -> BTreeSet<SessionId> {
        words::watchers_of(&self.word("wchp"), &self.full(path))
    }

    /// Waits until the server watches just these paths for a session.
    pub(crate) fn wait_for_watched_paths(&self, session: SessionId, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|path| (*path).to_owned()).collect();
        let mut seen = BTreeSet::new();
        let found = eventually(LIMIT, || {
            seen = self.watched_paths(session);
            (seen == expected).then_some(())
        });
        assert!(
            found.is_some(),
            "the server watches {seen:?}, not {expected:?}"
        );
    }

    /// Where a server of the same kind listens that takes nobody who has not signed in by SASL.
    pub(crate) fn sasl_address(&self) -> SocketAddr {
        *self
            .sasl_address
            .get_or_init(|| self.place.sasl_server(&self.server))
    }

    /// Does the server still hold the session?
    pub(crate) fn session_lives(&self, session: SessionId) -> bool {
        words::sessions(&self.word("dump")).contains(&session)
    }

    fn strip(&self, path: &str) -> String {
        match path.strip_prefix(&self.root) {
            Some("") => "/".to_owned(),
            Some(below) => below.to_owned(),
            None => path.to_owned(),
        }
    }

    /// Nothing may be left in any client, neither while it is open nor after it was closed, and
    /// nothing at the server.
    fn finish(self) {
        for proxy in &*self.proxies.lock().unwrap() {
            proxy.refuse(false).unwrap();
            proxy.resume();
        }
        let clients = std::mem::take(&mut *self.clients.lock().unwrap());
        for client in &clients {
            assert_nothing_left(client);
            if let (true, Some((id, _))) = (client.connected(), client.client_id()) {
                self.wait_for_watched_paths(id, &[]);
            }
        }
        for client in &clients {
            let session = client.client_id().map(|(id, _)| id);
            let closed = client.close().wait();
            if let Some(session) = session {
                closed.unwrap();
                assert!(!self.session_lives(session));
            }
            assert_nothing_left(client);
            assert_eq!(client.stats().session.events, 0);
        }
        drop(clients);
        remove(&self.other, &self.root);
        assert_nothing_left(&self.other);
        self.other.close().wait().unwrap();
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "failed on {} {} at {}, handler {:?}, root path {}",
                self.place,
                self.release(),
                self.address(),
                self.handler.name(),
                self.root,
            );
        }
    }
}

/// Deletes a node and all below it.
fn remove(client: &Client, path: &str) {
    // Tests make nodes that nobody else may touch.
    client.add_auth("digest", "super:superpw").wait().unwrap();
    client.delete(path).recursive().wait().unwrap();
}

/// Waits until a client holds nothing: what was dropped may still be under way.
#[track_caller]
pub(crate) fn assert_nothing_left(client: &Client) {
    let holds_nothing = |stats: &Stats| {
        let s = &stats.session;
        let held = [
            s.in_flight,
            s.queued,
            s.pending_bytes,
            s.watches,
            s.watched_paths,
            s.timers,
            s.deadlines,
            stats.callbacks_queued,
            stats.waiting_for_room,
        ];
        held.iter().all(|count| *count == 0)
    };
    let clean = eventually(LIMIT, || holds_nothing(&client.stats()).then_some(()));
    assert!(clean.is_some(), "left behind: {:?}", client.stats());
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = eventually(LIMIT, || condition().then_some(()));
    assert!(met.is_some(), "waited in vain for {what}");
}

/// The id of a client's session.
#[track_caller]
pub(crate) fn session_of(client: &Client) -> SessionId {
    client.client_id().unwrap().0
}

/// Drops a client's connection and waits until its session is usable on another.
#[track_caller]
pub(crate) fn lose_connection(client: &Client) {
    zk::testing::lose_connection(client)
        .timeout(LIMIT)
        .wait()
        .unwrap();
}

/// Ends a client's session on the server, as its timeout would, and waits for the next one.
#[track_caller]
pub(crate) fn expire_session(client: &Client) {
    zk::testing::expire_session(client)
        .timeout(LIMIT)
        .wait()
        .unwrap();
}

/// Ends a client's session on the server. The client finds out by itself.
#[track_caller]
pub(crate) fn kill_session(env: &Env, client: &Client) {
    let (id, password) = client.client_id().unwrap();
    let twin = Client::builder(env.address().to_string())
        .resume(id, password)
        .connect(env.handler())
        .limit(LIMIT)
        .wait()
        .unwrap();
    assert_eq!(session_of(&twin), id);
    twin.close().wait().unwrap();
}

/// The next item of a stream that has to come.
#[track_caller]
pub(crate) fn next<T: Send>(stream: &mut EventStream<T>) -> T {
    stream
        .next_timeout(LIMIT)
        .expect("nothing came")
        .expect("the stream has ended")
}

/// The next item of a watch's stream, which has to be an event.
#[track_caller]
pub(crate) fn next_event(stream: &mut EventStream<Notice>) -> (EventType, String) {
    let notice = next(stream);
    let Notice::Event(event) = notice else {
        panic!("not an event: {notice:?}");
    };
    (event.kind, event.path)
}

/// Nothing is in a watch's stream, and nothing is on its way to it: what the server knew of when
/// it answered this `sync` has been delivered.
#[track_caller]
pub(crate) fn assert_silent(client: &Client, stream: &mut EventStream<Notice>) {
    client.sync("/").wait().unwrap();
    let notice = stream.try_next();
    assert!(notice.is_none(), "unexpected: {notice:?}");
}

/// Waits for a change to `Connected`.
#[track_caller]
pub(crate) fn wait_for_connected(changes: &mut EventStream<StateChange>) {
    while !next(changes).to.is_connected() {}
}

/// What an event is compared with.
#[track_caller]
pub(crate) fn parts(event: Result<WatchedEvent, Error>) -> (EventType, String) {
    let event = event.unwrap();
    (event.kind, event.path)
}

/// Collects what callbacks tell, in order.
pub(crate) struct Heard<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
}

impl<T> Heard<T> {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = mpsc::channel();
        Self { sender, receiver }
    }

    /// For a callback to tell by.
    pub(crate) fn teller(&self) -> Sender<T> {
        self.sender.clone()
    }

    /// The next that has to come.
    #[track_caller]
    pub(crate) fn next(&self) -> T {
        self.receiver.recv_timeout(LIMIT).expect("nobody called")
    }

    /// All that is there.
    pub(crate) fn so_far(&self) -> Vec<T> {
        self.receiver.try_iter().collect()
    }
}

/// Waits until all callbacks of a client that were due have run.
#[track_caller]
pub(crate) fn wait_for_callbacks(client: &Client) {
    let heard = Heard::new();
    let tell = heard.teller();
    client
        .run(async { Ok(()) })
        .on_complete(move |_| tell.send(()).unwrap());
    heard.next();
}

/// Panics if a wait took longer than a tenth of the limit allows: what hangs must not pass.
pub(crate) fn quick(start: Instant) {
    assert!(start.elapsed() < LIMIT, "took {:?}", start.elapsed());
}
