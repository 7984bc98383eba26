//! A server for tests that is nothing but its data.

use bytes::Bytes;
use zk_proto::{
    Acl, CreateMode, ErrorCode, EventType, Id, MultiOp, MultiResult, Reader, Reply, Request,
    SessionId, Stat, Zxid,
};

use crate::{
    Applied, Caller, Change, Settings, Standing, Tree, Txn, TxnKind, prepare, prepare_reap, read,
};

pub(crate) const SESSION: SessionId = SessionId(0x100);

pub(crate) struct Server {
    pub(crate) tree: Tree,
    pub(crate) settings: Settings,
    /// Who asks.
    pub(crate) session: SessionId,
    pub(crate) ids: Vec<Id>,
    pub(crate) standing: Standing,
    /// What the last write changed.
    pub(crate) changes: Vec<Change>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with_config("")
    }

    pub(crate) fn with_config(config: &'static str) -> Self {
        Self {
            tree: Tree::new(Bytes::from(config)),
            settings: Settings::default(),
            session: SESSION,
            ids: vec![Id::new("ip", "10.0.0.7")],
            standing: Standing::Global,
            changes: Vec::new(),
        }
    }

    pub(crate) fn prepare(&self, request: &Request<'_>) -> Result<TxnKind, ErrorCode> {
        let caller = Caller {
            session: self.session,
            ids: &self.ids,
            standing: self.standing,
        };
        prepare(&self.tree, &caller, request, &self.settings)
    }

    /// The time of the transaction with this number.
    pub(crate) fn time_of(zxid: i64) -> i64 {
        1_000_000 + 10 * zxid
    }

    pub(crate) fn apply(&mut self, session: SessionId, kind: TxnKind) -> Applied {
        let zxid = self.tree.last_zxid().0 + 1;
        let txn = Txn {
            zxid: Zxid(zxid),
            time: Self::time_of(zxid),
            session,
            kind,
        };
        self.changes.clear();
        self.tree.apply(&txn, &mut self.changes)
    }

    pub(crate) fn write(&mut self, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        let kind = self.prepare(request).unwrap_or_else(TxnKind::Error);
        let applied = self.apply(self.session, kind);
        if !applied.code().is_ok() {
            return Err(applied.code());
        }
        let mut body = Vec::new();
        applied.encode(&mut body);
        Ok(decode(request, body))
    }

    pub(crate) fn read(&self, request: &Request<'_>) -> Result<Reply, ErrorCode> {
        let caller = Caller {
            session: self.session,
            ids: &self.ids,
            standing: self.standing,
        };
        let mut body = Vec::new();
        let done = read(&self.tree, &caller, request, &self.settings, &mut body);
        if done.is_err() {
            assert_eq!(body, [], "an error has no body");
        }
        done.map(|()| decode(request, body))
    }

    pub(crate) fn create(&mut self, path: &str, mode: CreateMode) -> Result<String, ErrorCode> {
        let reply = self.write(&create(path, mode, Acl::open_unsafe_ref()))?;
        let (Reply::Path(path) | Reply::Created { path, .. }) = reply else {
            panic!("{reply:?}");
        };
        Ok(path)
    }

    /// Creates a persistent node.
    pub(crate) fn make(&mut self, path: &str) {
        assert_eq!(
            self.create(path, CreateMode::Persistent).as_deref(),
            Ok(path)
        );
    }

    pub(crate) fn make_with(&mut self, path: &str, data: &[u8], acl: &[Acl]) {
        let request = Request::Create {
            path: path.into(),
            data: Some(data.into()),
            acl: acl.into(),
            mode: CreateMode::Persistent.into(),
            with_stat: false,
        };
        assert_eq!(self.write(&request), Ok(Reply::Path(path.to_owned())));
    }

    pub(crate) fn delete(&mut self, path: &str) -> Result<(), ErrorCode> {
        self.write(&delete(path, -1))
            .map(|reply| assert_eq!(reply, Reply::Empty))
    }

    pub(crate) fn set(&mut self, path: &str, data: &[u8]) -> Result<Stat, ErrorCode> {
        let reply = self.write(&set_data(path, data, -1))?;
        let Reply::Stat(stat) = reply else {
            panic!("{reply:?}");
        };
        Ok(stat)
    }

    pub(crate) fn multi(&mut self, ops: Vec<MultiOp<'_>>) -> Vec<MultiResult> {
        let reply = self.write(&Request::Multi(ops.into()));
        let Ok(Reply::Multi(results)) = reply else {
            panic!("{reply:?}");
        };
        results
    }

    pub(crate) fn reap(&mut self, path: &str) -> Result<(), ErrorCode> {
        let kind = prepare_reap(&self.tree, &path.into())?;
        assert_eq!(self.apply(SessionId::NONE, kind), Applied::Done);
        Ok(())
    }

    pub(crate) fn stat(&self, path: &str) -> Stat {
        self.tree.node(path).unwrap().stat()
    }

    pub(crate) fn data(&self, path: &str) -> Option<&[u8]> {
        self.tree.node(path).unwrap().data()
    }

    /// What the last write changed, without the lists.
    pub(crate) fn events(&self) -> Vec<(EventType, &str)> {
        let events = self.changes.iter();
        events.map(|change| (change.event, &*change.path)).collect()
    }
}

pub(crate) fn create<'a>(path: &'a str, mode: CreateMode, acl: &'a [Acl]) -> Request<'a> {
    Request::Create {
        path: path.into(),
        data: Some(b"".into()),
        acl: acl.into(),
        mode: mode.into(),
        with_stat: false,
    }
}

pub(crate) fn delete(path: &str, version: i32) -> Request<'_> {
    let path = path.into();
    Request::Delete { path, version }
}

pub(crate) fn set_data<'a>(path: &'a str, data: &'a [u8], version: i32) -> Request<'a> {
    Request::SetData {
        path: path.into(),
        data: Some(data.into()),
        version,
    }
}

pub(crate) fn set_acl<'a>(path: &'a str, acl: &'a [Acl], version: i32) -> Request<'a> {
    Request::SetAcl {
        path: path.into(),
        acl: acl.into(),
        version,
    }
}

pub(crate) fn multi_create<'a>(path: &'a str, mode: CreateMode) -> MultiOp<'a> {
    MultiOp::Create {
        path: path.into(),
        data: Some(b"".into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: mode.into(),
        with_stat: false,
    }
}

pub(crate) fn multi_delete(path: &str) -> MultiOp<'_> {
    MultiOp::Delete {
        path: path.into(),
        version: -1,
    }
}

pub(crate) fn multi_check(path: &str, version: i32) -> MultiOp<'_> {
    let path = path.into();
    MultiOp::Check { path, version }
}

/// What a client makes of the body; all of it is used.
fn decode(request: &Request<'_>, body: Vec<u8>) -> Reply {
    let body = Bytes::from(body);
    let mut reader = Reader::new(&body);
    let reply = Reply::decode(request.opcode(), &mut reader).unwrap();
    assert_eq!(reader.remaining(), 0);
    reply
}
