//! How often requests make the tree ask for memory.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use allocation_counter::measure;
use bytes::Bytes;
use zk_proto::{Acl, CreateMode, Id, Request, SessionId, Zxid};
use zk_server::{Caller, Settings, Standing, Tree, Txn, TxnKind, prepare, read};

struct Server {
    tree: Tree,
    settings: Settings,
    ids: Vec<Id>,
}

impl Server {
    fn new() -> Self {
        let mut server = Self {
            tree: Tree::new(Bytes::new()),
            settings: Settings::default(),
            ids: vec![Id::new("ip", "127.0.0.1")],
        };
        server.write(&create("/a"));
        server.write(&create("/a/b"));
        server
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            session: SessionId(1),
            ids: &self.ids,
            standing: Standing::Global,
        }
    }

    fn prepare(&self, request: &Request<'_>) -> TxnKind {
        prepare(&self.tree, &self.caller(), request, &self.settings).unwrap()
    }

    fn write(&mut self, request: &Request<'_>) {
        let txn = Txn {
            zxid: Zxid(self.tree.last_zxid().0 + 1),
            time: 0,
            session: SessionId(1),
            kind: self.prepare(request),
        };
        let mut changes = Vec::with_capacity(4);
        let applied = self.tree.apply(&txn, &mut changes);
        assert!(applied.code().is_ok(), "{applied:?}");
    }
}

fn create(path: &str) -> Request<'_> {
    Request::Create {
        path: path.into(),
        data: Some(b"data"[..].into()),
        acl: Acl::open_unsafe_ref().into(),
        mode: CreateMode::Persistent.into(),
        with_stat: false,
    }
}

#[test]
fn a_read_takes_none() {
    let server = Server::new();
    let path = || "/a/b".into();
    let watch = false;
    let with_stat = true;
    let requests = [
        Request::GetData {
            path: path(),
            watch,
        },
        Request::Exists {
            path: path(),
            watch,
        },
        Request::GetAcl { path: path() },
        Request::GetChildren {
            path: "/a".into(),
            watch,
            with_stat,
        },
        Request::GetEphemerals { prefix: path() },
    ];
    let mut out = Vec::with_capacity(1024);
    for request in requests {
        let taken = measure(|| {
            out.clear();
            let caller = server.caller();
            read(&server.tree, &caller, &request, &server.settings, &mut out).unwrap();
        });
        assert_eq!(taken.count_total, 0, "{request:?}");
    }
}

/// Its path, its data, the node itself; and the list of changes that the caller of `apply` keeps,
/// which is made anew here.
#[test]
fn a_create_takes_what_the_node_needs() {
    let mut server = Server::new();
    let paths: Vec<_> = (0..100).map(|number| format!("/a/b/{number}")).collect();
    let requests: Vec<_> = paths.iter().map(|path| create(path)).collect();
    for request in &requests {
        server.write(request);
    }
    let more = create("/a/more");
    let taken = measure(|| server.write(&more));
    assert!(taken.count_total <= 4, "{}", taken.count_total);
}

#[test]
fn a_write_takes_its_path_and_its_data() {
    let mut server = Server::new();
    let request = Request::SetData {
        path: "/a/b".into(),
        data: Some(b"other"[..].into()),
        version: -1,
    };
    let taken = measure(|| server.write(&request));
    assert_eq!(taken.count_total, 3, "and the list of changes");
}
