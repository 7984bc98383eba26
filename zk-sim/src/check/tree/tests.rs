use bytes::Bytes;
use zk_proto::CreateMode;

use super::*;

const ME: SessionId = SessionId(7);

fn stamp(zxid: i64) -> Stamp {
    Stamp {
        zxid: Zxid(zxid),
        millis: zxid * 1000,
    }
}

fn create(path: &str, mode: CreateMode) -> Write {
    Write::Create {
        path: path.to_owned(),
        data: Payload::from(Bytes::from_static(b"x")),
        mode,
    }
}

fn delete(path: &str, version: i32) -> Write {
    Write::Delete {
        path: path.to_owned(),
        version,
    }
}

fn set(path: &str, version: i32) -> Write {
    Write::SetData {
        path: path.to_owned(),
        data: Payload::null(),
        version,
    }
}

#[track_caller]
fn refused(tree: &mut Tree, write: &Write) -> ErrorCode {
    let before = tree.fingerprint();
    let refusal = tree.write(ME, stamp(99), write).unwrap_err();
    assert_eq!(
        tree.fingerprint(),
        before,
        "a refused write changes nothing"
    );
    refusal.code
}

fn stat(tree: &Tree, path: &str) -> Stat {
    tree.node(path).unwrap().stat()
}

#[test]
fn a_fresh_tree_is_that_of_the_server() {
    let tree = Tree::new();
    assert_eq!(stat(&tree, "/").cversion, -1);
    assert_eq!(stat(&tree, "/zookeeper").cversion, -2);
    assert_eq!(stat(&tree, "/zookeeper/config").aversion, -1);
    assert_eq!(stat(&tree, ""), stat(&tree, "/"));
    assert_eq!(tree.children("/").collect::<Vec<_>>(), ["zookeeper"]);
    assert_eq!(
        tree.children("/zookeeper").collect::<Vec<_>>(),
        ["config", "quota"]
    );
}

#[test]
fn stats_follow_the_book() {
    let mut tree = Tree::new();
    tree.write(ME, stamp(1), &create("/a", CreateMode::Persistent))
        .unwrap();
    tree.write(ME, stamp(2), &create("/a/b", CreateMode::Ephemeral))
        .unwrap();
    tree.write(ME, stamp(3), &set("/a", 0)).unwrap();
    tree.write(ME, stamp(4), &delete("/a/b", 0)).unwrap();
    let acl = Write::SetAcl {
        path: "/a".to_owned(),
        version: 0,
    };
    tree.write(ME, stamp(5), &acl).unwrap();
    let expected = Stat {
        czxid: Zxid(1),
        mzxid: Zxid(3),
        ctime: 1000,
        mtime: 3000,
        version: 1,
        cversion: 2,
        aversion: 1,
        ephemeral_owner: SessionId::NONE,
        data_length: 0,
        num_children: 0,
        pzxid: Zxid(4),
    };
    assert_eq!(stat(&tree, "/a"), expected);
}

