//! The session: its inputs, its outputs, and what it knows.

mod active;
mod closing;
mod complaints;
mod handshake;
mod lifecycle;
mod look;
mod parting;
mod probe;
mod restore;
mod spans;
mod stats;
mod submit;
mod timeout;
mod transmit;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_proto::{Lent, Password, ServerAddr, SessionId, Xid, Zxid};

use crate::backoff::Backoff;
use crate::link::{Link, Purpose, Stage};
use crate::liveness::Liveness;
use crate::queue::{Slot, Unsent};
use crate::rng::Rng;
use crate::servers::Servers;
use crate::timers::Timers;
use crate::watch::{Restore, Watches};
use crate::{
    Action, Config, ConnId, Event, KeepAlive, LinkError, Refused, RequestId, SaslError, State,
    TimerId, WatchId,
};

pub use stats::Stats;

/// A ZooKeeper session, without the I/O. See the [crate] for how to drive one.
///
/// * *What happened* is told by `handle_*`. These never fail: a mistake of the peer or the network
///   becomes an event. News of an old connection is ignored, `now` is clamped to the latest seen.
/// * *What is asked* is told by [`submit`](Self::submit) and the like. A mistake of the caller is an
///   error of that call.
/// * *What to do* is fetched by `poll_*`. Forgetting to fetch delays output, nothing else.
pub struct Session {
    config: Arc<Config>,
    rng: Rng,
    now: Instant,
    servers: Servers,
    backoff: Backoff,
    /// When the current series of failed attempts began.
    failing_since: Option<Instant>,
    state: State,
    identity: Option<Identity>,
    /// A session that was given up and is to be closed before another is made.
    stale: Option<Stale>,
    link: Option<Link>,
    retry_at: Option<Instant>,
    partings: parting::Partings,
    probe: probe::Probing,
    last_conn: u64,
    last_request: u64,
    /// The newest of the application's requests that was sent.
    last_sent: RequestId,
    /// The application's requests.
    unsent: Unsent,
    /// The session's own requests: they go first.
    control: Unsent,
    in_flight: VecDeque<Slot>,
    counted: usize,
    counted_bytes: usize,
    timers: Timers,
    watches: Watches,
    restore: Option<Restore>,
    /// Places in the table of watches, for each setWatches on the live connection.
    rearming: VecDeque<(u32, u64)>,
    /// Places of registrations to be removed, where those that last are put back afterwards.
    unwatching: VecDeque<Option<(u32, u64)>>,
    /// Paths whose registrations are to be looked at after the restore.
    unreconciled: Vec<u32>,
    /// A gap for persistent watchers that is open since the connection was lost.
    gap_from: Option<Zxid>,
    #[cfg(zk_planted)]
    planted_count: u64,
    #[cfg(zk_planted)]
    planted_copies: Vec<(RequestId, Vec<u8>)>,
    #[cfg(zk_planted)]
    planted_late: Vec<Event>,
    live: Liveness,
    keep_alive: KeepAlive,
    /// A ping or `sync` waits to be sent.
    keep_alive_queued: bool,
    sync_in_flight: bool,
    /// When the driver was last allowed to read again.
    reading_since: Option<Instant>,
    /// It has just been allowed to, at a time that is not known yet.
    reads_again: bool,
    ping_sent: Option<Instant>,
    /// The request in flight whose round trip is measured, and when it was sent.
    timed: Option<(Xid, Instant)>,
    credentials: Vec<Credential>,
    /// Credentials whose replies are awaited.
    offered: VecDeque<(RequestId, Credential)>,
    closing: Option<closing::Closing>,
    ended: Option<Ended>,
    actions: VecDeque<Action>,
    events: VecDeque<Event>,
    last_zxid: Zxid,
    /// The server did not know removeWatches.
    cannot_unwatch: bool,
    last_error: Option<(ServerAddr, LinkError)>,
    /// The operator knows that no server can be reached.
    outage_told: bool,
    /// And that servers do not take the watches.
    refusal_told: bool,
    complaints: complaints::Complaints,
    counters: stats::Counters,
    spans: spans::Spans,
}

/// The session as the servers know it.
#[derive(Clone, Debug)]
struct Identity {
    id: SessionId,
    password: Password,
    timeout: Duration,
    /// Was it ever on a server with a quorum? If not, no other server knows it.
    seen_writable: bool,
}

/// A session that was given up.
#[derive(Clone, Debug)]
struct Stale {
    identity: Identity,
    since: Instant,
    /// Servers that took it up and did not close it.
    refusals: u32,
}

#[derive(Clone)]
struct Credential {
    scheme: String,
    data: Vec<u8>,
}

/// Why nothing will happen any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Closed,
    AuthFailed,
}

impl Ended {
    fn refused(self) -> Refused {
        match self {
            Self::Closed => Refused::Closed,
            Self::AuthFailed => Refused::AuthFailed,
        }
    }
}

