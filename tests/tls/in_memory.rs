//! A whole session and a server in one thread, TLS between them, and bytes that arrive in any pieces.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use proptest::collection::vec;
use proptest::prelude::*;
use zk::proto::{Acl, Chroot, CreateMode, Request, ServerAddr};
use zk::session::{Action, Call, Config, Event, Session, State};
use zk_server::{Acceptor, Output, Standalone};
use zk_tls::server::Connection;
use zk_tls::{Tls, Version};

use super::{Authority, HERE};

/// The client's end, the server's, and what is on the way.
struct World {
    now: Instant,
    session: Session,
    server: Standalone,
    acceptor: Acceptor,
    link: Option<Link>,
    connections: u64,
    connected: u32,
    results: Vec<bool>,
}

struct Link {
    conn: zk::session::ConnId,
    at: zk_server::ConnId,
    tls: Connection,
    up: Vec<u8>,
    down: Vec<u8>,
}

impl World {
    fn new(tls: Tls, acceptor: Acceptor) -> Self {
        let now = Instant::now();
        let mut config = Config::builder(vec![ServerAddr::new("localhost", 2281)]);
        config.layer(Arc::new(tls));
        let options = Arc::new(zk_server::Options::new());
        Self {
            now,
            session: Session::new(config.build().unwrap(), [1; 32], now),
            server: Standalone::new(options, [2; 32], now, SystemTime::now()),
            acceptor,
            link: None,
            connections: 0,
            connected: 0,
            results: Vec::new(),
        }
    }

    /// Does what both ends want.
    fn drain(&mut self) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Connect { conn, .. } => {
                    self.connections += 1;
                    let at = zk_server::ConnId(self.connections);
                    self.link = Some(Link {
                        conn,
                        at,
                        tls: self.acceptor.accept().unwrap(),
                        up: Vec::new(),
                        down: Vec::new(),
                    });
                    let peer = SocketAddr::from(([127, 0, 0, 1], 40_000));
                    self.server.handle_accept(self.now, at, peer);
                    self.session.handle_connected(self.now, conn);
                }
                Action::Disconnect { conn, .. }
                    if self.link.as_ref().is_some_and(|link| link.conn == conn) =>
                {
                    self.cut();
                }
                Action::Disconnect { .. } | Action::Sasl { .. } => {}
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::StateChanged {
                    to: State::Connected { .. },
                    ..
                } => self.connected += 1,
                Event::Completed { result, .. } => self.results.push(result.is_ok()),
                Event::ConnectFailed { error, .. } => panic!("{error}"),
                Event::Closed { .. } => panic!("nobody closes it"),
                Event::StateChanged { .. } | Event::Watch { .. } | Event::Timer { .. } | _ => {}
            }
        }
        while let Some(output) = self.server.poll_output() {
            let Some(link) = &mut self.link else { continue };
            let mut plain = Vec::new();
            match output {
                Output::Transmit(conn) => while self.server.poll_transmit(conn, &mut plain) > 0 {},
                Output::Close { .. } => link.tls.close(&mut link.down),
            }
            if !plain.is_empty() {
                link.tls.encode(&plain, &mut link.down).unwrap();
            }
        }
        if let Some(link) = &mut self.link {
            while self
                .session
                .poll_transmit(self.now, link.conn, &mut link.up)
                > 0
            {}
        }
    }

    /// The connection ends, whatever is on the way.
    fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            let why = std::io::ErrorKind::UnexpectedEof;
            self.server.handle_closed(self.now, link.at);
            self.session.handle_disconnected(self.now, link.conn, why);
        }
    }

    fn up(&mut self, count: usize) {
        let Some(link) = &mut self.link else { return };
        let count = count.min(link.up.len());
        let bytes: Vec<u8> = link.up.drain(..count).collect();
        let mut plain = Vec::new();
        link.tls.decode(&bytes, &mut plain, &mut link.down).unwrap();
        if !plain.is_empty() {
            self.server.handle_data(self.now, link.at, &plain);
        }
        self.drain();
    }

    fn down(&mut self, count: usize) {
        let Some(link) = &mut self.link else { return };
        let count = count.min(link.down.len());
        let bytes: Vec<u8> = link.down.drain(..count).collect();
        self.session.handle_data(self.now, link.conn, &bytes);
        self.drain();
    }

    /// Everything arrives; if there is no connection, time passes until there is one.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.drain();
            match &self.link {
                Some(link) if link.up.is_empty() && link.down.is_empty() => return,
                Some(_) => {
                    self.up(usize::MAX);
                    self.down(usize::MAX);
                }
                None => {
                    self.now += Duration::from_millis(50);
                    self.session.handle_timeout(self.now);
                }
            }
        }
        panic!("they do not come to rest");
    }

    /// Creates a node with so much data, and reads it.
    fn ask(&mut self, name: usize, length: usize) {
        let (path, data) = (format!("/n{name}"), vec![7; length]);
        let create = Request::Create {
            path: path.as_str().into(),
            data: Some(data.as_slice().into()),
            acl: Acl::open_unsafe().into(),
            mode: CreateMode::Persistent.into(),
            with_stat: false,
        };
        let read = Request::GetData {
            path: path.as_str().into(),
            watch: false,
        };
        for request in [create, read] {
            let call = Call::new(&request, &Chroot::ROOT);
            self.session.submit(self.now, call).unwrap();
        }
        self.drain();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Up(usize),
    Down(usize),
    Ask(usize),
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let piece = || prop_oneof![3 => 1..60_usize, 2 => 60..3000_usize, 1 => 3000..70_000_usize];
    let step = prop_oneof![
        6 => piece().prop_map(Step::Up),
        6 => piece().prop_map(Step::Down),
        2 => (0..40_000_usize).prop_map(Step::Ask),
        1 => Just(Step::Cut),
    ];
    vec(step, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_session_works_through_tls_wherever_its_bytes_are_cut(
        low in any::<bool>(),
        steps in steps(),
    ) {
        let version = if low { Version::V1_2 } else { Version::V1_3 };
        let authority = Authority::new("servers");
        let own = authority.issue("server", &HERE);
        let acceptor = Acceptor::from_pem(&own.certificate, &own.key).build().unwrap();
        let tls = super::trusting(&authority).max_version(version).build().unwrap();
        let mut world = World::new(tls.clone(), acceptor);
        world.drain();
        let mut asked = 0;
        for (name, step) in steps.into_iter().enumerate() {
            match step {
                Step::Up(count) => world.up(count),
                Step::Down(count) => world.down(count),
                Step::Ask(length) => {
                    asked += 2;
                    world.ask(name, length);
                }
                // In the middle of a handshake it is a failed attempt.
                Step::Cut if matches!(world.session.state(), State::Connected { .. }) => {
                    world.cut();
                    world.drain();
                }
                Step::Cut => {}
            }
        }
        world.settle();
        // Whatever was cut off is over, and the session, the same as ever, goes on.
        prop_assert!(world.session.credentials().is_some());
        prop_assert_eq!(world.results.len(), asked);
        world.ask(usize::MAX, 900_000);
        world.settle();
        prop_assert_eq!(&world.results[asked..], [true, true]);
        let handshakes = tls.handshakes();
        prop_assert_eq!(handshakes.full + handshakes.resumed, u64::from(world.connected));
    }
}
