//! Requests that make sense, told by few bytes.

use zk_proto::{
    Acl, AddWatchMode, Chroot, CreateMode, MultiOp, Perms, ReadOp, Request, RequestHeader,
    SetWatches, Ttl, WatcherType, Xid, Zxid, frame,
};

use crate::cursor::Cursor;

/// Few, so that clients meet.
const PATHS: [&str; 16] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/",
    "/a/s-",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/a//b",
    "/a/",
    "a",
    "",
    "/\u{1}",
];

/// A quota of one node and a few bytes, and other texts.
const DATA: [Option<&[u8]>; 4] = [
    None,
    Some(b""),
    Some(b"count=1,bytes=10,countHardLimit=1,byteHardLimit=10"),
    Some(&[7; 300]),
];

/// One request, with its length in front: which, the path, and flags.
pub(super) fn request(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let (which, at, flags) = (cursor.byte(), cursor.byte(), cursor.byte());
    let path = PATHS[usize::from(at % 16)];
    let other = PATHS[usize::from(at / 16)];
    let request = body(which % 32, path, other, flags);
    let xid = match request {
        Request::Ping => Xid::PING,
        Request::Auth { .. } => Xid::AUTH,
        Request::SetWatches(_) => Xid::SET_WATCHES,
        _ => Xid(i32::from(which)),
    };
    let mut bytes = Vec::new();
    let opcode = request.opcode();
    frame(&mut bytes, |out| {
        RequestHeader { xid, opcode }.encode(out);
        request.encode(&Chroot::ROOT, out);
    });
    bytes
}

fn body<'a>(which: u8, at: &'a str, other: &'a str, flags: u8) -> Request<'a> {
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let path = at.into();
    let watch = flag(0);
    let version = [-1, 0, 1, i32::MAX][usize::from(flags >> 6)];
    let data = DATA[usize::from(flags >> 4 & 3)].map(Into::into);
    match which {
        0..5 => create(at, flags).into_request(),
        5 => Request::Delete { path, version },
        6 | 7 => Request::SetData {
            path,
            data,
            version,
        },
        8 => Request::GetData { path, watch },
        9 => Request::Exists { path, watch },
        10 => Request::GetChildren {
            path,
            watch,
            with_stat: flag(1),
        },
        11 => Request::AddWatch {
            path,
            mode: AddWatchMode(i32::from(flags % 3)),
        },
        12 => Request::RemoveWatches {
            path,
            kind: WatcherType(i32::from(flags % 7)),
        },
        13 => Request::CheckWatches {
            path,
            kind: WatcherType(i32::from(flags % 7)),
        },
        14 => {
            let few = vec![at.into(), other.into()];
            Request::SetWatches(SetWatches {
                relative_zxid: Zxid(i64::from(flags >> 5)),
                data: if flag(0) { few.clone() } else { Vec::new() },
                exist: if flag(1) { few.clone() } else { Vec::new() },
                child: if flag(2) { few.clone() } else { Vec::new() },
                persistent: if flag(3) { few.clone() } else { Vec::new() },
                recursive: if flag(4) { few } else { Vec::new() },
                extended: true,
            })
        }
        15..18 => Request::Multi(multi(at, other, flags, version).into()),
        18 => Request::MultiRead(
            vec![
                ReadOp::GetData { path },
                ReadOp::GetChildren { path: other.into() },
                ReadOp::GetData { path: other.into() },
            ]
            .into(),
        ),
        19 => Request::GetAcl { path },
        20 | 21 => Request::SetAcl {
            path,
            acl: acl(flags).into(),
            version,
        },
        22 => Request::Auth {
            scheme: ["digest", "ip", "x509", "auth"][usize::from(flags & 3)].into(),
            data: [None, Some(&b"a:b"[..]), Some(b"super:secret"), Some(b"x")]
                [usize::from(flags >> 2 & 3)]
            .map(Into::into),
        },
        23 => Request::Sasl {
            token: [None, Some(&b""[..]), Some(b"!"), Some(b"token")][usize::from(flags & 3)]
                .map(Into::into),
        },
        24 => Request::Sync { path },
        25 => Request::GetEphemerals { prefix: path },
        26 => Request::GetAllChildrenNumber { path },
        27 => Request::WhoAmI,
        28 => Request::Reconfig {
            joining: flag(0).then_some("server.2=a:1:2;3".into()),
            leaving: flag(1).then_some("1,x".into()),
            new_members: flag(2).then_some(at.into()),
            from_config: i64::from(version),
        },
        29 => Request::Check { path, version },
        30 if flag(0) => Request::CloseSession,
        _ => Request::Ping,
    }
}

fn multi<'a>(at: &'a str, other: &'a str, flags: u8, version: i32) -> Vec<MultiOp<'a>> {
    let mut ops = Vec::new();
    if flags & 1 != 0 {
        ops.push(create(other, flags >> 1));
    }
    if flags & 2 != 0 {
        ops.push(MultiOp::SetData {
            path: other.into(),
            data: None,
            version,
        });
    }
    if flags & 4 != 0 {
        ops.push(MultiOp::Check {
            path: at.into(),
            version,
        });
    }
    if flags & 8 != 0 {
        ops.push(MultiOp::Delete {
            path: at.into(),
            version,
        });
    }
    ops
}

fn create(path: &str, flags: u8) -> MultiOp<'_> {
    let ttl = |millis| Ttl::from_millis(millis).expect("it is short");
    let mode = match flags & 7 {
        0 => CreateMode::Persistent,
        1 => CreateMode::Ephemeral,
        2 => CreateMode::PersistentSequential,
        3 => CreateMode::EphemeralSequential,
        4 => CreateMode::Container,
        5 => CreateMode::PersistentWithTtl(ttl(1)),
        6 => CreateMode::PersistentSequentialWithTtl(ttl(5000)),
        _ => CreateMode::Persistent,
    };
    MultiOp::Create {
        path: path.into(),
        data: DATA[usize::from(flags >> 4 & 3)].map(Into::into),
        acl: acl(flags >> 6).into(),
        mode: mode.into(),
        with_stat: flags & 8 != 0,
    }
}

fn acl(flags: u8) -> Vec<Acl> {
    match flags & 7 {
        0..2 => Acl::open_unsafe(),
        2 => Acl::creator_all(),
        3 => Acl::read_unsafe(),
        4 => vec![Acl::digest("a", "b", Perms::ALL)],
        5 => vec![Acl::new(Perms::ALL, "ip", "10.0.0.1")],
        6 => vec![Acl::new(Perms(0), "world", "anyone")],
        _ => Vec::new(),
    }
}

trait IntoRequest<'a> {
    fn into_request(self) -> Request<'a>;
}

impl<'a> IntoRequest<'a> for MultiOp<'a> {
    fn into_request(self) -> Request<'a> {
        match self {
            Self::Create {
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
            _ => Request::Ping,
        }
    }
}
