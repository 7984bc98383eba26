//! What goes over the wire, and what comes back.

use zk_proto::{
    Acl, CreateMode, ErrorCode, ModeError, MultiResult, OpCode, PathError, ReadResult, Reply,
    Request,
};

use super::{Rig, poll_once};
use crate::{Client, Error};

#[test]
fn a_synced_read_goes_behind_a_sync_in_one_flight() {
    let mut rig = Rig::connected();
    let get = rig.client.get("/a").synced().send();
    let asked = rig.asked();
    let opcodes: Vec<_> = asked.iter().map(|asked| asked.opcode).collect();
    assert_eq!(opcodes, [OpCode::SYNC, OpCode::GET_DATA]);
    rig.reply(&asked[0], Ok(Reply::Path("/a".into())));
    assert!(!get.is_ready());
    let data = b"x"[..].into();
    rig.reply(
        &asked[1],
        Ok(Reply::Data {
            data,
            stat: Rig::stat(1),
        }),
    );
    assert_eq!(get.wait().unwrap().1, Rig::stat(1));
}

#[test]
fn a_read_fails_with_the_sync_that_goes_ahead_of_it() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let get = client.get("/a").synced().watched().send();
    let asked = rig.asked();
    rig.reply(&asked[0], Err(ErrorCode::NOT_READ_ONLY));
    assert_eq!(get.wait().map(|_| ()), Err(Error::NotReadOnly));
    let data = b"x"[..].into();
    rig.reply(
        &asked[1],
        Ok(Reply::Data {
            data,
            stat: Rig::stat(1),
        }),
    );
    assert_eq!(
        client.stats().session.watches,
        0,
        "its watch is not left behind"
    );
}

#[test]
fn a_linearizable_read_goes_behind_an_empty_transaction() {
    let mut rig = Rig::connected();
    let get = rig
        .client
        .get_children("/a")
        .with_stat()
        .linearizable()
        .send();
    let asked = rig.asked();
    assert!(matches!(asked[0].body(), Request::Multi(ops) if ops.is_empty()));
    assert_eq!(asked[1].opcode, OpCode::GET_CHILDREN2);
    rig.reply(&asked[0], Ok(Reply::Multi(Vec::<MultiResult>::new())));
    let children = ["b", "c"].into_iter().collect();
    rig.reply(
        &asked[1],
        Ok(Reply::ChildrenStat {
            children,
            stat: Rig::stat(4),
        }),
    );
    let (children, stat) = get.wait().unwrap();
    assert_eq!(
        (children.to_vec(), stat),
        (vec!["b".to_owned(), "c".to_owned()], Rig::stat(4))
    );
}

#[test]
fn views_add_and_strip_their_root_path() {
    let mut rig = Rig::new("h1/app").connect();
    let view = rig.client.chroot("/sub").unwrap();
    assert_eq!(view.root_path(), "/app/sub");
    let create = view.create("a/b/", "x").send();
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/app/sub/a/b");
    rig.reply(&asked, Ok(Reply::Path("/app/sub/a/b".into())));
    assert_eq!(create.wait(), Ok("/a/b".into()));
    let exists = rig.client.exists("/").send();
    let asked = rig.asked_one();
    assert_eq!(asked.path(), "/app");
    rig.reply(&asked, Err(ErrorCode::NO_NODE));
    assert_eq!(exists.wait(), Ok(None));
    drop(rig.client.get_config().send());
    rig.client.get_config().send().detach();
    assert_eq!(rig.asked_one().path(), "/zookeeper/config");
    assert!(matches!(rig.client.chroot("/../x"), Err(Error::Path(_))));
}

#[test]
fn a_malformed_path_is_found_before_anything_is_sent() {
    let mut rig = Rig::connected();
    let error = rig.client.get_children("/a/../b").wait().unwrap_err();
    assert!(matches!(
        error,
        Error::Path(PathError::RelativeComponent { .. })
    ));
    assert!(matches!(
        rig.client.create("/\0", "").send().wait(),
        Err(Error::Path(_))
    ));
    assert!(rig.asked().is_empty());
}

