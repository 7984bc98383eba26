//! Requests at random.

use std::borrow::Cow;

use zk_proto::{
    Acl, AddWatchMode, Chroot, CreateMode, Id, MultiOp, OpCode, Perms, RawMode, ReadOp, Request,
    SetWatches, Ttl, WatcherType, WireMode, Zxid, make_digest_acl_credential,
};

use super::listed::Listed;
use super::odd;
use super::rng::Rng;
use super::world::World;

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) opcode: OpCode,
    pub(super) body: Vec<u8>,
    /// What it is, if it is something.
    pub(super) request: Option<Request<'static>>,
    /// For the record.
    pub(super) what: String,
    /// How the answers may differ.
    pub(super) listed: Option<&'static Listed>,
}

impl Ask {
    pub(super) fn of(request: Request<'static>) -> Self {
        let mut body = Vec::new();
        request.encode(&Chroot::default(), &mut body);
        let what = format!("{request:?}");
        Self {
            opcode: request.opcode(),
            body,
            request: Some(request),
            what,
            listed: None,
        }
    }

    pub(super) fn raw(opcode: OpCode, body: Vec<u8>) -> Self {
        let what = format!("{opcode} with the body {}", odd::hex(&body));
        Self {
            opcode,
            body,
            request: None,
            what,
            listed: None,
        }
    }

    pub(super) fn listed(mut self, listed: &'static Listed) -> Self {
        self.listed = Some(listed);
        self
    }
}

/// Any request, now and then one that is none.
pub(super) fn any(world: &World, rng: &mut Rng) -> Ask {
    match rng.weighted(&[960, 25, 6, 6, 2, 1]) {
        0 => Ask::of(good(world, rng)),
        1 => odd::damaged(Ask::of(good(world, rng)), rng),
        2 => odd::multi(world, rng),
        3 => odd::nulls(world, rng),
        4 => odd::unknown(rng),
        _ => odd::large(rng),
    }
}

/// A request that is well formed.
pub(super) fn good(world: &World, rng: &mut Rng) -> Request<'static> {
    // When there are many nodes, make room.
    let delete = if world.nodes.len() > 150 { 60 } else { 14 };
    let weights = [
        18, delete, 9, 9, 9, 11, 3, 3, 1, 1, 9, 2, 3, 2, 2, 2, 1, 1, 1, 1, 2, 1, 1,
    ];
    let watch = rng.one_in(3);
    match rng.weighted(&weights) {
        0 => {
            let (mode, with_stat) = mode(rng);
            Request::Create {
                path: create_path(world, rng, mode).into(),
                data: data(rng),
                acl: Cow::Owned(acl(rng)),
                mode,
                with_stat,
            }
        }
        1 => {
            let path = delete_path(world, rng);
            let version = world.version(rng, world.nodes.get(&path).map(|node| node.version));
            Request::Delete {
                path: path.into(),
                version,
            }
        }
        2 => Request::Exists {
            path: world.path(rng).into(),
            watch,
        },
        3 => Request::GetData {
            path: world.path(rng).into(),
            watch,
        },
        4 => Request::GetChildren {
            path: world.path(rng).into(),
            watch,
            with_stat: rng.one_in(2),
        },
        5 => {
            let path = world.path(rng);
            let version = world.version(rng, world.nodes.get(&path).map(|node| node.version));
            Request::SetData {
                path: path.into(),
                data: data(rng),
                version,
            }
        }
        6 => Request::GetAcl {
            path: world.path(rng).into(),
        },
        7 => {
            let path = world.path(rng);
            let version = world.version(rng, world.nodes.get(&path).map(|node| node.aversion));
            Request::SetAcl {
                path: path.into(),
                acl: Cow::Owned(acl(rng)),
                version,
            }
        }
        8 => Request::Sync {
            path: world.path(rng).into(),
        },
        9 => Request::Ping,
        10 => {
            let count = rng.weighted(&[3, 15, 30, 25, 15, 10]);
            let ops: Vec<_> = multi_ops(world, rng, count);
            Request::Multi(ops.into())
        }
        11 => {
            let ops: Vec<_> = (0..rng.below(5))
                .map(|_| {
                    let path = world.path(rng).into();
                    if rng.one_in(2) {
                        ReadOp::GetData { path }
                    } else {
                        ReadOp::GetChildren { path }
                    }
                })
                .collect();
            Request::MultiRead(ops.into())
        }
        12 => Request::AddWatch {
            path: world.path(rng).into(),
            mode: AddWatchMode(*rng.pick(&[0, 0, 0, 1, 1, 1, 2, -1])),
        },
        13 => Request::CheckWatches {
            path: world.path(rng).into(),
            kind: watcher_type(rng),
        },
        14 => Request::RemoveWatches {
            path: world.path(rng).into(),
            kind: watcher_type(rng),
        },
        15 => Request::SetWatches(set_watches(world, rng)),
        16 => auth(rng),
        17 => Request::WhoAmI,
        18 => Request::GetEphemerals {
            prefix: match rng.below(4) {
                0 => "/".into(),
                1 => "".into(),
                _ => world.path(rng).into(),
            },
        },
        19 => Request::GetAllChildrenNumber {
            path: world.path(rng).into(),
        },
        20 => quota(rng),
        21 => Request::Check {
            path: world.path(rng).into(),
            version: world.version(rng, None),
        },
        _ => Request::Reconfig {
            joining: rng
                .one_in(2)
                .then(|| "server.2=localhost:2888:3888;2181".into()),
            leaving: rng.one_in(3).then(|| "1".into()),
            new_members: rng.one_in(3).then(|| "nonsense".into()),
            from_config: *rng.pick(&[-1, 0, 7]),
        },
    }
}