impl Session {
    /// A session that begins to connect. Everything random in it comes from `seed`.
    pub fn new(config: Arc<Config>, seed: [u8; 32], now: Instant) -> Self {
        let mut rng = Rng::new(seed);
        let servers = Servers::new(&config.servers, config.randomize_hosts, &mut rng);
        let identity = config.resume.map(|(id, password)| Identity {
            id,
            password,
            timeout: config.session_timeout,
            seen_writable: true,
        });
        let credentials = config
            .auth
            .iter()
            .map(|(scheme, data)| Credential {
                scheme: scheme.clone(),
                data: data.clone(),
            })
            .collect();
        let mut session = Self {
            backoff: Backoff::new(config.reconnect.clone()),
            config,
            rng,
            now,
            servers,
            failing_since: None,
            state: State::Lost,
            identity,
            stale: None,
            link: None,
            retry_at: None,
            partings: parting::Partings::default(),
            probe: probe::Probing::default(),
            last_conn: 0,
            last_request: 0,
            last_sent: RequestId(0),
            unsent: Unsent::default(),
            control: Unsent::default(),
            in_flight: VecDeque::new(),
            counted: 0,
            counted_bytes: 0,
            timers: Timers::default(),
            watches: Watches::default(),
            restore: None,
            rearming: VecDeque::new(),
            unwatching: VecDeque::new(),
            unreconciled: Vec::new(),
            gap_from: None,
            #[cfg(zk_planted)]
            planted_count: 0,
            #[cfg(zk_planted)]
            planted_copies: Vec::new(),
            #[cfg(zk_planted)]
            planted_late: Vec::new(),
            live: Liveness::default(),
            keep_alive: KeepAlive::Ping,
            keep_alive_queued: false,
            sync_in_flight: false,
            reading_since: None,
            reads_again: false,
            ping_sent: None,
            timed: None,
            credentials,
            offered: VecDeque::new(),
            closing: None,
            ended: None,
            actions: VecDeque::new(),
            events: VecDeque::new(),
            last_zxid: Zxid::ZERO,
            cannot_unwatch: false,
            last_error: None,
            outage_told: false,
            refusal_told: false,
            complaints: complaints::Complaints::default(),
            counters: stats::Counters::default(),
            spans: spans::Spans::new(),
        };
        session.attempt();
        session
    }

