//! What servers are told when a connection ends: in memory, where every byte can be looked at, and on
//! sockets, by each handler.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use zk::session::{Action, Config, ConnId, Session};
use zk::{ServerAddr, session::Layer};
use zk_server::Acceptor;
use zk_tls::rustls::{AlertDescription, Error};
use zk_tls::server::Connection;
use zk_tls::{Tls, Version};

use super::{Authority, HERE, at, connect, handlers, lose_connection, trusting};
use crate::support::wait_until;

/// The type of records that hold an alert, as far as that is not encrypted, too: before TLS 1.3.
const ALERT: u8 = 0x15;

/// A session that connects, and the other side of its connection.
struct Pair {
    now: Instant,
    session: Session,
    conn: ConnId,
    server: Connection,
}

impl Pair {
    fn new(tls: &Tls, server: Connection) -> Self {
        let now = Instant::now();
        let mut config = Config::builder(vec![ServerAddr::new("localhost", 2281)]);
        config.layer(Arc::new(tls.clone()));
        let mut session = Session::new(config.build().unwrap(), [1; 32], now);
        let Some(Action::Connect { conn, .. }) = session.poll_action() else {
            panic!("it begins to connect");
        };
        session.handle_connected(now, conn);
        Self {
            now,
            session,
            conn,
            server,
        }
    }

    /// What the client says now.
    fn said(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.session.poll_transmit(self.now, self.conn, &mut wire) > 0 {}
        wire
    }

    /// Lets both sides speak until the client has nothing more to say, or has ended the connection.
    fn shake_hands(&mut self) {
        loop {
            let wire = self.said();
            if wire.is_empty() {
                return;
            }
            let mut reply = Vec::new();
            self.server
                .decode(&wire, &mut Vec::new(), &mut reply)
                .unwrap();
            self.session.handle_data(self.now, self.conn, &reply);
            if self.ended() {
                return;
            }
        }
    }

    fn ended(&mut self) -> bool {
        let ends = |action| matches!(action, Action::Disconnect { conn, .. } if conn == self.conn);
        std::iter::from_fn(|| self.session.poll_action()).any(ends)
    }
}

fn acceptor(authority: &Authority) -> Acceptor {
    let own = authority.issue("server", &HERE);
    let acceptor = Acceptor::from_pem(&own.certificate, &own.key);
    acceptor.build().unwrap()
}

#[test]
fn a_failed_handshake_ends_with_an_alert() {
    let (authority, other) = (Authority::new("servers"), Authority::new("others"));
    let acceptor = acceptor(&authority);
    for version in [Version::V1_2, Version::V1_3] {
        let tls = trusting(&other).max_version(version).build().unwrap();
        let mut pair = Pair::new(&tls, acceptor.accept().unwrap());
        pair.shake_hands();
        let wire = pair.said();
        if version == Version::V1_2 {
            // Fatal, unknown_ca.
            assert_eq!(wire, [ALERT, 3, 3, 0, 2, 2, 48]);
        }
        let heard = pair
            .server
            .decode(&wire, &mut Vec::new(), &mut Vec::new())
            .unwrap_err();
        let unknown = Error::AlertReceived(AlertDescription::UnknownCA);
        assert_eq!(heard, unknown);
        assert_eq!(pair.said(), b"", "and nothing after it");
    }
}

#[test]
fn a_connection_that_this_side_ends_ends_with_close_notify() {
    let authority = Authority::new("servers");
    let acceptor = acceptor(&authority);
    for version in [Version::V1_2, Version::V1_3] {
        let tls = trusting(&authority).max_version(version).build().unwrap();
        let mut pair = Pair::new(&tls, acceptor.accept().unwrap());
        pair.shake_hands();
        assert!(pair.server.is_established());
        pair.session.reconnect(pair.now);
        assert!(pair.ended());
        let wire = pair.said();
        assert!(version == Version::V1_3 || wire[0] == ALERT);
        assert!(!pair.server.peer_closed());
        pair.server
            .decode(&wire, &mut Vec::new(), &mut Vec::new())
            .unwrap();
        assert!(pair.server.peer_closed());
        assert_eq!(pair.said(), b"");
    }
}

#[test]
fn nothing_is_said_in_the_middle_of_a_handshake() {
    let authority = Authority::new("servers");
    let tls = trusting(&authority).build().unwrap();
    let mut pair = Pair::new(&tls, acceptor(&authority).accept().unwrap());
    assert!(!pair.said().is_empty(), "the first flight");
    let too_late = pair.now + Duration::from_secs(60);
    pair.session.handle_timeout(too_late);
    assert!(pair.ended());
    assert_eq!(pair.said(), b"");
}

