//! Calls that take several round trips.

use std::task::Poll;

use zk_proto::{Acl, ErrorCode, OpCode, Reply, Request};

use super::rig::Asked;
use super::{Rig, poll_once};
use crate::Error;

fn paths(asked: &[Asked]) -> Vec<String> {
    asked
        .iter()
        .map(|asked| format!("{} {}", asked.opcode, asked.path()))
        .collect()
}

fn created(rig: &mut Rig, asked: &Asked) {
    let path = asked.path();
    rig.reply(asked, Ok(Reply::Path(path)));
}

#[test]
fn ensure_path_takes_one_look_when_all_is_there() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mut ensure = client.ensure_path("/a/b");
    assert!(poll_once(&mut ensure).is_pending());
    let asked = rig.asked_one();
    assert_eq!(
        (asked.opcode, asked.path().as_str()),
        (OpCode::EXISTS, "/a/b")
    );
    rig.reply(&asked, Ok(Reply::Stat(Rig::stat(0))));
    assert_eq!(poll_once(&mut ensure), Poll::Ready(Ok(())));
}

#[test]
fn ensure_path_makes_what_is_missing_root_path_included() {
    let mut rig = Rig::new("h1/app").connect();
    let ensure = rig.client.ensure_path("a/b").send();
    rig.handler.run_tasks();
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/app/a/b");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    rig.handler.run_tasks();
    let asked = rig.asked();
    assert_eq!(paths(&asked), ["exists /app", "exists /app/a"]);
    // One that may not be looked at is there.
    rig.reply(&asked[0], Err(ErrorCode::NO_AUTH));
    rig.reply(&asked[1], Err(ErrorCode::NO_NODE));
    rig.handler.run_tasks();
    let asked = rig.asked();
    assert_eq!(paths(&asked), ["create /app/a", "create /app/a/b"]);
    rig.reply(&asked[0], Err(ErrorCode::NODE_EXISTS));
    created(&mut rig, &asked[1]);
    rig.handler.run_tasks();
    assert_eq!(ensure.wait(), Ok(()));
    assert_eq!(rig.handler.tasks(), 0);
}

#[test]
fn ensure_path_begins_again_when_a_parent_vanishes() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mut ensure = client.ensure_path("/a/b");
    for round in 0..2 {
        assert!(poll_once(&mut ensure).is_pending());
        let asked = rig.asked_one();
        rig.reply(&asked, Err(ErrorCode::NO_NODE));
        assert!(poll_once(&mut ensure).is_pending());
        let asked = rig.asked_one();
        rig.reply(&asked, Ok(Reply::Stat(Rig::stat(0))));
        assert!(poll_once(&mut ensure).is_pending());
        let asked = rig.asked_one();
        assert_eq!(asked.path(), "/a/b");
        match round {
            0 => rig.reply(&asked, Err(ErrorCode::NO_NODE)),
            _ => created(&mut rig, &asked),
        }
    }
    assert_eq!(poll_once(&mut ensure), Poll::Ready(Ok(())));
}

#[test]
fn make_path_makes_the_parents_with_the_same_acl() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let acl = Acl::creator_all();
    let mut create = client.create("/a/b", "x").acl(&acl).ephemeral().make_path();
    assert!(poll_once(&mut create).is_pending());
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/a/b");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert!(poll_once(&mut create).is_pending());
    let asked = rig.asked_one();
    assert_eq!(
        (asked.opcode, asked.path().as_str()),
        (OpCode::EXISTS, "/a")
    );
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert!(poll_once(&mut create).is_pending());
    let asked = rig.asked_one();
    let Request::Create {
        path,
        acl: sent,
        mode,
        ..
    } = asked.body()
    else {
        unreachable!()
    };
    assert_eq!((&*path, &*sent, mode.flags()), ("/a", &*acl, 0));
    created(&mut rig, &asked);
    assert!(poll_once(&mut create).is_pending());
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/a/b");
    created(&mut rig, &asked);
    assert_eq!(poll_once(&mut create), Poll::Ready(Ok("/a/b".into())));
}

#[test]
fn a_step_that_fails_ends_the_whole() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mut create = client.create("/a/b", "x").make_path().with_stat();
    assert!(poll_once(&mut create).is_pending());
    let asked = rig.asked_one();
    assert_eq!(asked.opcode, OpCode::CREATE2);
    rig.reply(&asked, Err(ErrorCode::NODE_EXISTS));
    let exists = Poll::Ready(Err(Error::NodeExists));
    assert_eq!(poll_once(&mut create).map(|r| r.map(|_| ())), exists);
}

#[test]
fn dropping_the_result_of_steps_ends_them() {
    let mut rig = Rig::connected();
    let ensure = rig.client.ensure_path("/a/b").send();
    rig.handler.run_tasks();
    let asked = rig.asked_one();
    drop(ensure);
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    rig.handler.run_tasks();
    assert!(rig.asked().is_empty());
    assert_eq!(rig.handler.tasks(), 0);
}
