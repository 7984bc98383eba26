//! A handler without threads, and a peer that says what the test wants it to say.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime};

use zk_proto::{
    ConnectResponse, ErrorCode, EventType, Frame, FrameDecoder, KeeperState, OpCode, Password,
    Reader, Reply, ReplyHeader, Request, RequestHeader, SessionId, Stat, WatcherEvent, Xid, Zxid,
    frame,
};
use zk_session::{Action, ConnId};

use crate::{
    AsyncResult, Builder, Callback, Client, ClientId, Core, Error, FourLetterWord, Handler,
    LinkError, StartError, Task,
};

/// Keeps what it is given until the test asks for it.
#[derive(Debug)]
pub(crate) struct TestHandler {
    pub(crate) may_block: AtomicBool,
    pub(crate) refuse: AtomicBool,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    now: Instant,
    driven: Vec<Arc<Core>>,
    callbacks: VecDeque<(ClientId, Callback)>,
    tasks: Vec<Task>,
    /// What is answered to four-letter words.
    answers: VecDeque<Result<String, Error>>,
    words: Vec<[u8; 4]>,
}

impl TestHandler {
    #[expect(clippy::disallowed_methods, reason = "a moment to begin at")]
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            may_block: AtomicBool::new(true),
            refuse: AtomicBool::new(false),
            kept: Mutex::new(Kept {
                now: Instant::now(),
                driven: Vec::new(),
                callbacks: VecDeque::new(),
                tasks: Vec::new(),
                answers: VecDeque::new(),
                words: Vec::new(),
            }),
        })
    }

    pub(crate) fn drives(&self) -> usize {
        self.kept.lock().unwrap().driven.len()
    }

    pub(crate) fn last_driven(&self) -> Arc<Core> {
        Arc::clone(self.kept.lock().unwrap().driven.last().unwrap())
    }

    /// Polls all background tasks, until none gets any further.
    pub(crate) fn run_tasks(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let tasks = std::mem::take(&mut self.kept.lock().unwrap().tasks);
        for mut task in tasks {
            if Pin::new(&mut task).poll(&mut cx).is_pending() {
                self.kept.lock().unwrap().tasks.push(task);
            }
        }
    }

    /// Answers the next four-letter word.
    pub(crate) fn answer(&self, answer: Result<&str, Error>) {
        let answer = answer.map(str::to_owned);
        self.kept.lock().unwrap().answers.push_back(answer);
    }

    /// The four-letter words that were sent.
    pub(crate) fn words(&self) -> Vec<[u8; 4]> {
        std::mem::take(&mut self.kept.lock().unwrap().words)
    }

    pub(crate) fn tasks(&self) -> usize {
        self.kept.lock().unwrap().tasks.len()
    }
}

impl Handler for TestHandler {
    fn name(&self) -> &'static str {
        "test"
    }

    fn now(&self) -> Instant {
        self.kept.lock().unwrap().now
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn identity(&self) -> &str {
        "test-1"
    }

    fn entropy(&self) -> [u8; 32] {
        [7; 32]
    }

    fn drive(&self, core: Arc<Core>) -> Result<(), StartError> {
        if self.refuse.load(Ordering::Relaxed) {
            return Err(StartError::ShutDown);
        }
        self.kept.lock().unwrap().driven.push(core);
        Ok(())
    }

    fn spawn(&self, task: Task) {
        self.kept.lock().unwrap().tasks.push(task);
    }

    fn dispatch(&self, client: ClientId, callback: Callback) {
        self.kept
            .lock()
            .unwrap()
            .callbacks
            .push_back((client, callback));
    }

    fn may_block(&self) -> bool {
        self.may_block.load(Ordering::Relaxed)
    }

    fn four_letter(&self, mut word: FourLetterWord, _: Duration) -> AsyncResult<String> {
        let mut kept = self.kept.lock().unwrap();
        let mut bytes = Vec::new();
        word.handle_connected();
        word.poll_transmit(&mut bytes);
        kept.words.push(bytes.try_into().unwrap());
        let answer = kept.answers.pop_front();
        AsyncResult::ready(answer.unwrap_or(Err(Error::Command(LinkError::Silent))))
    }
}

