//! Many of everything: a million watches, ten thousand connections.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test has a clock, says what it has seen, and may fail"
)]

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Resource, getrlimit, setrlimit};
use zk_proto::{
    Chroot, ConnectRequest, Password, Request, RequestHeader, SessionId, Xid, Zxid, frame,
};
use zk_server::{ConnId, Options, Server, Standalone};

fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 40_000,
        session_id: SessionId::NONE,
        password: Password::EMPTY,
        read_only: Some(false),
    };
    frame(&mut bytes, |out| request.encode(out));
    bytes
}

fn exists(out: &mut Vec<u8>, path: &str) {
    let request = Request::Exists {
        path: path.into(),
        watch: true,
    };
    frame(out, |out| {
        let header = RequestHeader {
            xid: Xid::FIRST,
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
}

/// What a watch on a path of its own takes is bounded, and given back with the connection.
#[test]
#[ignore = "needs some seconds: cargo xtask test"]
fn a_million_watches() {
    const WATCHES: u64 = 1_000_000;
    let conn = ConnId(1);
    let now = Instant::now();
    let wall = SystemTime::UNIX_EPOCH;
    let mut server = Standalone::new(Arc::new(Options::new()), [0; 32], now, wall);
    server.handle_accept(now, conn, ([127, 0, 0, 1], 1).into());
    server.handle_data(now, conn, &greeting());
    let mut out = Vec::with_capacity(1 << 20);
    let watch = |server: &mut Standalone, out: &mut Vec<u8>| {
        let mut bytes = Vec::new();
        for base in (0..WATCHES).step_by(1000) {
            bytes.clear();
            for n in base..base + 1000 {
                exists(&mut bytes, &format!("/node-{n:08}"));
            }
            server.handle_data(now, conn, &bytes);
            while server.poll_transmit(conn, out) > 0 {
                out.clear();
            }
            while server.poll_output().is_some() {}
        }
    };
    let taken = allocation_counter::measure(|| watch(&mut server, &mut out));
    let each = taken.bytes_current / i64::try_from(WATCHES).unwrap();
    println!("{each} bytes for each watch");
    assert!((20..400).contains(&each), "{each} bytes for each watch");
    let again = allocation_counter::measure(|| watch(&mut server, &mut out));
    assert!(again.bytes_current < 1 << 20, "watches are a set");
    let given = allocation_counter::measure(|| server.handle_closed(now, conn));
    assert!(
        given.bytes_current < -taken.bytes_current * 9 / 10,
        "{given:?}"
    );
}

/// Half of the connections have a session, the others have said half of what they wanted to.
#[test]
#[ignore = "needs two processes with 10,000 open files each: cargo xtask test"]
fn ten_thousand_connections() {
    const COUNT: usize = 10_000;
    let limit = raise_the_limit_of_open_files();
    if limit.is_some_and(|limit| limit < COUNT as u64 + 100) {
        println!("ten thousand connections: left out, as the limit of open files is {limit:?}");
        return;
    }
    if let Ok(addr) = env::var("ZK_CROWD") {
        return crowd(&addr, COUNT);
    }
    let server = Server::start().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "ten_thousand_connections",
            "--ignored",
            "--nocapture",
        ])
        .env("ZK_CROWD", server.local_addr().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = child.stdout.take().unwrap();
    let mut byte = [0];
    while !said.contains("all are there") {
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "{said}");
        said.push(char::from(byte[0]));
    }
    // The last bytes of those that say half may still be on their way; what connected is counted.
    let sessions = server.sessions().len();
    assert_eq!(sessions, COUNT / 2);
    assert!(server.connections() >= sessions);
    // One more is served as if it was alone.
    let mut other = TcpStream::connect(server.local_addr()).unwrap();
    other
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    other.write_all(b"ruok").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "imok");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// As far as the system lets this process go; `None` is any number.
fn raise_the_limit_of_open_files() -> Option<u64> {
    let mut limits = getrlimit(Resource::Nofile);
    limits.current = limits.maximum;
    setrlimit(Resource::Nofile, limits).unwrap();
    limits.current
}

/// The other process: connects, waits for its input to end, and is gone with all its connections.
fn crowd(addr: &str, count: usize) {
    let mut all = Vec::new();
    for n in 0..count {
        let mut stream = TcpStream::connect(addr).unwrap();
        let hello = greeting();
        if n % 2 == 0 {
            stream.write_all(&hello[..hello.len() / 2]).unwrap();
        } else {
            stream.write_all(&hello).unwrap();
            let mut answer = [0; 41];
            stream.read_exact(&mut answer).unwrap();
        }
        all.push(stream);
    }
    println!("all are there");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
