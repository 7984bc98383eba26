//! What one operation costs the session, without sockets and clocks: to be run under callgrind.
//!
//! Takes a scenario, `get`, `set` or `children`, and how many operations to carry out, a hundred in flight at
//! a time. The peer copies replies that were made before, so nearly all that is counted is ours.

use std::env;
use std::error::Error;
use std::time::{Duration, Instant};

use zk_proto::{
    Chroot, ConnectResponse, ErrorCode, OpCode, Password, Payload, Reply, ReplyHeader, Request,
    SessionId, Stat, Xid, Zxid, frame, parse_hosts,
};
use zk_session::{Action, Call, Config, ConnId, Event, Session};

/// Operations in flight.
const WINDOW: u64 = 100;

#[expect(clippy::disallowed_methods, reason = "a program has arguments")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let scenario = arguments.next().unwrap_or_else(|| "get".to_owned());
    let count = arguments.next().and_then(|count| count.parse().ok());
    let (request, reply) = match scenario.as_str() {
        "set" => (
            Request::SetData {
                path: "/config".into(),
                data: Some(b"some data"[..].into()),
                version: -1,
            },
            Reply::Stat(Stat::default()),
        ),
        "children" => (
            Request::GetChildren {
                path: "/config".into(),
                watch: false,
                with_stat: false,
            },
            Reply::Children((0..1_000).map(|n| format!("member-{n:010}")).collect()),
        ),
        _ => (
            Request::GetData {
                path: "/config".into(),
                watch: false,
            },
            Reply::Data {
                data: Payload::from(&b"some data"[..]),
                stat: Stat::default(),
            },
        ),
    };
    run(
        &request,
        &Chroot::default(),
        &reply,
        count.unwrap_or(WINDOW),
    )
}

#[expect(clippy::disallowed_methods, reason = "a moment to begin at")]
fn run<'a>(
    request: &'a Request<'a>,
    root: &'a Chroot,
    reply: &Reply,
    count: u64,
) -> Result<(), Box<dyn Error>> {
    let now = Instant::now();
    let (mut session, conn) = connected(now)?;
    let reply = framed(request.opcode(), reply);
    let (mut sent, mut arrived) = (Vec::new(), Vec::new());
    let mut xid = Xid::FIRST;
    for _ in 0..count.div_ceil(WINDOW) {
        for _ in 0..WINDOW {
            session.submit(now, Call::new(request, root))?;
        }
        sent.clear();
        while session.poll_transmit(now, conn, &mut sent) > 0 {}
        arrived.clear();
        for _ in 0..WINDOW {
            let at = arrived.len() + 4;
            arrived.extend_from_slice(&reply);
            arrived[at..at + 4].copy_from_slice(&xid.0.to_be_bytes());
            xid = Xid(xid.0 + 1);
        }
        session.handle_data(now, conn, &arrived);
        let mut completed = 0;
        while let Some(event) = session.poll_event() {
            if let Event::Completed { result, .. } = event {
                result?;
                completed += 1;
            }
        }
        assert_eq!(completed, WINDOW, "every request is answered");
    }
    Ok(())
}

/// A session on a connection, with nothing left to fetch.
fn connected(now: Instant) -> Result<(Session, ConnId), Box<dyn Error>> {
    let (servers, _) = parse_hosts("127.0.0.1:2181")?;
    let config = Config::builder(servers)
        .session_timeout(Duration::from_secs(60))
        .build()?;
    let mut session = Session::new(config, [7; 32], now);
    let Some(Action::Connect { conn, .. }) = session.poll_action() else {
        return Err("the session wants no connection".into());
    };
    session.handle_connected(now, conn);
    while session.poll_transmit(now, conn, &mut Vec::new()) > 0 {}
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
    session.handle_data(now, conn, &greeting);
    while session.poll_event().is_some() {}
    assert!(session.state().is_connected(), "the greeting was taken");
    Ok((session, conn))
}

/// A reply as it comes from a server, for any xid.
fn framed(opcode: OpCode, reply: &Reply) -> Vec<u8> {
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