/// One client, its driver, and the server it talks to: all moved by the test.
pub(crate) struct Rig {
    pub(crate) handler: Arc<TestHandler>,
    pub(crate) client: Client,
    pub(crate) core: Arc<Core>,
    conn: Option<ConnId>,
    requests: FrameDecoder,
    pub(crate) zxid: i64,
}

/// A request as the peer has received it.
pub(crate) struct Asked {
    pub(crate) xid: Xid,
    pub(crate) opcode: OpCode,
    body: bytes::Bytes,
}

impl Asked {
    pub(crate) fn body(&self) -> Request<'_> {
        let mut reader = Reader::new(&self.body);
        RequestHeader::decode(&mut reader).unwrap();
        Request::decode(self.opcode, &mut reader).unwrap()
    }

    pub(crate) fn path(&self) -> String {
        self.body().path().unwrap_or_default().to_owned()
    }
}

impl Rig {
    /// A client that has not reached any server.
    pub(crate) fn new(hosts: &str) -> Self {
        Self::with(&mut Client::builder(hosts))
    }

    pub(crate) fn with(builder: &mut Builder) -> Self {
        let handler = TestHandler::new();
        let client = builder
            .start(Arc::clone(&handler) as Arc<dyn Handler>)
            .unwrap();
        Self::of(handler, client)
    }

    pub(crate) fn of(handler: Arc<TestHandler>, client: Client) -> Self {
        let core = Arc::clone(client.core());
        Self {
            handler,
            client,
            core,
            conn: None,
            requests: FrameDecoder::new(1 << 24),
            zxid: 0,
        }
    }

    pub(crate) fn connected() -> Self {
        Self::new("h1,h2").connect()
    }

    /// Lets the client connect, and gives it a session.
    pub(crate) fn connect(mut self) -> Self {
        self.reconnect(0x77);
        self
    }

    /// Serves the next connection, with this session.
    pub(crate) fn reconnect(&mut self, session: i64) {
        for _ in 0..10 {
            self.pump();
            if self.conn.is_some() {
                break;
            }
            self.advance(Duration::from_millis(200));
        }
        self.greet(session);
        assert!(self.client.connected());
    }

    /// Answers the connect request on the connection that was asked for.
    pub(crate) fn greet(&mut self, session: i64) {
        let conn = self.conn.expect("the client has asked for a connection");
        let now = self.now();
        self.core.with(|s| s.handle_connected(now, conn));
        self.pump();
        let greeting = self.frames().remove(0);
        assert!(greeting.len() >= 44, "a connect request");
        let reply = ConnectResponse {
            protocol_version: 0,
            timeout: 10_000,
            session_id: SessionId(session),
            password: Password::from_slice(&[1; 16]).unwrap(),
            read_only: Some(false),
        };
        let mut out = Vec::new();
        frame(&mut out, |out| reply.encode(out));
        self.feed(&out);
    }

    /// Nothing listens where the client tries to connect.
    pub(crate) fn refuse(&mut self) {
        let (now, conn) = (self.now(), self.conn.take().unwrap());
        self.core.with(|s| {
            s.handle_disconnected(now, conn, std::io::ErrorKind::ConnectionRefused);
        });
    }

    pub(crate) fn now(&self) -> Instant {
        self.handler.now()
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, time: Duration) {
        self.handler.kept.lock().unwrap().now += time;
        let now = self.now();
        self.core.with(|s| s.handle_timeout(now));
        self.pump();
    }

    /// One turn of the driver's loop: takes up actions, and fetches what is to be sent.
    pub(crate) fn pump(&mut self) {
        let now = self.now();
        let mut out = Vec::new();
        let conn = &mut self.conn;
        let requests = &mut self.requests;
        self.core.with(|s| {
            while let Some(action) = s.poll_action() {
                match action {
                    Action::Connect { conn: fresh, .. } => {
                        *conn = Some(fresh);
                        *requests = FrameDecoder::new(1 << 24);
                    }
                    Action::Disconnect { conn: old, .. } => {
                        conn.take_if(|conn| *conn == old);
                    }
                    Action::Sasl { .. } => unreachable!(),
                }
            }
            if let Some(conn) = *conn {
                while s.poll_transmit(now, conn, &mut out) > 0 {}
            }
        });
        self.requests.push(&out);
    }

