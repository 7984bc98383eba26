//! A session, the peers it connects to, and a clock that only the test moves.

mod asked;
pub(crate) mod expect;
mod rules;
pub(crate) mod serve;

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_proto::{Chroot, Password, Request, ServerAddr, SessionId};
use zk_session::{
    Action, Call, Cancelled, Config, ConfigBuilder, ConnId, Event, Refused, RequestId, SaslWork,
    Session, State, Submitted, WatchId,
};

pub(crate) use asked::{Asked, Peer};
use rules::Rules;

/// The session timeout that is asked for and, unless a test says otherwise, granted.
pub(crate) const T: Duration = Duration::from_secs(6);
/// The session that peers grant first. Later ones count up.
pub(crate) const SID: SessionId = SessionId(0x1000);
/// The default margin against drifting clocks.
pub(crate) const MARGIN: Duration = Duration::from_millis(300);

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn server(name: &str) -> ServerAddr {
    ServerAddr::new(name, 2181)
}

/// The password that goes with a session of the peers.
pub(crate) fn password(id: SessionId) -> Password {
    let mut bytes = [0xAB; 16];
    bytes[..8].copy_from_slice(&id.0.to_be_bytes());
    Password::from(bytes)
}

pub(crate) struct Rig {
    pub(crate) session: Session,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) peers: BTreeMap<ConnId, Peer>,
    /// Connections that the session has ended itself, and whether at once.
    pub(crate) ended: Vec<(ConnId, bool)>,
    pub(crate) sasl: VecDeque<(ConnId, SaslWork)>,
    pub(crate) events: VecDeque<Event>,
    /// The transaction that the servers are at.
    pub(crate) zxid: i64,
    pub(crate) last_session: SessionId,
    /// All bytes sent, in order.
    pub(crate) wire: Vec<u8>,
    rules: Rules,
    expectations: u32,
}

impl Rig {
    /// A session that looks for the servers a, b and c, in this order.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The same, with other options.
    pub(crate) fn with(options: impl FnOnce(&mut ConfigBuilder)) -> Self {
        Self::seeded([7; 32], options)
    }

    pub(crate) fn seeded(seed: [u8; 32], options: impl FnOnce(&mut ConfigBuilder)) -> Self {
        let mut builder = Config::builder(vec![server("a"), server("b"), server("c")]);
        builder.session_timeout(T).randomize_hosts(false);
        options(&mut builder);
        Self::of(builder.build().expect("a usable configuration"), seed)
    }