#[test]
fn creates_say_what_they_are() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let mode = |rig: &mut Rig| {
        let asked = rig.asked_one();
        let Request::Create {
            mode,
            with_stat,
            acl,
            ..
        } = asked.body()
        else {
            unreachable!()
        };
        (mode.known(), with_stat, acl.into_owned())
    };
    client
        .create("/a", "")
        .ephemeral()
        .sequential()
        .send()
        .detach();
    let open = Acl::open_unsafe();
    let expected = (Some(CreateMode::EphemeralSequential), false, open);
    assert_eq!(mode(&mut rig), expected);
    let mine = Acl::creator_all();
    client
        .create("/a", None::<&str>)
        .acl(&mine)
        .with_stat()
        .container()
        .send()
        .detach();
    assert_eq!(
        mode(&mut rig),
        (Some(CreateMode::Container), true, mine.clone())
    );
    let view = client.with_default_acl(&mine).unwrap();
    view.create("/a", &[1u8, 2]).acl(vec![]).send().detach();
    assert_eq!(mode(&mut rig), (Some(CreateMode::Persistent), false, mine));
    let refused = client.create("/a", "").container().sequential().wait();
    assert!(matches!(
        refused,
        Err(Error::Mode(ModeError::UnknownFlags(_)))
    ));
    let refused = client
        .create("/a", "")
        .ttl(std::time::Duration::ZERO)
        .wait();
    assert!(matches!(refused, Err(Error::Mode(ModeError::TtlTooShort))));
    assert!(matches!(
        client.set_acls("/a", vec![]).wait(),
        Err(Error::Acl(_))
    ));
    client.create("/q/", "").sequential().send().detach();
    assert_eq!(rig.asked_one().path(), "/q/");
}

#[test]
fn several_reads_in_one_request() {
    let mut rig = Rig::connected();
    let reads = rig.client.multi_read().get("/a").get_children("b").send();
    let asked = rig.asked_one();
    let Request::MultiRead(ops) = asked.body() else {
        unreachable!()
    };
    let paths: Vec<_> = ops.iter().map(|op| op.path().to_owned()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    let results = vec![ReadResult::Error(ErrorCode::NO_NODE)];
    rig.reply(&asked, Ok(Reply::MultiRead(results.clone())));
    assert_eq!(reads.wait(), Ok(results));
}

#[test]
fn credentials_are_presented_and_a_refused_one_is_an_error() {
    let mut rig = Rig::connected();
    let client = rig.client.clone();
    let auth = client.add_auth("digest", "user:password").send();
    let asked = rig.asked_one();
    assert_eq!(asked.opcode, OpCode::AUTH);
    rig.reply(&asked, Ok(Reply::Empty));
    assert_eq!(auth.wait(), Ok(()));
    let mut bad = client.add_auth("digest", b"bad").send();
    let asked = rig.asked_one();
    rig.reply(&asked, Err(ErrorCode::AUTH_FAILED));
    let failed = std::task::Poll::Ready(Err(Error::AuthFailed { sent: false }));
    assert_eq!(poll_once(&mut bad), failed);
}

#[test]
fn hosts_can_change_but_not_the_root_path() {
    let rig = Rig::new("h1/app");
    assert_eq!(
        rig.client.set_hosts("h1,h2/other"),
        Err(Error::ChrootChanged)
    );
    assert!(matches!(
        rig.client.set_hosts("h1,,h2"),
        Err(Error::Hosts(_))
    ));
    rig.client.set_hosts("h2,h3/app").unwrap();
    rig.client.set_hosts("h2,h3").unwrap();
    assert_eq!(rig.client.servers().len(), 2);
    let error = Client::builder("h1,,h2").start(super::TestHandler::new());
    assert!(matches!(error, Err(Error::Hosts(_))));
}

#[test]
fn unique_ids_differ() {
    let rig = Rig::connected();
    let (first, second) = (rig.client.unique_id(), rig.client.unique_id());
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
}
