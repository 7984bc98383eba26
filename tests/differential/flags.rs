//! Every operation that creates a node, with all flags, within a multi and outside of one, and a child
//! of what it creates: what counts for the child is not always what the node is.

use std::net::SocketAddr;

use zk_proto::{Acl, CreateMode, MultiOp, OpCode, Password, RawMode, Request, WireMode};

use super::lockstep::{Claim, Greet, Lockstep};
use super::requests::Ask;

const OPERATIONS: [OpCode; 4] = [
    OpCode::CREATE,
    OpCode::CREATE2,
    OpCode::CREATE_CONTAINER,
    OpCode::CREATE_TTL,
];

/// An hour, for the operation that has a time; anything less than 0 may end a real server.
const TTL: i64 = 3_600_000;

/// Compares two servers that have just been started, and panics where they differ.
pub(super) fn check(addresses: [SocketAddr; 2], title: String) {
    let mut both = Lockstep::new(addresses, 1, title);
    let greet = Greet {
        claim: Claim::New,
        timeout: 600_000,
        last_zxid: 0,
        read_only: Some(false),
        password: Password::from([0; 16]),
        version: 0,
    };
    assert!(both.greet(0, &greet));
    let modes = OPERATIONS.into_iter().flat_map(|opcode| {
        let ttl = (opcode == OpCode::CREATE_TTL).then_some(TTL);
        (-1..=7).map(move |flags| RawMode { opcode, flags, ttl })
    });
    let mut created = 0;
    for (number, mode) in modes.enumerate() {
        let parent = format!("/{number}");
        let counted = matches!(mode.flags, 2 | 3 | 6);
        let node = format!("{parent}/x{}", if counted { "0000000000" } else { "" });
        let make = || op(&format!("{parent}/x"), WireMode::Raw(mode));
        let plain = |path: &str| op(path, CreateMode::Persistent.into());
        let child = format!("{node}/c");
        let asks = [
            alone(plain(&parent)),
            // With the child, which may fail both; then the node without it, and the child.
            Request::Multi(vec![make(), plain(&child)].into()),
            Request::Multi(vec![make()].into()),
            alone(plain(&child)),
            stat(&node),
            // The same outside of a multi.
            alone(plain(&format!("{parent}-"))),
            alone(op(&format!("{parent}-/x"), WireMode::Raw(mode))),
            alone(plain(&format!("{parent}-{}/c", &node[parent.len()..]))),
            stat(&format!("{parent}-{}", &node[parent.len()..])),
        ];
        for request in asks {
            let seen = both.ask(0, &[&Ask::of(request)], None);
            created += seen.iter().filter(|seen| seen.body().is_some()).count();
        }
    }
    assert!(created > 100, "only {created} requests succeeded");
}

fn op(path: &str, mode: WireMode) -> MultiOp<'static> {
    MultiOp::Create {
        path: path.to_owned().into(),
        data: None,
        acl: Acl::open_unsafe().into(),
        mode,
        with_stat: false,
    }
}

/// The same outside of a multi.
fn alone(op: MultiOp<'static>) -> Request<'static> {
    match op {
        MultiOp::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        } => Request::Create {
            path,
            data,
            acl,
            mode,
            with_stat,
        },
        other => panic!("{other:?}"),
    }
}

fn stat(path: &str) -> Request<'static> {
    Request::Exists {
        path: path.to_owned().into(),
        watch: false,
    }
}
