//! What the users of sessions ask.

use zk_proto::{Acl, AddWatchMode, CreateMode, MultiOp, ReadOp, Request};

use super::watcher::Kind;

/// A request, by numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    body: u8,
    path: u8,
    flags: u8,
}

/// Few, so that sessions meet; and some that no server likes.
const PATHS: [&str; 16] = [
    "/a",
    "/a/b",
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/",
    "/a/s-",
    "/a/b/c",
    "/d/s-",
    "/a/b/s-",
    "/a/d",
    "/d",
    "/zookeeper/config",
    "/a//b",
    "/a/",
];

const DATA: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"data"), Some(&[7; 100])];

/// Which watches a case has. Where the modes of watches meet, less is certain.
#[derive(Clone, Copy, Debug)]
pub(super) enum Watches {
    Once,
    Persistent,
    Recursive,
    All,
}

impl Watches {
    pub(super) fn of(number: u8) -> Self {
        match number % 8 {
            0..3 => Self::Once,
            3 | 4 => Self::Persistent,
            5 | 6 => Self::Recursive,
            _ => Self::All,
        }
    }

    /// What to ask where the input asks for something else.
    fn instead(self, body: u8, watch: bool) -> u8 {
        let watches = watch && matches!(body, 8..14);
        match (self, body) {
            (Self::Once, 14) => 8,
            (Self::Once, 15) => 12,
            (Self::Persistent, 14 | 15) => 14,
            (Self::Persistent, _) if watches => 14,
            (Self::Recursive, 14 | 15) => 15,
            (Self::Recursive, _) if watches => 15,
            _ => body,
        }
    }
}

/// Two nodes, one below the other.
pub(super) fn begin() -> [Ask; 2] {
    [0, 1].map(|path| Ask {
        body: 0,
        path,
        flags: 0,
    })
}

impl Ask {
    pub(super) fn new([body, path, flags]: [u8; 3], watches: Watches) -> Self {
        Self {
            body: watches.instead(body % 24, flags & 1 != 0),
            path,
            flags,
        }
    }

    fn flag(self, bit: u8) -> bool {
        self.flags & (1 << bit) != 0
    }

    fn version(self) -> i32 {
        [-1, -1, 0, 1][usize::from(self.flags >> 6)]
    }

    pub(super) fn path(self) -> &'static str {
        PATHS[usize::from(self.path % 16)]
    }

    fn other(self) -> &'static str {
        PATHS[usize::from(self.path / 16)]
    }

    /// What sets a watch, and which.
    pub(super) fn watch(self) -> Option<Kind> {
        match self.body {
            8..10 if self.flag(0) => Some(Kind::Data),
            10..12 if self.flag(0) => Some(Kind::Exists),
            12..14 if self.flag(0) => Some(Kind::Child),
            14 => Some(Kind::Persistent),
            15 => Some(Kind::Recursive),
            _ => None,
        }
    }

    pub(super) fn request(self) -> Request<'static> {
        let path = self.path().into();
        let watch = self.flag(0);
        let version = self.version();
        let data = DATA[usize::from(self.flags >> 4 & 3)].map(Into::into);
        match self.body {
            0..4 => create(self.path(), self.flags).into_request(),
            4 | 5 => Request::Delete { path, version },
            6 => Request::SetData {
                path,
                data,
                version,
            },
            7 => Request::SetAcl {
                path,
                acl: Acl::open_unsafe().into(),
                version,
            },
            8 | 9 => Request::GetData { path, watch },
            10 | 11 => Request::Exists { path, watch },
            12 | 13 => Request::GetChildren {
                path,
                watch,
                with_stat: self.flag(1),
            },
            14 | 15 => Request::AddWatch {
                path,
                mode: if self.body == 14 {
                    AddWatchMode::PERSISTENT
                } else {
                    AddWatchMode::PERSISTENT_RECURSIVE
                },
            },
            16..20 => Request::Multi(self.multi().into()),
            20 => Request::MultiRead(
                vec![
                    ReadOp::GetData { path },
                    ReadOp::GetChildren {
                        path: self.other().into(),
                    },
                ]
                .into(),
            ),
            21 => Request::Sync { path },
            22 => Request::GetEphemerals { prefix: path },
            _ => Request::GetAllChildrenNumber { path },
        }
    }

    fn multi(self) -> Vec<MultiOp<'static>> {
        let version = self.version();
        let mut ops = Vec::new();
        if self.flag(0) {
            ops.push(create(self.other(), self.flags >> 1));
        }
        if self.flag(1) {
            let path = self.other().into();
            let data = Some(b"multi"[..].into());
            ops.push(MultiOp::SetData {
                path,
                data,
                version,
            });
        }
        if self.flag(2) {
            let path = self.path().into();
            ops.push(MultiOp::Check { path, version });
        }
        if self.flag(3) {
            let path = self.path().into();
            ops.push(MultiOp::Delete { path, version });
        }
        if self.flag(4) {
            ops.push(create(self.path(), self.flags >> 2));
        }
        ops
    }
}

fn create(path: &'static str, flags: u8) -> MultiOp<'static> {
    let mode = [
        CreateMode::Persistent,
        CreateMode::Ephemeral,
        CreateMode::PersistentSequential,
        CreateMode::EphemeralSequential,
    ][usize::from(flags & 3)];
    MultiOp::Create {
        path: path.into(),
        data: DATA[usize::from(flags >> 4 & 3)].map(Into::into),
        acl: Acl::open_unsafe_ref().into(),
        mode: mode.into(),
        with_stat: flags & 4 != 0,
    }
}

trait IntoRequest {
    fn into_request(self) -> Request<'static>;
}

impl IntoRequest for MultiOp<'static> {
    fn into_request(self) -> Request<'static> {
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