    pub(crate) fn of(config: Arc<Config>, seed: [u8; 32]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "an anchor, whatever its value")]
        let start = Instant::now();
        let mut rig = Self {
            session: Session::new(config, seed, start),
            start,
            now: start,
            peers: BTreeMap::new(),
            ended: Vec::new(),
            sasl: VecDeque::new(),
            events: VecDeque::new(),
            zxid: 0x100,
            last_session: SessionId(SID.0 - 1),
            wire: Vec::new(),
            rules: Rules::default(),
            expectations: 0,
        };
        rig.drain();
        rig
    }

    /// Has a session on the first server; nothing of that is left to look at.
    pub(crate) fn to_connected() -> Self {
        Self::new().connected_now()
    }

    /// Had a session, whose connection has just been lost.
    pub(crate) fn to_suspended() -> Self {
        let mut rig = Self::to_connected();
        rig.cut();
        rig.suspended();
        rig
    }

    /// Had a session, which has just expired; the next attempt is under way.
    pub(crate) fn to_lost() -> Self {
        let mut rig = Self::to_suspended();
        let conn = rig.attempt();
        rig.up(conn);
        rig.expire(conn);
        rig.lost();
        rig
    }

    pub(crate) fn connected_now(mut self) -> Self {
        self.establish();
        self.connected();
        self
    }

    // Time.

    /// Moves the clock to `at` and says so to the session.
    pub(crate) fn advance_to(&mut self, at: Instant) {
        self.now = self.now.max(at);
        self.session.handle_timeout(self.now);
        self.drain();
    }

    /// Time passes; the session gets its timeouts when it asked for them; no server answers.
    pub(crate) fn pass(&mut self, d: Duration) {
        self.run_until(self.now + d, false);
    }

    /// Time passes; connected servers answer pings and `sync`s at once.
    pub(crate) fn idle(&mut self, d: Duration) {
        self.run_until(self.now + d, true);
    }

    fn run_until(&mut self, end: Instant, serving: bool) {
        let mut steps = 0;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= end) {
            self.advance_to(at);
            if serving {
                self.answer_keep_alives();
            }
            steps += 1;
            assert!(
                steps < 100_000,
                "the session spins at {:?}",
                self.since_start()
            );
        }
        self.now = end;
    }

    /// The clock jumps, as when the machine was asleep.
    pub(crate) fn jump(&mut self, d: Duration) {
        self.advance_to(self.now + d);
    }

    pub(crate) fn since_start(&self) -> Duration {
        self.now - self.start
    }

    // What the network does.

    /// The connection that is being made, waiting for the session to want one.
    pub(crate) fn attempt(&mut self) -> ConnId {
        for _ in 0..100 {
            let open = self.peers.iter().find(|(_, peer)| !peer.up);
            if let Some((conn, _)) = open {
                return *conn;
            }
            let at = self.session.poll_timeout();
            self.advance_to(at.expect("the session waits for something"));
        }
        panic!("the session does not connect");
    }

    pub(crate) fn up(&mut self, conn: ConnId) {
        self.peer(conn).up = true;
        self.session.handle_connected(self.now, conn);
        self.drain();
    }

    /// The connection, or the attempt at one, ends.
    pub(crate) fn gone(&mut self, conn: ConnId, why: ErrorKind) {
        self.peers.remove(&conn).expect("it is open");
        self.session.handle_disconnected(self.now, conn, why);
        self.drain();
    }

    /// The one connection is closed by the server.
    pub(crate) fn cut(&mut self) {
        let conn = self.conn();
        self.gone(conn, ErrorKind::UnexpectedEof);
    }

    /// Bytes arrive.
    pub(crate) fn push(&mut self, conn: ConnId, bytes: &[u8]) {
        self.session.handle_data(self.now, conn, bytes);
        self.drain();
    }

    /// The one connection that is up.
    pub(crate) fn conn(&self) -> ConnId {
        let mut up = self.peers.iter().filter(|(_, peer)| peer.up);
        let (conn, _) = up.next().expect("a connection is up");
        assert!(up.next().is_none(), "more than one connection is up");
        *conn
    }

    pub(crate) fn peer(&mut self, conn: ConnId) -> &mut Peer {
        self.peers.get_mut(&conn).expect("it is open")
    }

    // What the application does.

    pub(crate) fn submit(&mut self, request: &Request<'_>) -> RequestId {
        self.call(Call::new(request, &Chroot::ROOT)).id
    }

    /// Submits, while the socket takes nothing.
    pub(crate) fn queue(&mut self, request: &Request<'_>) -> RequestId {
        let submitted = self.try_call(Call::new(request, &Chroot::ROOT));
        submitted.expect("it is taken").id
    }

    /// Submits a request that sets a watch.
    pub(crate) fn watching(&mut self, request: &Request<'_>) -> (RequestId, WatchId) {
        let submitted = self.call(Call::new(request, &Chroot::ROOT));
        (submitted.id, submitted.watch.expect("it sets a watch"))
    }

    pub(crate) fn call(&mut self, call: Call<'_, '_>) -> Submitted {
        let submitted = self.try_call(call).expect("it is taken");
        self.drain();
        submitted
    }

    /// Submits without fetching bytes or events.
    pub(crate) fn try_call(&mut self, call: Call<'_, '_>) -> Result<Submitted, Refused> {
        let result = self.session.submit(self.now, call);
        if let Ok(submitted) = result {
            self.rules.submitted(submitted.id);
        }
        result
    }

    pub(crate) fn refused(&mut self, request: &Request<'_>) -> Refused {
        let refused = self.try_call(Call::new(request, &Chroot::ROOT));
        self.expectations += 1;
        refused.expect_err("it is refused")
    }

    pub(crate) fn cancel(&mut self, id: RequestId) -> Cancelled {
        let cancelled = self.session.cancel(self.now, id);
        if cancelled != Cancelled::Unknown {
            self.rules.cancelled(id);
        }
        self.drain();
        cancelled
    }

    pub(crate) fn unwatch(&mut self, id: WatchId) {
        self.session.unwatch(self.now, id);
        self.drain();
    }

    pub(crate) fn close(&mut self, limit: Duration) {
        self.session.close(self.now, limit);
        self.drain();
    }

    // What a driver does.

    /// Carries out what the session wants, and fetches all that it has to say.
    pub(crate) fn drain(&mut self) {
        loop {
            let mut idle = true;
            while let Some(action) = self.session.poll_action() {
                self.act(action);
                idle = false;
            }
            while let Some(event) = self.session.poll_event() {
                idle = !self.told(event);
            }
            let conns: Vec<ConnId> = self.peers.keys().copied().collect();
            for conn in conns {
                let mut out = Vec::new();
                while self.session.poll_transmit(self.now, conn, &mut out) > 0 {
                    idle = false;
                }
                self.wire.extend_from_slice(&out);
                self.peer(conn).receive(&out);
            }
            if idle {
                break;
            }
        }
        assert_eq!(
            self.rules.state(),
            self.session.state(),
            "every change is told"
        );
    }

    /// Takes note of an event.
    pub(crate) fn told(&mut self, event: Event) -> bool {
        self.rules.event(&event);
        self.events.push_back(event);
        true
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect {
                conn,
                server,
                attempt,
            } => {
                let before = self
                    .peers
                    .insert(conn, Peer::new(server, attempt, self.now));
                assert!(before.is_none(), "{conn} is used twice");
            }
            Action::Disconnect { conn, abort } => {
                self.peers.remove(&conn);
                self.ended.push((conn, abort));
            }
            Action::Sasl { conn, work } => self.sasl.push_back((conn, work)),
        }
    }

    /// Closes the session, whatever it is doing, and looks whether anything is left of it.
    fn finish(&mut self) {
        self.session.close(self.now, Duration::ZERO);
        self.advance_to(self.now);
        assert!(self.session.is_finished(), "{:?}", self.session);
        assert_eq!(self.session.state(), State::Lost);
        assert_eq!(
            self.session.poll_timeout(),
            None,
            "nothing is due in a closed session"
        );
        let stats = self.session.stats();
        let left = [
            ("requests in flight", stats.in_flight),
            ("requests queued", stats.queued),
            ("bytes that count", stats.pending_bytes),
            ("watchers", stats.watches),
            ("watched paths", stats.watched_paths),
            ("timers", stats.timers),
            ("deadlines", stats.deadlines),
            ("events", stats.events),
        ];
        let left: Vec<_> = left.iter().filter(|(_, count)| *count != 0).collect();
        assert!(left.is_empty(), "a closed session still holds {left:?}");
        assert!(
            self.peers.is_empty(),
            "connections are left: {:?}",
            self.peers
        );
        self.rules.finish();
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.finish();
        }
    }
}
