//! Random writes by several sessions, and what must hold whatever they are.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};
use zk_proto::{CreateMode, MultiOp, Request, SessionId, Ttl};

use super::*;
use crate::{
    Release, Txn,
    quota::{Track, usage_path},
    testing::{create, delete, multi_check, set_acl, set_data},
};

const SESSIONS: [SessionId; 3] = [SessionId(1), SessionId(2), SessionId(3)];

/// What has a quota, and is there only at times.
const LIMITED: &str = "/a";

#[derive(Clone, Debug)]
enum Step {
    Create(String, CreateMode),
    Delete(String, i32),
    Set(String, Vec<u8>, i32),
    SetAcl(String, i32),
    Check(String, i32),
    Multi(Vec<Self>),
    Close,
    Reap,
}

fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    vec(name, 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn mode() -> impl Strategy<Value = CreateMode> {
    let ttl = Ttl::from_millis(40).unwrap();
    prop_oneof![
        4 => Just(CreateMode::Persistent),
        2 => Just(CreateMode::Ephemeral),
        2 => Just(CreateMode::PersistentSequential),
        1 => Just(CreateMode::EphemeralSequential),
        1 => Just(CreateMode::Container),
        1 => Just(CreateMode::PersistentWithTtl(ttl)),
        1 => Just(CreateMode::PersistentSequentialWithTtl(ttl)),
    ]
}

fn op() -> impl Strategy<Value = Step> {
    let version = || prop_oneof![3 => Just(-1), 1 => 0..3_i32];
    let data = vec(any::<u8>(), 0..9);
    prop_oneof![
        6 => (path(), mode()).prop_map(|(path, mode)| Step::Create(path, mode)),
        3 => (path(), version()).prop_map(|(path, version)| Step::Delete(path, version)),
        2 => (path(), data, version()).prop_map(|(path, data, version)| Step::Set(path, data, version)),
        1 => (path(), version()).prop_map(|(path, version)| Step::Check(path, version)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => op(),
        4 => vec(op(), 0..6).prop_map(Step::Multi),
        1 => (path(), -1..2_i32).prop_map(|(path, version)| Step::SetAcl(path, version)),
        1 => Just(Step::Close),
        1 => Just(Step::Reap),
    ]
}

impl Step {
    /// As a request of its own.
    fn request(&self) -> Request<'_> {
        match self {
            Self::Create(path, mode) => create(path, *mode, Acl::open_unsafe_ref()),
            Self::Delete(path, version) => delete(path, *version),
            Self::Set(path, data, version) => set_data(path, data, *version),
            Self::SetAcl(path, version) => set_acl(path, Acl::open_unsafe_ref(), *version),
            Self::Check(path, version) => Request::Check {
                path: path.into(),
                version: *version,
            },
            Self::Multi(steps) => Request::Multi(steps.iter().map(Self::multi_op).collect()),
            Self::Close | Self::Reap => Request::CloseSession,
        }
    }

    /// As an operation of a multi, which has no others.
    fn multi_op(&self) -> MultiOp<'_> {
        match self {
            Self::Create(path, mode) => multi_create(path, *mode),
            Self::Delete(path, version) => MultiOp::Delete {
                path: path.into(),
                version: *version,
            },
            Self::Set(path, data, version) => MultiOp::SetData {
                path: path.into(),
                data: Some(data.into()),
                version: *version,
            },
            Self::Check(path, version) => multi_check(path, *version),
            Self::SetAcl(..) | Self::Multi(_) | Self::Close | Self::Reap => {
                unreachable!("{self:?}")
            }
        }
    }
}

/// A server of 3.8, which answers a check on its own, too.
fn fresh() -> Server {
    let mut server = Server::new();
    server.settings.release = Release::V3_8;
    server.make("/zookeeper/quota/a");
    for name in ["zookeeper_limits", "zookeeper_stats"] {
        let path = format!("/zookeeper/quota/a/{name}");
        server.make_with(&path, b"count=-1,bytes=-1", Acl::open_unsafe_ref());
    }
    server
}