#[test]
fn every_refusal_in_the_order_of_the_server() {
    use CreateMode::{Ephemeral, Persistent, PersistentSequential};
    let mut tree = Tree::new();
    tree.write(ME, stamp(1), &create("/e", Ephemeral)).unwrap();
    tree.write(ME, stamp(2), &create("/p", Persistent)).unwrap();
    tree.write(ME, stamp(3), &create("/p/c", Persistent))
        .unwrap();
    for (write, code) in [
        (create("a", Persistent), ErrorCode::BAD_ARGUMENTS),
        (create("/a\0", Persistent), ErrorCode::BAD_ARGUMENTS),
        (create("/no/a", Persistent), ErrorCode::NO_NODE),
        (create("/no/.", Persistent), ErrorCode::NO_NODE),
        (create("/p/.", Persistent), ErrorCode::BAD_ARGUMENTS),
        (create("/p/", Persistent), ErrorCode::BAD_ARGUMENTS),
        (create("/p/\u{1f600}", Persistent), ErrorCode::BAD_ARGUMENTS),
        (create("/", Persistent), ErrorCode::NODE_EXISTS),
        (create("/p", Persistent), ErrorCode::NODE_EXISTS),
        (
            create("/e/a", Persistent),
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ),
        (
            create("/e/a-", PersistentSequential),
            ErrorCode::NO_CHILDREN_FOR_EPHEMERALS,
        ),
        (
            create("/zookeeper/config/a", Persistent),
            ErrorCode::NO_AUTH,
        ),
        (delete("/", -1), ErrorCode::BAD_ARGUMENTS),
        (delete("/zookeeper/quota", -1), ErrorCode::BAD_ARGUMENTS),
        (delete("p", -1), ErrorCode::BAD_ARGUMENTS),
        (delete("/no", 5), ErrorCode::NO_NODE),
        (delete("/p", 5), ErrorCode::BAD_VERSION),
        (delete("/p", -2), ErrorCode::BAD_VERSION),
        (delete("/p", -1), ErrorCode::NOT_EMPTY),
        (set("", -1), ErrorCode::BAD_ARGUMENTS),
        (set("/no", 3), ErrorCode::NO_NODE),
        (set("/p", 3), ErrorCode::BAD_VERSION),
        (set("/zookeeper/config", -1), ErrorCode::NO_AUTH),
    ] {
        assert_eq!(refused(&mut tree, &write), code, "{write}");
    }
}

#[test]
fn sequential_names_count_all_creations_and_a_failed_multi_none() {
    let mut tree = Tree::new();
    let sequential = create("/p/s-", CreateMode::EphemeralSequential);
    tree.write(ME, stamp(1), &create("/p", CreateMode::Persistent))
        .unwrap();
    tree.write(ME, stamp(2), &create("/p/x", CreateMode::Persistent))
        .unwrap();
    tree.write(ME, stamp(3), &delete("/p/x", -1)).unwrap();
    let multi = Write::Multi(vec![
        sequential.clone(),
        sequential.clone(),
        delete("/no", -1),
    ]);
    let refusal = tree.write(ME, stamp(4), &multi).unwrap_err();
    assert_eq!(refusal.index, 2);
    let (reply, effects) = tree.write(ME, stamp(5), &sequential).unwrap();
    assert!(matches!(&reply, Reply::Created { path, .. } if path == "/p/s-0000000001"));
    assert!(matches!(&effects[..], [Effect::Create { owner: ME, .. }]));
    let name = create("/p/", CreateMode::PersistentSequential);
    let (reply, _) = tree.write(ME, stamp(6), &name).unwrap();
    assert!(matches!(reply, Reply::Created { path, .. } if path == "/p/0000000002"));
}

#[test]
fn later_parts_of_a_multi_see_the_earlier_ones() {
    let mut tree = Tree::new();
    let check = Write::Check {
        path: "/a/b".to_owned(),
        version: 1,
    };
    let multi = Write::Multi(vec![
        create("/a", CreateMode::Persistent),
        create("/a/b", CreateMode::Persistent),
        set("/a/b", 0),
        check,
        delete("/a/b", 1),
    ]);
    let (reply, effects) = tree.write(ME, stamp(1), &multi).unwrap();
    assert!(matches!(reply, Reply::Multi(parts) if parts.len() == 5));
    assert_eq!(effects.len(), 4);
    assert_eq!(stat(&tree, "/a").cversion, 2);
}

#[test]
fn a_session_takes_its_ephemerals_along_and_a_journal_brings_them_back() {
    let mut tree = Tree::new();
    for (session, path) in [(7, "/a"), (7, "/b"), (8, "/c")] {
        tree.write(
            SessionId(session),
            stamp(1),
            &create(path, CreateMode::Ephemeral),
        )
        .unwrap();
    }
    let (before, nodes) = (tree.fingerprint(), tree.clone().nodes);
    let mut journal = Journal::new();
    assert_eq!(tree.close_down(ME, stamp(2), &mut journal).len(), 2);
    assert_eq!(tree.children("/").collect::<Vec<_>>(), ["c", "zookeeper"]);
    assert_eq!(stat(&tree, "/").pzxid, Zxid(2));
    tree.undo(journal);
    assert_eq!((tree.fingerprint(), tree.nodes), (before, nodes));
}
