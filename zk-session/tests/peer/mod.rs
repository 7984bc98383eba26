//! A session in steady state and a peer that answers every request with the same body.

use std::time::{Duration, Instant};

use zk_proto::{
    Chroot, ConnectReply, ConnectResponse, ErrorCode, EventType, KeeperState, Password, Payload,
    Reply, ReplyHeader, Request, ServerAddr, SessionId, Stat, WatcherEventRef, Xid, Zxid, frame,
};
use zk_session::{Action, Call, Config, ConnId, Event, Session};

/// A connected session, and buffers that are used again and again.
pub(crate) struct Pair {
    session: Session,
    conn: ConnId,
    now: Instant,
    out: Vec<u8>,
    answers: Vec<u8>,
}

impl Pair {
    /// A session that has been connected just now.
    pub(crate) fn connected() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an anchor; nothing depends on its value"
        )]
        let now = Instant::now();
        let config = Config::builder(vec![ServerAddr::new("h", 2181)])
            .session_timeout(Duration::from_secs(3600))
            .build()
            .expect("a sound config");
        let mut session = Session::new(config, [1; 32], now);
        let Some(Action::Connect { conn, .. }) = session.poll_action() else {
            panic!("it connects first");
        };
        session.handle_connected(now, conn);
        let mut out = Vec::new();
        session.poll_transmit(now, conn, &mut out);
        let mut answers = Vec::new();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout: 3_600_000,
            session_id: SessionId(1),
            password: Password::from([1; 16]),
            read_only: Some(false),
        };
        frame(&mut answers, |out| {
            ConnectReply::Response(response).encode(out);
        });
        session.handle_data(now, conn, &answers);
        while session.poll_event().is_some() {}
        assert!(session.state().is_connected());
        Self {
            session,
            conn,
            now,
            out,
            answers,
        }
    }

    pub(crate) fn submit(&mut self, request: &Request<'_>, chroot: &Chroot) {
        let call = Call::new(request, chroot);
        self.session
            .submit(self.now, call)
            .expect("there is room for it");
    }

    /// Sends all requests, answers each with `body`, and tells how many have completed.
    pub(crate) fn exchange(&mut self, body: &[u8]) -> usize {
        self.answer(body);
        let mut completed = 0;
        while let Some(event) = self.session.poll_event() {
            if let Event::Completed { result, .. } = event {
                assert!(result.is_ok());
                completed += 1;
            }
        }
        completed
    }

    /// The same for one who keeps what comes.
    #[allow(dead_code, reason = "not all programs with this module keep anything")]
    pub(crate) fn exchange_into(&mut self, body: &[u8], kept: &mut Vec<Event>) {
        self.answer(body);
        while let Some(event) = self.session.poll_event() {
            kept.push(event);
        }
    }

    fn answer(&mut self, body: &[u8]) {
        self.out.clear();
        while self
            .session
            .poll_transmit(self.now, self.conn, &mut self.out)
            > 0
        {}
        self.answers.clear();
        let mut rest = &self.out[..];
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let size = 16 + body.len();
            self.answers.extend_from_slice(&(size as u32).to_be_bytes());
            self.answers.extend_from_slice(&after[..4]);
            self.answers.extend_from_slice(&7u64.to_be_bytes());
            self.answers.extend_from_slice(&0u32.to_be_bytes());
            self.answers.extend_from_slice(body);
            rest = &after[length..];
        }
        self.session.handle_data(self.now, self.conn, &self.answers);
    }

    /// The data of a node has changed.
    #[allow(dead_code, reason = "not all programs with this module have watches")]
    pub(crate) fn change(&mut self, path: &str) {
        self.answers.clear();
        frame(&mut self.answers, |out| {
            let header = ReplyHeader {
                xid: Xid::WATCH,
                zxid: Zxid(7),
                err: ErrorCode::OK,
            };
            header.encode(out);
            let event = WatcherEventRef {
                kind: EventType::NODE_DATA_CHANGED,
                state: KeeperState::SYNC_CONNECTED,
                path: path.into(),
            };
            event.encode(out);
        });
        self.session.handle_data(self.now, self.conn, &self.answers);
        while self.session.poll_event().is_some() {}
    }
}

/// The body of a reply to getData.
pub(crate) fn data(length: usize) -> Vec<u8> {
    let data = Payload::from(&vec![7; length][..]);
    body(&Reply::Data {
        data,
        stat: Stat::default(),
    })
}

/// The body of a reply.
pub(crate) fn body(reply: &Reply) -> Vec<u8> {
    let mut out = Vec::new();
    reply.encode(zk_proto::OpCode::GET_DATA, &mut out);
    out
}