    /// The connection breaks.
    pub(crate) fn cut(&mut self) {
        let (now, conn) = (self.now(), self.conn.take().unwrap());
        self.core.with(|s| {
            s.handle_disconnected(now, conn, std::io::ErrorKind::ConnectionReset);
        });
        self.requests = FrameDecoder::new(1 << 24);
    }

    /// Hands bytes to the client.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let (now, conn) = (self.now(), self.conn.unwrap());
        self.core.with(|s| s.handle_data(now, conn, bytes));
        self.pump();
    }

    fn frames(&mut self) -> Vec<bytes::Bytes> {
        let mut frames = Vec::new();
        while let Some(frame) = self.requests.next_frame().unwrap() {
            match frame {
                Frame::Whole { chunk, range } => frames.push(chunk.slice(range)),
                Frame::TooLarge { .. } => unreachable!(),
            }
        }
        frames
    }

    /// What the peer has received since it was asked last.
    pub(crate) fn asked(&mut self) -> Vec<Asked> {
        self.pump();
        let frames = self.frames();
        frames
            .into_iter()
            .map(|body| {
                let header = RequestHeader::decode(&mut Reader::new(&body)).unwrap();
                Asked {
                    xid: header.xid,
                    opcode: header.opcode,
                    body,
                }
            })
            .collect()
    }

    /// The only request that has come.
    pub(crate) fn asked_one(&mut self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(
            asked.len(),
            1,
            "{:?}",
            asked.iter().map(|a| a.opcode).collect::<Vec<_>>()
        );
        asked.remove(0)
    }

    /// The frame that answers a request.
    pub(crate) fn reply_frame(
        &mut self,
        asked: &Asked,
        result: Result<Reply, ErrorCode>,
    ) -> Vec<u8> {
        self.zxid += 1;
        let err = result.as_ref().err().copied().unwrap_or(ErrorCode::OK);
        let header = ReplyHeader {
            xid: asked.xid,
            zxid: Zxid(self.zxid),
            err,
        };
        let mut out = Vec::new();
        frame(&mut out, |out| {
            header.encode(out);
            if let Ok(reply) = result {
                reply.encode(asked.opcode, out);
            }
        });
        out
    }

    pub(crate) fn reply(&mut self, asked: &Asked, result: Result<Reply, ErrorCode>) {
        let frame = self.reply_frame(asked, result);
        self.feed(&frame);
    }

    /// The frame of a watch event.
    pub(crate) fn event_frame(kind: EventType, path: &str) -> Vec<u8> {
        let header = ReplyHeader {
            xid: Xid::WATCH,
            zxid: Zxid(-1),
            err: ErrorCode::OK,
        };
        let state = KeeperState::SYNC_CONNECTED;
        let event = WatcherEvent {
            kind,
            state,
            path: path.to_owned(),
        };
        let mut out = Vec::new();
        frame(&mut out, |out| {
            header.encode(out);
            event.encode(out);
        });
        out
    }

    /// Runs the callbacks dispatched so far, and tells how many.
    pub(crate) fn run_callbacks(&self) -> usize {
        let mut count = 0;
        loop {
            let next = self.handler.kept.lock().unwrap().callbacks.pop_front();
            let Some((client, callback)) = next else {
                return count;
            };
            assert_eq!(client, self.core.id());
            callback.run();
            count += 1;
        }
    }

    /// A stat that can be told from others.
    pub(crate) fn stat(version: i32) -> Stat {
        Stat {
            version,
            ..Stat::default()
        }
    }
}

/// Polls once, with a waker that does nothing.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker and how often it was woken.
pub(crate) fn count_wakes() -> (Waker, Arc<Count>) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (Waker::from(Arc::clone(&count)), count)
}

pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
