//! How fast the server is on this machine: pipelined reads and writes, without sockets and over
//! them, and the time from the start to the first answer.
//!
//! ```text
//! cargo run --release -p zk-server --example rates
//! cargo run --release -p zk-server --example rates 127.0.0.1:2181   # beside another server
//! ```

#![expect(clippy::disallowed_methods, reason = "it measures time")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use zk_proto::{
    Acl, Chroot, ConnectRequest, CreateMode, Password, Request, RequestHeader, SessionId, Xid,
    Zxid, frame,
};
use zk_server::{ConnId, Options, Server, Standalone};

const WINDOW: usize = 1000;
const CONN: ConnId = ConnId(1);

fn main() -> Result<(), Box<dyn Error>> {
    let get = Request::GetData {
        path: "/node".into(),
        watch: false,
    };
    let set = Request::SetData {
        path: "/node".into(),
        data: Some(vec![1; 100].into()),
        version: -1,
    };
    let mut out = std::io::stdout();
    for (name, request) in [("gets", &get), ("sets", &set)] {
        let rate = without_sockets(request);
        writeln!(out, "{rate:>10.0} {name} a second without sockets")?;
        let server = Server::builder().quiet().start()?;
        let rate = over_sockets(server.local_addr(), request)?;
        writeln!(
            out,
            "{rate:>10.0} {name} a second over a socket, both ends on this machine"
        )?;
        if let Some(other) = std::env::args().nth(1) {
            let others = over_sockets(other.parse()?, request)?;
            writeln!(
                out,
                "{others:>10.0} {name} a second of {other}: ours are {:.1} times as many",
                rate / others
            )?;
        }
    }
    let begun = Instant::now();
    let server = Server::builder().quiet().start()?;
    let mut stream = TcpStream::connect(server.local_addr())?;
    stream.write_all(&greeting())?;
    stream.read_exact(&mut [0; 41])?;
    writeln!(
        out,
        "{:>10.1?} from the start to the first answer",
        begun.elapsed()
    )?;
    Ok(())
}

fn without_sockets(request: &Request<'_>) -> f64 {
    let now = Instant::now();
    let options = Arc::new(Options::new());
    let mut server = Standalone::new(options, [0; 32], now, SystemTime::now());
    server.handle_accept(now, CONN, ([127, 0, 0, 1], 1).into());
    server.handle_data(now, CONN, &greeting());
    server.handle_data(now, CONN, &encode(&create()));
    let window = encode(request).repeat(WINDOW);
    let mut out = Vec::new();
    rate(|| {
        server.handle_data(now, CONN, &window);
        while server.poll_output().is_some() {}
        out.clear();
        while server.poll_transmit(CONN, &mut out) > 0 {}
    })
}

fn over_sockets(server: SocketAddr, request: &Request<'_>) -> Result<f64, Box<dyn Error>> {
    let mut stream = TcpStream::connect(server)?;
    let mut reply = [0; 64 * 1024];
    // The node may be there already.
    let mut length = 0;
    for frame in [&greeting(), &encode(&create()), &encode(request)] {
        stream.write_all(frame)?;
        let mut prefix = [0; 4];
        stream.read_exact(&mut prefix)?;
        length = u32::from_be_bytes(prefix) as usize;
        stream.read_exact(&mut reply[..length])?;
    }
    let window = encode(request).repeat(WINDOW);
    let mut failed = None;
    let rate = rate(|| {
        let mut left = WINDOW * (4 + length);
        let mut all = || {
            stream.write_all(&window)?;
            while left > 0 {
                left -= stream.read(&mut reply)?;
            }
            Ok::<(), std::io::Error>(())
        };
        failed = all().err().or_else(|| failed.take());
    });
    failed.map_or(Ok(rate), |error| Err(error.into()))
}

/// Requests a second, from one second of windows.
fn rate(mut window: impl FnMut()) -> f64 {
    window();
    let begun = Instant::now();
    let mut windows = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        window();
        windows += 1;
    }
    f64::from(windows) * WINDOW as f64 / begun.elapsed().as_secs_f64()
}

fn greeting() -> Vec<u8> {
    let mut bytes = Vec::new();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout: 10_000,
        session_id: SessionId::NONE,
        password: Password::EMPTY,
        read_only: Some(false),
    };
    frame(&mut bytes, |out| request.encode(out));
    bytes
}

fn create() -> Request<'static> {
    Request::Create {
        path: "/node".into(),
        data: Some(vec![1; 100].into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    }
}

fn encode(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        let header = RequestHeader {
            xid: Xid::FIRST,
            opcode: request.opcode(),
        };
        header.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
    bytes
}
