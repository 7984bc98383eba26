//! Carries a case out.

use std::io;
use std::time::Duration;

use zk_proto::{
    Acl, AddWatchMode, Chroot, CreateMode, ErrorCode, MultiOp, ReadOp, Request, ServerAddr,
    WatcherType,
};
use zk_session::{Call, Cancelled, ConnId, KeepAlive, RequestId, SaslError, TimerId, WatchId};

use crate::checks::tag_text;
use crate::cluster::Cluster;
use crate::ops::{CODES, Op};
use crate::options::Options;
use crate::registry::Flavour;
use crate::world::{Cuts, Rig, epoch, server};

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
    | Op::Garbage(which, _)
    | Op::Corrupt(which, _)) = op
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
        Op::Corrupt(_, changes) => {
            let peer = rig.cluster.peers.get_mut(&conn);
            if let Some((_, frame)) = peer.and_then(|peer| peer.out.front_mut()) {
                rig.checks.honest = false;
                for (at, byte) in changes {
                    let at = at % frame.len();
                    frame[at] = *byte;
                }
            }
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
    let path = if shared && body == 7 {
        "/big".to_owned()
    } else if shared {
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

/// A session's options, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Case {
    pub options: Options,
    /// How servers keep watches.
    pub flavour: Flavour,
    pub ops: Vec<Op>,
    /// Servers go on answering while the session is closed in the end.
    pub cooperative: bool,
}

/// Runs a case, and tells all that came out of the session. What servers send is cut by `cuts`.
///
/// # Panics
/// If the session breaks a promise.
pub fn transcript(case: &Case, cuts: Cuts) -> String {
    let options = &case.options;
    let cluster = Cluster::new(case.flavour, 4, &["/app", "/shared", "/big"], epoch());
    let mut rig = Rig::new(options.build(), options.seed, cluster);
    rig.layered = options.layered;
    rig.cuts = cuts;
    let mut books = Books::default();
    for op in &case.ops {
        run(&mut rig, &mut books, op);
    }
    rig.finish(case.cooperative);
    rig.transcript
}