    /// The transport of a connection is up.
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) {
        self.clock(now);
        if self.probe.is(conn) {
            self.probe_connected();
        } else if self.has_link(conn) {
            self.greet();
        }
    }

    /// Bytes have arrived. They are copied once.
    pub fn handle_data(&mut self, now: Instant, conn: ConnId, data: &[u8]) {
        self.clock(now);
        if data.is_empty() {
            return;
        }
        if self.probe.is(conn) {
            self.probe_data(data);
            return;
        }
        let Some(link) = self.link.as_mut().filter(|link| link.conn == conn) else {
            return;
        };
        self.counters.bytes_in += data.len() as u64;
        // What attaches no session does not show that one lives.
        if link.is_active() {
            self.live.last_heard = Some(self.now);
        }
        let Some(decoder) = &mut link.decoder else {
            return;
        };
        let Some(security) = &mut link.security else {
            decoder.push(data);
            return self.read_frames();
        };
        let (plain, end) = security.decode(data);
        decoder.push(plain);
        self.read_frames();
        if let Some(error) = end.filter(|_| self.has_link(conn)) {
            self.drop_link(LinkError::Layer(error), true);
        }
    }

    /// A buffer of [`lend`](Self::lend) comes back, with bytes that have arrived in it.
    pub fn handle_lent(&mut self, now: Instant, conn: ConnId, lent: Lent) {
        self.clock(now);
        let Some(link) = self.link.as_mut().filter(|link| link.conn == conn) else {
            return;
        };
        let Some(decoder) = &mut link.decoder else {
            return;
        };
        let active = matches!(link.stage, Stage::Active { .. });
        let before = decoder.missing();
        decoder.give_back(lent);
        let read = before.saturating_sub(decoder.missing());
        if read > 0 {
            self.counters.bytes_in += read as u64;
            if active {
                self.live.last_heard = Some(self.now);
            }
        }
        self.read_frames();
    }

    /// A connection has ended, or could not be made: `why` is [`io::ErrorKind::UnexpectedEof`] when
    /// the peer closed it, [`io::ErrorKind::NotFound`] when the name did not resolve.
    pub fn handle_disconnected(&mut self, now: Instant, conn: ConnId, why: io::ErrorKind) {
        self.clock(now);
        if self.probe.is(conn) {
            self.probe_failed();
            return;
        }
        let Some(link) = self.link.as_ref().filter(|link| link.conn == conn) else {
            return;
        };
        let error = link.closed_early(why);
        self.drop_link(error, false);
    }

    /// The driver's answer to [`Action::Sasl`]: the token that the work has given. Ignored if the
    /// connection is gone, or nobody waits for it.
    pub fn handle_sasl(&mut self, now: Instant, conn: ConnId, token: Result<Vec<u8>, SaslError>) {
        self.clock(now);
        if self.has_link(conn) {
            self.sasl_token(token);
        }
    }

    /// Reads a large reply without copying it twice: the buffer of the frame under way, if it is
    /// large. Read into it, outside of any lock, and give it to [`handle_lent`](Self::handle_lent);
    /// meanwhile do not call [`handle_data`](Self::handle_data) for this connection.
    pub fn lend(&mut self, conn: ConnId) -> Option<Lent> {
        let link = self.link.as_mut().filter(|link| link.conn == conn)?;
        if link.security.is_some() {
            return None;
        }
        link.decoder.as_mut()?.lend()
    }

    /// How many bytes a large reply still lacks. 0 when none is under way.
    pub fn read_hint(&self, conn: ConnId) -> usize {
        let link = self
            .link
            .as_ref()
            .filter(|link| link.conn == conn && link.security.is_none());
        link.and_then(|link| link.decoder.as_ref())
            .map_or(0, zk_proto::FrameDecoder::missing)
    }

    /// Fires [`Event::Timer`] at `at`, or as soon as the driver notices. After the end of the
    /// session there is nothing to wait for, and it fires at once.
    pub fn set_timer(&mut self, at: Instant) -> TimerId {
        let id = self.timers.set_user(at);
        if self.ended.is_some() {
            self.wake_sleepers();
        }
        id
    }

    /// Takes a timer back. One that has fired already is left alone.
    pub fn cancel_timer(&mut self, id: TimerId) {
        self.timers.cancel_user(id);
    }

    /// Drops a watcher. With the last one on its path, the server's registration is removed too.
    pub fn unwatch(&mut self, now: Instant, id: WatchId) {
        self.clock(now);
        #[cfg(zk_planted)]
        if self.is_planted(crate::Planted::ForgetDrop) {
            return;
        }
        if let Some(entry) = self.watches.drop_watcher(id) {
            self.reconcile(entry);
        }
    }

    /// Replaces the list of servers. If the current one is not on it, or if the list has grown and
    /// the draw says so, the connection moves; the session stays
    /// (`StaticHostProvider.updateServerList` of the Java client).
    pub fn set_servers(&mut self, now: Instant, servers: &[ServerAddr]) {
        self.clock(now);
        if servers.is_empty() || self.ended.is_some() {
            return;
        }
        let current = self
            .link
            .as_ref()
            .filter(|l| l.is_active())
            .map(|l| l.server.clone());
        let moves = self
            .servers
            .update(servers, current.as_ref(), &mut self.rng);
        if moves || self.attempts_a_removed_server() {
            self.drop_link(LinkError::ServerRemoved, true);
        } else if self.link.is_none() && self.retry_at.is_some() {
            self.attempt();
        } else {
            self.resume_probing();
        }
    }

    /// Is the attempt under way at a server that is not on the list any more?
    fn attempts_a_removed_server(&self) -> bool {
        let attempt = self.link.as_ref().filter(|link| !link.is_active());
        attempt.is_some_and(|link| !self.servers.list().any(|server| *server == link.server))
    }

    /// Sets the servers that are tried after the configured ones, such as learnt members of the
    /// ensemble. They are never preferred, and each call replaces those of the one before.
    pub fn set_fallback_servers(&mut self, servers: &[ServerAddr]) {
        self.servers.set_fallback(servers);
        self.resume_probing();
    }

    /// Chooses how the session is kept alive while there is nothing else to send.
    pub fn set_keep_alive(&mut self, now: Instant, keep_alive: KeepAlive) {
        self.clock(now);
        self.keep_alive = keep_alive;
    }

    /// Drops the connection, keeps the session, and connects to the next server.
    pub fn reconnect(&mut self, now: Instant) {
        self.clock(now);
        self.drop_link(LinkError::Requested, true);
    }

    /// Fills `out` from the session's generator.
    pub fn random(&mut self, out: &mut [u8]) {
        self.rng.fill(out);
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next thing that happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.reads_again |= self.events.len() == self.config.max_events;
        self.events.pop_front()
    }

    fn has_link(&self, conn: ConnId) -> bool {
        self.link.as_ref().is_some_and(|link| link.conn == conn)
    }

    /// Time never runs backwards in here.
    fn clock(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.reads_again {
            self.reads_again = false;
            self.reading_since = Some(self.now);
        }
    }

    fn next_conn(&mut self) -> ConnId {
        self.last_conn += 1;
        ConnId(self.last_conn)
    }

    fn timeout(&self) -> Duration {
        self.identity
            .as_ref()
            .map_or(self.config.session_timeout, |i| i.timeout)
    }

    #[cfg(zk_planted)]
    fn is_planted(&self, planted: crate::Planted) -> bool {
        self.config.planted == Some(planted)
    }

    fn purpose(&self) -> Purpose {
        if self.stale.is_some() {
            Purpose::CloseOld
        } else {
            Purpose::Attach
        }
    }
}

/// `by` after `at`, or so far away that it does not matter.
fn later(at: Instant, by: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    at.checked_add(by).unwrap_or(at + FAR)
}
