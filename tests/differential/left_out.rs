//! What the generator does not ask for, asked once.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{
    Acl, Chroot, ConnectRequest, OpCode, Password, RawMode, Reader, ReplyHeader, Request,
    SessionId, WireMode, Zxid, frame, put_int,
};
use zk_server::Release;
use zk_testkit::eventually;

use super::wire::{Got, Wire};

/// What came of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    /// This error, and so many zxids taken.
    Code(i32, i64),
    /// This error, after which the connection was closed.
    Last(i32),
    /// A frame that is no reply.
    Greeting,
    Nothing,
}

struct Case {
    name: &'static str,
    opcode: OpCode,
    body: &'static [u8],
    /// Of 3.8 and of 3.9.
    real: [Outcome; 2],
    ours: [Outcome; 2],
}

const NULL_PATH: &[u8] = &[0xff; 4];
const NULL_PATH_ANY_VERSION: &[u8] = &[0xff; 8];
const NULL_PATH_PERSISTENT: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
const PATH: &[u8] = b"\0\0\0\x05/none";

const CASES: [Case; 6] = [
    Case {
        name: "sync of null",
        opcode: OpCode::SYNC,
        body: NULL_PATH,
        real: [Outcome::Code(0, 0); 2],
        ours: [Outcome::Code(-5, 0); 2],
    },
    Case {
        name: "getEphemerals of null",
        opcode: OpCode::GET_EPHEMERALS,
        body: NULL_PATH,
        real: [Outcome::Code(0, 0); 2],
        ours: [Outcome::Code(-5, 0); 2],
    },
    Case {
        name: "addWatch of null",
        opcode: OpCode::ADD_WATCH,
        body: NULL_PATH_PERSISTENT,
        real: [Outcome::Code(0, 0); 2],
        ours: [Outcome::Code(-5, 0); 2],
    },
    Case {
        name: "delete of null",
        opcode: OpCode::DELETE,
        body: NULL_PATH_ANY_VERSION,
        real: [Outcome::Code(-5, 1); 2],
        ours: [Outcome::Code(-5, 1), Outcome::Code(-5, 0)],
    },
    Case {
        name: "deleteContainer",
        opcode: OpCode::DELETE_CONTAINER,
        body: PATH,
        real: [Outcome::Code(-8, 1), Outcome::Code(-101, 1)],
        ours: [Outcome::Last(-6); 2],
    },
    Case {
        name: "createSession",
        opcode: OpCode::CREATE_SESSION,
        body: &[0, 9, 0x27, 0xc0],
        real: [Outcome::Greeting; 2],
        ours: [Outcome::Last(-6); 2],
    },
];

/// Compares both servers with the table. The real one is ended by it.
pub(super) fn check(real: SocketAddr, ours: SocketAddr, release: Release) {
    let index = usize::from(release >= Release::V3_9);
    for case in &CASES {
        let seen = [outcome(real, case), outcome(ours, case)];
        let listed = [case.real[index], case.ours[index]];
        assert_eq!(seen, listed, "{release}: {}", case.name);
    }
    let ttl = || vec![create("/ttl", b"", OpCode::CREATE_TTL)];
    assert!(!ends(ours, ttl()), "{release}");
    assert!(ends(real, ttl()), "{release}");
}

/// What ends a real server, if it is written where quotas are kept.
pub(super) fn check_quotas(real: SocketAddr, ours: SocketAddr, release: Release) {
    let garbage = || {
        vec![
            create("/zookeeper/quota/q", b"", OpCode::CREATE),
            create(
                "/zookeeper/quota/q/zookeeper_limits",
                b"count=5,bytes=5",
                OpCode::CREATE,
            ),
            create(
                "/zookeeper/quota/q/zookeeper_stats",
                b"count=0,bytes=0",
                OpCode::CREATE,
            ),
            create("/q", b"", OpCode::CREATE),
            Request::SetData {
                path: "/zookeeper/quota/q/zookeeper_stats".into(),
                data: Some(b"garbage".into()),
                version: -1,
            },
            Request::Delete {
                path: "/q".into(),
                version: -1,
            },
        ]
    };
    assert!(!ends(ours, garbage()), "{release}");
    assert!(ends(real, garbage()), "{release}");
}

/// Whether a server is gone after these.
fn ends(address: SocketAddr, requests: Vec<Request<'static>>) -> bool {
    let mut wire = connect(address);
    let answered = requests.iter().all(|request| {
        let mut body = Vec::new();
        request.encode(&Chroot::ROOT, &mut body);
        ask(&mut wire, request.opcode(), &body).is_some()
    });
    if !answered {
        let limit = Duration::from_secs(20);
        let gone = eventually(limit, || Wire::open(address).is_none().then_some(()));
        assert!(
            gone.is_some(),
            "the connection is closed, the server is not"
        );
    }
    !answered
}

/// With flags 0, and the time -1 if the operation has a time.
fn create(path: &'static str, data: &'static [u8], opcode: OpCode) -> Request<'static> {
    Request::Create {
        path: path.into(),
        data: Some(data.into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: WireMode::Raw(RawMode {
            opcode,
            flags: 0,
            ttl: (opcode == OpCode::CREATE_TTL).then_some(-1),
        }),
        with_stat: false,
    }
}

fn connect(address: SocketAddr) -> Wire {
    let mut wire = Wire::open(address).unwrap();
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        let greeting = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout: 600_000,
            session_id: SessionId::NONE,
            password: Password::from([0; 16]),
            read_only: Some(false),
        };
        greeting.encode(out);
    });
    wire.send(&bytes);
    assert!(matches!(wire.read(), Got::Frame(_)));
    wire
}

fn outcome(address: SocketAddr, case: &Case) -> Outcome {
    let mut wire = connect(address);
    let before = ask(&mut wire, OpCode::PING, &[]).unwrap().zxid.0;
    let answer = match request(&mut wire, case.opcode, case.body) {
        Got::Frame(answer) => answer,
        Got::Closed | Got::Silence => return Outcome::Nothing,
    };
    if answer.len() != ReplyHeader::LEN && answer[..4] == [0; 4] {
        return Outcome::Greeting;
    }
    let code = header(&answer).err.0;
    match ask(&mut wire, OpCode::PING, &[]) {
        Some(after) => Outcome::Code(code, after.zxid.0 - before),
        None => Outcome::Last(code),
    }
}

fn ask(wire: &mut Wire, opcode: OpCode, body: &[u8]) -> Option<ReplyHeader> {
    match request(wire, opcode, body) {
        Got::Frame(answer) => Some(header(&answer)),
        Got::Closed | Got::Silence => None,
    }
}

fn request(wire: &mut Wire, opcode: OpCode, body: &[u8]) -> Got {
    let mut bytes = Vec::new();
    frame(&mut bytes, |out| {
        put_int(out, 1);
        put_int(out, opcode.0);
        out.extend_from_slice(body);
    });
    wire.send(&bytes);
    wire.read()
}

fn header(answer: &Bytes) -> ReplyHeader {
    ReplyHeader::decode(&mut Reader::new(answer)).unwrap()
}