/// Does what a step says; gives the transactions.
fn take(server: &mut Server, session: SessionId, step: &Step) -> Vec<Txn> {
    server.session = session;
    let kinds = match step {
        Step::Reap => {
            let now = Server::time_of(server.tree.last_zxid().0);
            let paths = server.tree.reapable(now, Some(80), usize::MAX);
            let kinds = paths
                .iter()
                .map(|path| crate::prepare_reap(&server.tree, path));
            kinds.collect::<Result<_, _>>().unwrap()
        }
        Step::Create(..)
        | Step::Delete(..)
        | Step::Set(..)
        | Step::SetAcl(..)
        | Step::Check(..)
        | Step::Multi(_)
        | Step::Close => {
            let prepared = server.prepare(&step.request());
            if let (Step::Multi(steps), Ok(kind)) = (step, &prepared) {
                multi_is_one_after_the_other(server, steps, kind);
            }
            vec![prepared.unwrap_or_else(TxnKind::Error)]
        }
    };
    let mut txns = Vec::new();
    for kind in kinds {
        let applied = server.apply(session, kind.clone());
        match (&kind, &applied) {
            (TxnKind::One(_), _) => assert!(applied.code().is_ok(), "{kind:?}: {applied:?}"),
            (TxnKind::Multi(_), Applied::Multi(results)) => {
                assert!(
                    results.iter().all(|result| result.code().is_ok()),
                    "{kind:?}: {applied:?}"
                );
            }
            _ => {}
        }
        let zxid = server.tree.last_zxid();
        let time = Server::time_of(zxid.0);
        txns.push(Txn {
            zxid,
            time,
            session,
            kind,
        });
    }
    txns
}

/// What is found for a multi is what is found for its operations, each applied before the next.
fn multi_is_one_after_the_other(server: &Server, steps: &[Step], kind: &TxnKind) {
    let mut alone = Server::new();
    alone.settings = server.settings.clone();
    alone.tree = server.tree.clone();
    alone.session = server.session;
    let mut ops = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let prepared = alone.prepare(&step.request());
        if let Err(code) = prepared {
            let TxnKind::FailedMulti(codes) = kind else {
                panic!("{kind:?}");
            };
            assert_eq!(codes[index], code);
            return;
        }
        let Ok(TxnKind::One(op)) = prepared else {
            panic!("{prepared:?}");
        };
        alone.apply(alone.session, TxnKind::One(op.clone()));
        ops.push(op);
    }
    assert_eq!(*kind, TxnKind::Multi(ops));
}

fn check(tree: &Tree) {
    let mut reached = 0;
    let mut bytes = 0;
    let mut owned: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut containers = BTreeSet::new();
    let mut with_ttl = BTreeSet::new();
    for (path, node) in tree.subtree("/") {
        let stat = node.stat();
        reached += 1;
        bytes += path.len() + node.data.len();
        assert_eq!(stat.num_children as usize, node.children.len(), "{path}");
        assert_eq!(
            stat.cversion,
            2 * node.creates - stat.num_children,
            "{path}"
        );
        assert_eq!(stat.data_length as usize, node.data.len(), "{path}");
        assert!(
            stat.pzxid >= stat.czxid && stat.mzxid >= stat.czxid,
            "{path}"
        );
        assert!(stat.pzxid <= tree.last_zxid, "{path}");
        for child in &node.children {
            let parent = path::parent_of(child).unwrap();
            assert_eq!(if parent.is_empty() { "/" } else { parent }, &**path);
            assert!(tree.node(child).is_some(), "{child}");
        }
        match node.owner {
            Owner::Nobody => {}
            Owner::Session(session) => {
                assert_eq!(node.creates, 0, "{path} is ephemeral");
                owned.entry(session).or_default().insert(Arc::clone(path));
            }
            Owner::Container => assert!(containers.insert(Arc::clone(path))),
            Owner::Ttl(_) => assert!(with_ttl.insert(Arc::clone(path))),
        }
    }
    assert_eq!((reached, bytes), (tree.nodes.len(), tree.bytes));
    assert_eq!(
        tree.ephemeral_count,
        owned.values().map(BTreeSet::len).sum()
    );
    assert_eq!(tree.ephemerals, owned);
    assert_eq!((&tree.containers, &tree.with_ttl), (&containers, &with_ttl));
    let usage = Track::parse(tree.node(&usage_path(LIMITED)).unwrap().data());
    assert_eq!(usage, Track::of_subtree(tree, LIMITED));
}

proptest! {
    #[test]
    fn whatever_is_written(
        steps in vec((0..SESSIONS.len(), step()), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut server = fresh();
        let before = server.tree.clone();
        let mut twin = before.clone();
        let cut = cut.index(steps.len());
        let mut late = None;
        let mut txns = Vec::new();
        for (index, (session, step)) in steps.iter().enumerate() {
            if index == cut {
                late = Some((server.tree.clone(), txns.len()));
            }
            let done = take(&mut server, SESSIONS[*session], step);
            check(&server.tree);
            let mut changes = Vec::new();
            for txn in &done {
                changes.clear();
                twin.apply(txn, &mut changes);
            }
            if !done.is_empty() {
                prop_assert_eq!(&changes, &server.changes);
            }
            prop_assert_eq!(&twin, &server.tree);
            txns.extend(done);
        }
        // A clone that was taken in the middle goes the same way, and one from before is unharmed.
        let (mut late, from) = late.unwrap();
        for txn in &txns[from..] {
            late.apply(txn, &mut Vec::new());
        }
        prop_assert_eq!(&late, &server.tree);
        check(&before);
        prop_assert_eq!(before, fresh().tree);
    }
}