/// Writes that go together, or not.
pub(super) fn multi_ops(world: &World, rng: &mut Rng, count: usize) -> Vec<MultiOp<'static>> {
    let mut ops: Vec<MultiOp<'static>> = Vec::new();
    for _ in 0..count {
        // Often about a node of the operation before.
        let before = ops.last().map(|op| op.path().to_owned());
        let again = before.filter(|_| rng.one_in(3));
        let path = again.clone().unwrap_or_else(|| world.path(rng));
        let known = world.nodes.get(&path).map(|node| node.version);
        let version = if again.is_some() {
            *rng.pick(&[-1, -1, 0, 0, 1])
        } else {
            world.version(rng, known)
        };
        ops.push(match rng.weighted(&[40, 20, 25, 15]) {
            0 => {
                let (mode, with_stat) = mode(rng);
                let path = match again {
                    Some(path) if rng.one_in(2) => format!("{path}/{}", rng.pick(&["a", "b"])),
                    _ => create_path(world, rng, mode),
                };
                MultiOp::Create {
                    path: path.into(),
                    data: data(rng),
                    acl: Cow::Owned(acl(rng)),
                    mode,
                    with_stat,
                }
            }
            1 => MultiOp::Delete {
                path: again.unwrap_or_else(|| delete_path(world, rng)).into(),
                version,
            },
            2 => MultiOp::SetData {
                path: path.into(),
                data: data(rng),
                version,
            },
            _ => MultiOp::Check {
                path: path.into(),
                version,
            },
        });
    }
    ops
}

fn create_path(world: &World, rng: &mut Rng, mode: WireMode) -> String {
    let sequential = mode.known().is_some_and(CreateMode::is_sequential);
    let mut path = match rng.below(10) {
        0 => world.path(rng),
        1..=3 => {
            let parent = world.known(rng).unwrap_or_default();
            format!("{parent}/{}", rng.pick(&["a", "b", "c", "n"]))
        }
        _ => super::world::fresh(rng),
    };
    if sequential && rng.one_in(2) {
        path.push_str(rng.pick::<&str>(&["/", "-", "/9"]));
    }
    path
}

fn delete_path(world: &World, rng: &mut Rng) -> String {
    if rng.one_in(3) {
        world.path(rng)
    } else {
        world.leaf(rng).unwrap_or_else(|| world.path(rng))
    }
}

