//! A client that is driven by hand, and a peer that answers by copying.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use zk_client::{
    AsyncResult, Callback, Client, ClientId, Core, FourLetterWord, Handler, LinkError, StartError,
    Task,
};
use zk_proto::{
    ConnectResponse, ErrorCode, EventType, KeeperState, OpCode, Password, Payload, Reply,
    ReplyHeader, SessionId, Stat, WatcherEvent, Xid, Zxid, frame,
};
use zk_session::{Action, ConnId};

/// Operations in flight.
pub(crate) const WINDOW: usize = 100;

/// The answer to a get: 9 bytes.
pub(crate) fn data() -> Reply {
    Reply::Data {
        data: Payload::from(&b"some data"[..]),
        stat: Stat::default(),
    }
}

/// The answer to a create.
pub(crate) fn created() -> Reply {
    Reply::Path("/config".to_owned())
}

/// Paths to be watched, and the events that say they have changed.
pub(crate) fn watched() -> (Vec<String>, Vec<u8>) {
    let paths: Vec<String> = (0..WINDOW).map(|n| format!("/config/{n:03}")).collect();
    let mut events = Vec::new();
    for path in &paths {
        frame(&mut events, |out| {
            ReplyHeader {
                xid: Xid::WATCH,
                zxid: Zxid(-1),
                err: ErrorCode::OK,
            }
            .encode(out);
            WatcherEvent {
                kind: EventType::NODE_DATA_CHANGED,
                state: KeeperState::SYNC_CONNECTED,
                path: path.as_str().into(),
            }
            .encode(out);
        });
    }
    (paths, events)
}

/// A client, its driver, and the server it talks to.
pub(crate) struct Peer {
    pub(crate) client: Client,
    core: Arc<Core>,
    now: Instant,
    conn: ConnId,
    xid: Xid,
    sent: Vec<u8>,
    arrived: Vec<u8>,
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "a moment to begin at")]
    pub(crate) fn connected() -> Result<Self, Box<dyn Error>> {
        let now = Instant::now();
        let driven = Arc::new(Mutex::new(None));
        let handler = Still {
            now,
            driven: Arc::clone(&driven),
        };
        let client = Client::builder("127.0.0.1:2181")
            .session_timeout(Duration::from_secs(60))
            .start(Arc::new(handler))?;
        let core = driven.lock().ok().and_then(|mut core| core.take());
        let core: Arc<Core> = core.ok_or("the client was not driven")?;
        let Some(Action::Connect { conn, .. }) = core.with(|session| session.poll_action()) else {
            return Err("the session wants no connection".into());
        };
        core.with(|session| session.handle_connected(now, conn));
        let mut peer = Self {
            client,
            core,
            now,
            conn,
            xid: Xid::FIRST,
            sent: Vec::new(),
            arrived: Vec::new(),
        };
        peer.listen();
        let mut greeting = Vec::new();
        frame(&mut greeting, |out| {
            ConnectResponse {
                protocol_version: 0,
                timeout: 60_000,
                session_id: SessionId(1),
                password: Password::default(),
                read_only: Some(false),
            }
            .encode(out);
        });
        peer.hear(&greeting);
        assert!(peer.client.connected(), "the greeting was taken");
        Ok(peer)
    }

    /// Takes what the client sends.
    fn listen(&mut self) {
        let Self {
            core,
            sent,
            now,
            conn,
            ..
        } = self;
        sent.clear();
        core.with(|session| while session.poll_transmit(*now, *conn, sent) > 0 {});
    }

    pub(crate) fn hear(&self, bytes: &[u8]) {
        self.core
            .with(|session| session.handle_data(self.now, self.conn, bytes));
    }

    /// Answers a window of requests, each with this.
    pub(crate) fn answer(&mut self, reply: &[u8]) {
        self.listen();
        self.arrived.clear();
        for _ in 0..WINDOW {
            let at = self.arrived.len() + 4;
            self.arrived.extend_from_slice(reply);
            self.arrived[at..at + 4].copy_from_slice(&self.xid.0.to_be_bytes());
            self.xid = Xid(self.xid.0 + 1);
        }
        self.hear(&self.arrived);
    }
}

/// A reply as it comes from a server, for any xid.
pub(crate) fn framed(opcode: OpCode, reply: &Reply) -> Vec<u8> {
    let mut wire = Vec::new();
    frame(&mut wire, |out| {
        ReplyHeader {
            xid: Xid(0),
            zxid: Zxid(1),
            err: ErrorCode::OK,
        }
        .encode(out);
        reply.encode(opcode, out);
    });
    wire
}

/// A handler that does nothing by itself.
#[derive(Debug)]
struct Still {
    now: Instant,
    driven: Arc<Mutex<Option<Arc<Core>>>>,
}

impl Handler for Still {
    fn name(&self) -> &'static str {
        "still"
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn identity(&self) -> &str {
        "still-1"
    }

    fn entropy(&self) -> [u8; 32] {
        [7; 32]
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        let mut driven = self.driven.lock().map_err(|_| StartError::ShutDown)?;
        *driven = Some(core);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        drop(task);
    }

    fn dispatch(&self, _: ClientId, callback: Callback) {
        callback.run();
    }

    fn may_block(&self) -> bool {
        false
    }

    fn four_letter(&self, _: FourLetterWord, _: Duration) -> AsyncResult<String> {
        AsyncResult::ready(Err(zk_client::Error::Command(LinkError::Silent)))
    }
}
