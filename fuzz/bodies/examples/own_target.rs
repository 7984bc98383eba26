//! A fuzz target around a session, from nothing: to start your own from. See `docs/fuzzing.md`.
//!
//! `cargo run -p zk-fuzz-bodies --example own_target FILE..` runs the files given. As a target of
//! cargo-fuzz, `target` goes into `libfuzzer_sys::fuzz_target!(|data: &[u8]| target(data))`.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use zk_proto::{Chroot, Request, parse_hosts};
use zk_session::{Action, Call, Config, ConnId, Event, RequestId, Session};

/// Time is an argument: all runs begin at the same moment, so that the same bytes do the same.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// Two bytes are a step: what to do, and with what.
fn target(data: &[u8]) {
    let (servers, chroot) = parse_hosts("a:1,b:2").expect("a connect string");
    let config = Config::builder(servers).build().expect("a sound config");
    let mut now = start();
    let mut session = Session::new(config, [7; 32], now);
    let mut books = Books::default();
    for step in data.chunks_exact(2) {
        let with = step[1];
        match step[0] % 6 {
            0 => submit(&mut session, &mut books, now, &chroot),
            1 => {
                now += Duration::from_millis(u64::from(with) * 20);
                session.handle_timeout(now);
            }
            2 => {
                if let Some(conn) = books.conn {
                    session.handle_connected(now, conn);
                }
            }
            // What a hostile server sends; here a byte at a time.
            3 => {
                if let Some(conn) = books.conn {
                    session.handle_data(now, conn, &[with]);
                }
            }
            4 => {
                if let Some(conn) = books.conn.take() {
                    let why = io::ErrorKind::ConnectionReset;
                    session.handle_disconnected(now, conn, why);
                }
            }
            _ => {
                if let Some(conn) = books.conn {
                    session.poll_transmit(now, conn, &mut Vec::new());
                }
            }
        }
        books.drain(&mut session);
    }
    session.close(now, Duration::from_secs(1));
    while !session.is_finished() {
        books.drain(&mut session);
        let Some(due) = session.poll_timeout() else {
            break;
        };
        now = now.max(due);
        session.handle_timeout(now);
    }
    assert!(session.is_finished(), "a close ends");
    assert!(
        books.open.is_empty(),
        "every request ends: {:?}",
        books.open
    );
}

fn submit(session: &mut Session, books: &mut Books, now: Instant, chroot: &Chroot) {
    let (path, watch) = ("/a".into(), true);
    let request = Request::GetData { path, watch };
    if let Ok(submitted) = session.submit(now, Call::new(&request, chroot)) {
        books.open.insert(submitted.id);
    }
}

#[derive(Default)]
struct Books {
    conn: Option<ConnId>,
    /// Requests that have not ended.
    open: BTreeSet<RequestId>,
}

impl Books {
    fn drain(&mut self, session: &mut Session) {
        while let Some(action) = session.poll_action() {
            match action {
                Action::Connect { conn, .. } => self.conn = Some(conn),
                Action::Disconnect { conn, .. } => self.conn = self.conn.filter(|c| *c != conn),
                Action::Sasl { .. } => {}
            }
        }
        while let Some(event) = session.poll_event() {
            if let Event::Completed { id, .. } = event {
                assert!(self.open.remove(&id), "{id} ends once");
            }
        }
    }
}

fn main() -> io::Result<()> {
    for file in env::args().skip(1) {
        target(&fs::read(file)?);
    }
    Ok(())
}