fn data(rng: &mut Rng) -> Option<Cow<'static, [u8]>> {
    let length = match rng.weighted(&[10, 10, 70, 9, 1]) {
        0 => return None,
        1 => 0,
        2 => 1 + rng.below(8),
        3 => rng.below(300),
        _ => rng.below(20_000),
    };
    Some((0..length).map(|at| at as u8).collect())
}

/// The mode of a new node and whether a `Stat` is asked for.
fn mode(rng: &mut Rng) -> (WireMode, bool) {
    let with_stat = rng.one_in(2);
    let ttl = Ttl::from_millis(*rng.pick(&[3_600_000, Ttl::MAX_MILLIS])).unwrap();
    let known = match rng.weighted(&[45, 15, 12, 8, 6, 4, 4, 6]) {
        0 => CreateMode::Persistent,
        1 => CreateMode::Ephemeral,
        2 => CreateMode::PersistentSequential,
        3 => CreateMode::EphemeralSequential,
        4 => CreateMode::Container,
        5 => CreateMode::PersistentWithTtl(ttl),
        6 => CreateMode::PersistentSequentialWithTtl(ttl),
        _ => return (odd_mode(rng), with_stat),
    };
    (known.into(), with_stat)
}

/// Flags and times that do not go with the operation, or with each other.
fn odd_mode(rng: &mut Rng) -> WireMode {
    let opcode = *rng.pick(&[
        OpCode::CREATE,
        OpCode::CREATE2,
        OpCode::CREATE_CONTAINER,
        OpCode::CREATE_TTL,
    ]);
    let flags = *rng.pick(&[0, 1, 2, 3, 4, 5, 6, 7, -1]);
    let ttl = if (0..=4).contains(&flags) {
        // Anything less would end a real server.
        *rng.pick(&[0, 3_600_000, 1 << 40])
    } else {
        *rng.pick(&[0, -1, 1 << 40, i64::MAX, i64::MIN])
    };
    WireMode::Raw(RawMode {
        opcode,
        flags,
        ttl: (opcode == OpCode::CREATE_TTL).then_some(ttl),
    })
}

fn acl(rng: &mut Rng) -> Vec<Acl> {
    let count = match rng.weighted(&[75, 15, 5, 4, 1]) {
        0 => return Acl::open_unsafe(),
        1 => 1,
        2 => 2,
        3 => 4,
        _ => 0,
    };
    let mut list: Vec<_> = (0..count).map(|_| entry(rng)).collect();
    if count > 1 && rng.one_in(2) {
        list.push(list[0].clone());
    }
    list
}

fn entry(rng: &mut Rng) -> Acl {
    let hash = |user: &str| make_digest_acl_credential(user, "pw");
    let (scheme, id) = match rng.below(24) {
        0..=3 => ("world", "anyone".to_owned()),
        4..=7 => ("auth", String::new()),
        8 => ("auth", "whatever".to_owned()),
        9..=11 => ("digest", hash("alice")),
        12 => ("digest", hash("bob")),
        13..=14 => ("ip", "127.0.0.1".to_owned()),
        15 => (
            "ip",
            (*rng.pick(&["127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0"])).to_owned(),
        ),
        16 => (
            "ip",
            (*rng.pick(&["127.0.0.1/32", "128.0.0.0/1", "10.1.2.3"])).to_owned(),
        ),
        17 => (
            "ip",
            (*rng.pick(&[
                "1.2.3",
                "127.0.0.1/33",
                "127.0.0.1/-1",
                "",
                "a.b.c.d",
                "1.2.3.256",
            ]))
            .to_owned(),
        ),
        18 => (
            "digest",
            (*rng.pick(&["", "alice", "a:b:c", ":", "a:"])).to_owned(),
        ),
        19 => ("world", (*rng.pick(&["nobody", "", "Anyone"])).to_owned()),
        20 => (
            *rng.pick(&["bogus", "sasl", "x509", "super", "", "WORLD"]),
            "anyone".to_owned(),
        ),
        _ => ("world", "anyone".to_owned()),
    };
    let perms = match rng.weighted(&[5, 4, 1]) {
        0 => 31,
        1 => rng.below(32) as i32,
        _ => *rng.pick(&[32, -1, 63, i32::MIN]),
    };
    Acl {
        perms: Perms(perms),
        id: Id::new(scheme, id),
    }
}