/// Also where the session is not asked, and whatever state the layer is in.
#[test]
fn a_layer_may_be_closed_at_any_time() {
    use zk::session::LayerFactory;

    let tls = trusting(&Authority::new("servers")).build().unwrap();
    let mut layer: Box<dyn Layer> = tls.layer(&ServerAddr::new("localhost", 2281)).unwrap();
    let mut wire = Vec::new();
    layer.close(&mut wire);
    layer.flush(&mut wire);
    layer.close(&mut wire);
    let mut reply = Vec::new();
    let failed = layer.decode(b"HTTP/1.1 400", &mut Vec::new(), &mut reply);
    assert!(failed.is_err());
    assert_eq!(reply[..3], [ALERT, 3, 3]);
    reply.clear();
    layer.close(&mut reply);
    assert_eq!(reply, b"", "it has been told");
}

/// What a client has sent on one connection, and whether that is over.
#[derive(Clone, Default)]
struct Sent {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Sent {
    /// The last record, if the bytes end with a whole one.
    fn last_record(&self) -> &[u8] {
        let mut rest = &self.bytes[..];
        loop {
            let [_, _, _, high, low, ..] = *rest else {
                return &[];
            };
            let end = 5 + usize::from(u16::from_be_bytes([high, low]));
            match rest.get(end..) {
                Some([]) => return rest,
                Some(more) => rest = more,
                None => return &[],
            }
        }
    }
}

/// Passes connections on, and keeps what clients send.
struct Recorder {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Recorder {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::<Mutex<Vec<Sent>>>::default();
        let record = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming() {
                // Whoever connects may have gone again, and so may the server at the end.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                    continue;
                };
                let (back, forth) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let place = {
                    let mut sent = record.lock().unwrap();
                    sent.push(Sent::default());
                    sent.len() - 1
                };
                let record = Arc::clone(&record);
                thread::spawn(move || {
                    pass_on(client, forth, |bytes| {
                        record.lock().unwrap()[place].bytes.extend(bytes);
                    });
                    record.lock().unwrap()[place].is_over = true;
                });
                thread::spawn(move || pass_on(server, back, |_| ()));
            }
        });
        Self { address, sent }
    }

    fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

/// Until the end of what there is to read, also when nobody wants it any more.
fn pass_on(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut piece = [0; 4096];
    let mut is_wanted = true;
    while let Ok(count @ 1..) = from.read(&mut piece) {
        keep(&piece[..count]);
        is_wanted = is_wanted && to.write_all(&piece[..count]).is_ok();
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A word that finds no socket at hand is not said: so it is looked for until it is.
#[test]
fn every_handler_says_how_a_connection_ends() {
    const ROUNDS: usize = 40;

    let (authority, other) = (Authority::new("servers"), Authority::new("others"));
    let server = zk_server::Server::builder()
        .quiet()
        .tls(acceptor(&authority))
        .start()
        .unwrap();
    let version = Version::V1_2;
    for handler in handlers() {
        let tls = trusting(&authority).max_version(version).build().unwrap();
        let is_said = || {
            // Lost on purpose, then closed in order.
            let recorder = Recorder::start(server.secure_addr().unwrap());
            let client = connect(&at(recorder.address, &tls), Arc::clone(&handler));
            lose_connection(&client);
            client.close().wait().unwrap();
            wait_until("both connections to be over", || {
                let sent = recorder.sent();
                sent.len() >= 2 && sent.iter().all(|sent| sent.is_over)
            });
            let sent = recorder.sent();
            sent.iter()
                .all(|sent| sent.last_record().first() == Some(&ALERT))
        };
        assert!((0..ROUNDS).any(|_| is_said()), "{handler:?}");

        let tls = trusting(&other).max_version(version).build().unwrap();
        let recorder = Recorder::start(server.secure_addr().unwrap());
        let client = at(recorder.address, &tls).start(handler).unwrap();
        wait_until("the server to be told why", || {
            let sent = recorder.sent();
            let mut last = sent.iter().map(Sent::last_record);
            last.any(|last| last == [ALERT, 3, 3, 0, 2, 2, 48])
        });
        let _ = client.close().timeout(Duration::ZERO).wait();
    }
}
