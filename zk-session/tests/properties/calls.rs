//! Any calls in any order: nothing panics, nothing loops, and what is told is true.

use std::io;
use std::time::Duration;

use proptest::prelude::*;
use zk_proto::{
    Acl, AddWatchMode, Chroot, CreateMode, ErrorCode, MultiOp, ReadOp, Request, ServerAddr,
    WatcherType,
};
use zk_session::{Call, Cancelled, ConnId, KeepAlive, RequestId, SaslError, TimerId, WatchId};

use crate::checks::tag_text;
use crate::cluster::Cluster;
use crate::config::{Options, duration, options};
use crate::registry::Flavour;
use crate::rig::{Rig, epoch, server};

#[derive(Clone, Debug)]
enum Op {
    Submit {
        body: u8,
        shared: bool,
        watch: bool,
        chroot: bool,
        deadline: Option<i64>,
        urgent: bool,
    },
    Cancel(usize),
    Unwatch(usize),
    SetTimer(i64),
    CancelTimer(usize),
    SetServers(u8),
    SetFallback(u8),
    KeepAlive(bool),
    Reconnect,
    Close(Duration),
    Detach(Duration),
    Connected(usize),
    Refuse(usize),
    Cut(usize, bool),
    Stale(usize, u8),
    Sasl(bool),
    Transmit(usize, usize),
    Serve(usize, usize),
    Deliver(usize, usize, usize),
    Advance(Duration),
    Skew(Duration),
    Timeout,
    Drain,
    Turns(usize),
    Kill,
    Substitute,
    Isolate(usize, bool),
    Heal(usize),
    Code(usize, usize),
    Write(bool),
    Garbage(usize, Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    let which = || 0..4usize;
    let millis = || -3000..20_000i64;
    let submit = (
        0..20u8,
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        prop::option::weighted(0.3, millis()),
        prop::bool::weighted(0.1),
    );
    let submit = submit.prop_map(
        |(body, shared, watch, chroot, deadline, urgent)| Op::Submit {
            body,
            shared,
            watch,
            chroot,
            deadline,
            urgent,
        },
    );
    let asked = prop_oneof![
        60 => submit,
        8 => (0..60usize).prop_map(Op::Cancel),
        8 => (0..60usize).prop_map(Op::Unwatch),
        4 => millis().prop_map(Op::SetTimer),
        2 => which().prop_map(Op::CancelTimer),
        2 => any::<u8>().prop_map(Op::SetServers),
        2 => any::<u8>().prop_map(Op::SetFallback),
        3 => any::<bool>().prop_map(Op::KeepAlive),
        2 => Just(Op::Reconnect),
        1 => duration().prop_map(Op::Close),
        1 => duration().prop_map(Op::Detach),
    ];
    let network = prop_oneof![
        6 => which().prop_map(Op::Connected),
        2 => which().prop_map(Op::Refuse),
        3 => (which(), any::<bool>()).prop_map(|(conn, served)| Op::Cut(conn, served)),
        2 => (which(), any::<u8>()).prop_map(|(conn, kind)| Op::Stale(conn, kind)),
        2 => prop::bool::weighted(0.9).prop_map(Op::Sasl),
        10 => (which(), 1..20usize).prop_map(|(conn, n)| Op::Transmit(conn, n)),
        10 => (which(), 1..20usize).prop_map(|(conn, n)| Op::Serve(conn, n)),
        10 => (which(), 1..20usize, prop_oneof![Just(usize::MAX), 1..30usize])
            .prop_map(|(conn, n, piece)| Op::Deliver(conn, n, piece)),
        8 => (1..3000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
        2 => (1..200_000u64).prop_map(|ms| Op::Advance(Duration::from_millis(ms))),
        2 => (0..9000u64).prop_map(|ms| Op::Skew(Duration::from_millis(ms))),
        3 => Just(Op::Timeout),
        4 => Just(Op::Drain),
        20 => (1..8usize).prop_map(Op::Turns),
    ];
    let servers = prop_oneof![
        1 => Just(Op::Kill),
        1 => Just(Op::Substitute),
        6 => (which(), prop::bool::weighted(0.3)).prop_map(|(n, ro)| Op::Isolate(n, ro)),
        6 => which().prop_map(Op::Heal),
        2 => (which(), 0..CODES.len()).prop_map(|(conn, code)| Op::Code(conn, code)),
        4 => any::<bool>().prop_map(Op::Write),
        1 => (which(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(conn, bytes)| Op::Garbage(conn, bytes)),
    ];
    prop_oneof![10 => asked, 10 => network, 3 => servers]
}

const CODES: [ErrorCode; 8] = [
    ErrorCode::SESSION_EXPIRED,
    ErrorCode::AUTH_FAILED,
    ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH,
    ErrorCode::UNIMPLEMENTED,
    ErrorCode::THROTTLED_OP,
    ErrorCode::NOT_READ_ONLY,
    ErrorCode::NO_NODE,
    ErrorCode::MARSHALLING_ERROR,
];

/// The tester's own books, by which operations name things.
#[derive(Default)]
struct Books {
    requests: Vec<RequestId>,
    watches: Vec<WatchId>,
    timers: Vec<TimerId>,
    tag: u64,
}

fn list(mask: u8) -> Vec<ServerAddr> {
    (0..4)
        .filter(|n| mask & (1 << n) != 0)
        .map(server)
        .collect()
}

fn run(rig: &mut Rig, books: &mut Books, op: &Op) {
    let told = rig.told();
    match op {
        Op::Submit { .. } => submit(rig, books, op),
        Op::Cancel(which) => {
            let Some(id) = books.requests.get(*which).copied() else {
                return;
            };
            match rig.session.cancel(told, id) {
                Cancelled::Unknown => {}
                outcome => rig.checks.cancelled(id, outcome == Cancelled::Unsent),
            }
        }
        Op::Unwatch(which) => {
            rig.drain();
            if let Some(id) = books.watches.get(*which) {
                rig.session.unwatch(told, *id);
                rig.checks.unwatched(*id);
            }
        }
        Op::SetTimer(ms) => {
            let at = epoch() + Duration::from_millis((20_000 + ms) as u64);
            let id = rig.session.set_timer(at);
            rig.checks.timer(id);
            books.timers.push(id);
        }
        Op::CancelTimer(which) => {
            rig.drain();
            if let Some(id) = books.timers.get(*which) {
                rig.session.cancel_timer(*id);
                rig.checks.timer_cancelled(*id);
            }
        }
        Op::SetServers(mask) => rig.session.set_servers(told, &list(*mask)),
        Op::SetFallback(mask) => rig.session.set_fallback_servers(&list(*mask)),
        Op::KeepAlive(sync) => {
            let way = if *sync {
                KeepAlive::Sync
            } else {
                KeepAlive::Ping
            };
            rig.session.set_keep_alive(told, way);
        }
        Op::Reconnect => rig.session.reconnect(told),
        Op::Close(limit) => rig.session.close(told, *limit),
        Op::Detach(limit) => rig.session.detach(told, *limit),
        Op::Timeout => rig.session.handle_timeout(told),
        Op::Drain => rig.drain(),
        Op::Advance(by) => rig.advance(*by),
        Op::Skew(by) => rig.skew = *by,
        Op::Turns(n) => (0..*n).for_each(|_| {
            rig.turn();
        }),
        _ => network(rig, op),
    }
}

fn network(rig: &mut Rig, op: &Op) {
    let told = rig.told();
    match op {
        Op::Kill => {
            if let Some((id, _)) = rig.session.credentials() {
                rig.killed = true;
                rig.cluster.expire(id.0);
            }
        }
        Op::Substitute => rig.cluster.substitute = true,
        Op::Isolate(member, read_only) => {
            let at = member % rig.cluster.members.len();
            rig.cluster.members[at].isolated = true;
            rig.cluster.members[at].read_only = *read_only;
        }
        Op::Heal(member) => rig.cluster.heal(member % rig.cluster.members.len()),
        Op::Write(delete) => {
            let path = "/shared".into();
            rig.cluster.write(if *delete {
                MultiOp::Delete { path, version: -1 }
            } else {
                MultiOp::Create {
                    path,
                    data: None,
                    acl: Acl::open_unsafe().into(),
                    mode: CreateMode::Persistent.into(),
                    with_stat: false,
                }
            });
        }
        Op::Sasl(good) => {
            for conn in std::mem::take(&mut rig.sasl) {
                let token = if *good {
                    Ok(b"token".to_vec())
                } else {
                    Err(SaslError::new("no ticket"))
                };
                rig.session.handle_sasl(told, conn, token);
            }
        }
        Op::Stale(which, kind) => stale(rig, *which, *kind),
        _ => on_connection(rig, op),
    }
}

/// News of a connection that is over.
fn stale(rig: &mut Rig, which: usize, kind: u8) {
    let told = rig.told();
    let Some(conn) = rig.old.get(which).copied() else {
        return;
    };
    match kind % 5 {
        0 => rig.session.handle_connected(told, conn),
        1 => rig.session.handle_data(told, conn, b"late news"),
        2 => rig
            .session
            .handle_disconnected(told, conn, io::ErrorKind::BrokenPipe),
        3 => rig.session.handle_sasl(told, conn, Ok(Vec::new())),
        _ => {
            assert!(rig.session.lend(conn).is_none(), "nothing is under way");
            assert_eq!(rig.session.poll_transmit(told, conn, &mut Vec::new()), 0);
            assert!(!rig.session.wants_read(conn));
        }
    }
}

fn on_connection(rig: &mut Rig, op: &Op) {
    let (Op::Connected(which)
    | Op::Refuse(which)
    | Op::Cut(which, _)
    | Op::Transmit(which, _)
    | Op::Serve(which, _)
    | Op::Deliver(which, _, _)
    | Op::Code(which, _)
    | Op::Garbage(which, _)) = op
    else {
        unreachable!("all others are dealt with");
    };
    let Some(conn) = rig.pick(*which) else { return };
    match op {
        Op::Connected(_) => rig.connected(conn),
        Op::Refuse(_) => rig.cut(conn, io::ErrorKind::ConnectionRefused, false),
        Op::Cut(_, served) => rig.cut(conn, io::ErrorKind::ConnectionReset, *served),
        Op::Transmit(_, times) => {
            rig.transmit(conn, *times);
        }
        Op::Serve(_, times) => (0..*times).for_each(|_| {
            rig.cluster.serve(conn);
        }),
        Op::Deliver(_, times, piece) => (0..*times).for_each(|_| {
            rig.deliver(conn, *piece);
        }),
        Op::Code(_, code) => code_next(rig, conn, CODES[*code]),
        Op::Garbage(_, bytes) => {
            rig.checks.honest = false;
            let told = rig.told();
            rig.session.handle_data(told, conn, bytes);
        }
        _ => {}
    }
}

fn code_next(rig: &mut Rig, conn: ConnId, code: ErrorCode) {
    if let Some(peer) = rig.cluster.peers.get_mut(&conn) {
        // The leader knows nothing of this answer, whatever it looks like.
        rig.checks.honest &= code != ErrorCode::NO_NODE;
        rig.killed |= code == ErrorCode::SESSION_EXPIRED;
        peer.next_error = Some(code);
    }
}

fn submit(rig: &mut Rig, books: &mut Books, op: &Op) {
    let Op::Submit {
        body,
        shared,
        watch,
        chroot,
        deadline,
        urgent,
    } = *op
    else {
        return;
    };
    books.tag += 1;
    let tag = tag_text(books.tag);
    let path = if shared {
        "/shared".to_owned()
    } else {
        format!("/{tag}")
    };
    let data = Some(tag.as_bytes().to_vec().into());
    let acl = || Acl::open_unsafe().into();
    let create = |mode: CreateMode| Request::Create {
        path: path.as_str().into(),
        data: data.clone(),
        acl: acl(),
        mode: mode.into(),
        with_stat: watch,
    };
    let at = || path.as_str().into();
    let text = || Some(tag.as_str().into());
    let request = match body {
        0 => create(CreateMode::Persistent),
        1 => create(CreateMode::EphemeralSequential),
        2 => Request::Delete {
            path: at(),
            version: -1,
        },
        3 => Request::SetData {
            path: at(),
            data: data.clone(),
            version: -1,
        },
        4 | 5 => Request::Exists { path: at(), watch },
        6 | 7 => Request::GetData { path: at(), watch },
        8 | 9 => Request::GetChildren {
            path: at(),
            watch,
            with_stat: urgent,
        },
        10 => Request::AddWatch {
            path: at(),
            mode: AddWatchMode::PERSISTENT,
        },
        11 => Request::AddWatch {
            path: at(),
            mode: AddWatchMode::PERSISTENT_RECURSIVE,
        },
        12 => Request::Multi(
            vec![
                MultiOp::Create {
                    path: at(),
                    data: data.clone(),
                    acl: acl(),
                    mode: CreateMode::Persistent.into(),
                    with_stat: watch,
                },
                MultiOp::Check {
                    path: at(),
                    version: -1,
                },
            ]
            .into(),
        ),
        13 => Request::Auth {
            scheme: "digest".into(),
            data: data.clone(),
        },
        14 => Request::Sync { path: at() },
        15 => Request::Reconfig {
            joining: text(),
            leaving: None,
            new_members: None,
            from_config: -1,
        },
        16 => Request::RemoveWatches {
            path: at(),
            kind: WatcherType::ANY,
        },
        17 => Request::MultiRead(vec![ReadOp::GetData { path: at() }].into()),
        18 => Request::SetAcl {
            path: at(),
            acl: acl(),
            version: -1,
        },
        _ => Request::GetEphemerals { prefix: at() },
    };
    let traced = !shared || matches!(body, 0..=1 | 3 | 12..=13 | 15);
    let chroot = match (chroot, shared) {
        (true, false) => Chroot::parse("/app").expect("a path"),
        _ => Chroot::default(),
    };
    let deadline = deadline.map(|ms| epoch() + Duration::from_millis((20_000 + ms) as u64));
    let mut call = Call::new(&request, &chroot).deadline(deadline);
    if urgent {
        call = call.urgent();
    }
    let told = rig.told();
    if let Ok(submitted) = rig.session.submit(told, call) {
        rig.checks
            .submitted(submitted.id, traced.then_some(books.tag));
        books.requests.push(submitted.id);
        if let Some(id) = submitted.watch {
            rig.checks
                .watcher(id, matches!(request, Request::AddWatch { .. }));
            books.watches.push(id);
        }
    }
}

/// Runs a case, and tells all that came out of the session.
fn transcript(options: &Options, replacing: bool, ops: &[Op], cooperative: bool) -> String {
    let flavour = if replacing {
        Flavour::Replacing
    } else {
        Flavour::Coexisting
    };
    let cluster = Cluster::new(flavour, 4, &["/app", "/shared"], epoch());
    let mut rig = Rig::new(options.build(), options.seed, cluster);
    rig.layered = options.layered;
    let mut books = Books::default();
    for op in ops {
        run(&mut rig, &mut books, op);
    }
    rig.finish(cooperative);
    rig.transcript
}

fn cases() -> impl Strategy<Value = (Options, bool, Vec<Op>, bool)> {
    let ops = prop::collection::vec(op(), 1..120);
    (options(), any::<bool>(), ops, any::<bool>())
}

#[test]
fn any_calls_in_any_order() {
    crate::check(700, cases(), |(options, replacing, ops, cooperative)| {
        transcript(&options, replacing, &ops, cooperative);
    });
}

#[test]
fn the_same_inputs_give_the_same_outputs() {
    crate::check(150, cases(), |(options, replacing, ops, cooperative)| {
        let once = transcript(&options, replacing, &ops, cooperative);
        let twice = transcript(&options, replacing, &ops, cooperative);
        assert_eq!(once, twice);
    });
}

/// The failure of the attempt that made the session give up closing came after it.
#[test]
fn nothing_is_told_after_the_end_of_a_close_that_was_refused() {
    let wait = |ms| Op::Advance(Duration::from_millis(ms));
    let ops = [
        Op::Turns(1),
        wait(2667),
        wait(813),
        wait(1854),
        Op::Refuse(0),
        wait(5334),
    ];
    transcript(&Options::read_only(2), false, &ops, false);
}