fn watcher_type(rng: &mut Rng) -> WatcherType {
    WatcherType(*rng.pick(&[1, 1, 2, 2, 3, 3, 3, 4, 5, 0, 6, -1]))
}

fn set_watches(world: &World, rng: &mut Rng) -> SetWatches<'static> {
    let relative = match rng.below(8) {
        0 => 0,
        1 => -1,
        2 => world.zxid + 1000,
        3 => world.zxid,
        _ => (world.zxid - rng.below(200) as i64).max(0),
    };
    let extended = rng.one_in(2);
    let mut list = |most| -> Vec<Cow<'static, str>> {
        (0..rng.below(most))
            .map(|_| world.path(rng).into())
            .collect()
    };
    SetWatches {
        relative_zxid: Zxid(relative),
        data: list(4),
        exist: list(4),
        child: list(4),
        persistent: if extended { list(3) } else { Vec::new() },
        recursive: if extended { list(3) } else { Vec::new() },
        extended,
    }
}

/// A credential. Not many are bad, as they cost the connection.
fn auth(rng: &mut Rng) -> Request<'static> {
    let (scheme, data): (&str, &[u8]) = match rng.below(20) {
        0..=5 => ("digest", b"alice:pw"),
        6..=9 => ("digest", b"bob:pw"),
        10..=12 => ("digest", b"super:superpw"),
        13 => ("digest", b"super:wrong"),
        14 => ("digest", b"nocolon"),
        15 => ("digest", *rng.pick(&[b"" as &[u8], b":", b"a:b:c", b"a:"])),
        16 => ("ip", b"10.1.1.1"),
        17 => (
            *rng.pick(&["world", "bogus", "sasl", "x509", "auth", ""]),
            b"x:y",
        ),
        _ => ("digest", b"alice:other"),
    };
    Request::Auth {
        scheme: scheme.into(),
        data: (!rng.one_in(20)).then(|| data.into()),
    }
}

/// Something about quotas.
fn quota(rng: &mut Rng) -> Request<'static> {
    let of = *rng.pick(&["a", "b", "c"]);
    let root = format!("/zookeeper/quota/{of}");
    let limits = *rng.pick(&[
        "count=3,bytes=10",
        "count=-1,bytes=-1",
        "count=5,bytes=100=;byteHardLimit=200;countHardLimit=6",
        "count=-1,bytes=-1=;byteHardLimit=50;countHardLimit=-1",
        "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=4",
    ]);
    let name = *rng.pick(&["zookeeper_limits", "zookeeper_stats"]);
    let data = if name == "zookeeper_limits" {
        limits
    } else {
        "count=0,bytes=0"
    };
    let create = |path: String, data: &str| Request::Create {
        path: path.into(),
        data: Some(data.as_bytes().to_vec().into()),
        acl: Cow::Owned(Acl::open_unsafe()),
        mode: CreateMode::Persistent.into(),
        with_stat: true,
    };
    match rng.below(8) {
        0 | 1 => create(root, ""),
        2 | 3 => create(format!("{root}/{name}"), data),
        4 => Request::SetData {
            path: format!("{root}/zookeeper_limits").into(),
            data: Some(limits.as_bytes().to_vec().into()),
            version: -1,
        },
        5 => Request::GetData {
            path: format!("{root}/{name}").into(),
            watch: rng.one_in(2),
        },
        6 => Request::Delete {
            path: format!("{root}/{name}").into(),
            version: -1,
        },
        _ => Request::Delete {
            path: root.into(),
            version: -1,
        },
    }
}
