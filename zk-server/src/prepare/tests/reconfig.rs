use zk_proto::{EventType, Id, Zxid};

use super::*;
use crate::Membership;

const CONFIG: &str = "/zookeeper/config";
const THREE: &str = "server.1=a:11:12:participant;a:13\n\
    server.2=b:21:22:participant;b:23\n\
    server.3=c:31:32:participant;c:33\n\
    version=100000000";

/// An ensemble of which all three members keep up, asked by an administrator.
fn ensemble() -> Server {
    let mut server = Server::with_config(THREE);
    server.settings.reconfig_enabled = true;
    server.settings.membership = Membership::Ensemble {
        synced: vec![1, 2, 3],
    };
    server.ids.push(Id::new("super", ""));
    server
}

fn change<'a>(joining: Option<&'a str>, leaving: Option<&'a str>) -> Request<'a> {
    Request::Reconfig {
        joining: joining.map(Into::into),
        leaving: leaving.map(Into::into),
        new_members: None,
        from_config: -1,
    }
}

fn whole(members: &str) -> Request<'_> {
    Request::Reconfig {
        joining: None,
        leaving: None,
        new_members: Some(members.into()),
        from_config: -1,
    }
}

fn text(server: &Server) -> &str {
    std::str::from_utf8(server.data(CONFIG).unwrap()).unwrap()
}

#[test]
fn members_leave_and_join() {
    let mut server = ensemble();
    let Ok(Reply::Data { data, stat }) = server.write(&change(None, Some("3"))) else {
        panic!("it must succeed");
    };
    let two = "server.1=a:11:12:participant;a:13\n\
        server.2=b:21:22:participant;b:23\n\
        version=1";
    assert_eq!((data, text(&server)), (two.as_bytes().to_vec().into(), two));
    assert_eq!(stat, server.stat(CONFIG));
    assert_eq!(
        (stat.version, stat.mzxid, stat.mtime),
        (-1, Zxid(1), Server::time_of(1))
    );
    let events = [(EventType::NODE_DATA_CHANGED, CONFIG)];
    assert_eq!(server.events(), events);

    // A port alone is one on every address, and a member votes unless it says that it does not.
    let request = change(
        Some("server.4=d:41:42;43,server.3=c:1:2:observer;c:3"),
        None,
    );
    assert!(server.write(&request).is_ok());
    let four = "server.1=a:11:12:participant;a:13\n\
        server.2=b:21:22:participant;b:23\n\
        server.3=c:1:2:observer;c:3\n\
        server.4=d:41:42:participant;0.0.0.0:43\n\
        version=2";
    assert_eq!(text(&server), four);
}

#[test]
fn all_members_are_replaced() {
    let mut server = ensemble();
    let members = "server.2=b:21:22;b:23,server.1=a:11:12;a:13";
    assert!(server.write(&whole(members)).is_ok());
    let two = "server.1=a:11:12:participant;a:13\n\
        server.2=b:21:22:participant;b:23\n\
        version=1";
    assert_eq!(text(&server), two);
    // What a server wrote is read again.
    let again = two.to_owned();
    assert!(server.write(&whole(&again)).is_ok());
    assert_eq!(text(&server), two.replace("version=1", "version=2"));
}

#[test]
fn the_first_mistake_is_found() {
    let mut server = ensemble();
    server.settings.reconfig_enabled = false;
    server.standing = Standing::Gone;
    server.settings.membership = Membership::Standalone;
    server.ids.clear();
    let mut request = Request::Reconfig {
        joining: Some("garbage".into()),
        leaving: None,
        new_members: None,
        from_config: 5,
    };
    assert_eq!(refused(&server, &request), ErrorCode::RECONFIG_DISABLED);
    server.settings.reconfig_enabled = true;
    assert_eq!(refused(&server, &request), ErrorCode::SESSION_EXPIRED);
    server.standing = Standing::Global;
    assert_eq!(refused(&server, &request), ErrorCode::UNIMPLEMENTED);
    server.settings.membership = Membership::Ensemble { synced: vec![1] };
    assert_eq!(refused(&server, &request), BAD_VERSION);
    let Request::Reconfig { from_config, .. } = &mut request else {
        unreachable!()
    };
    *from_config = 0x1_0000_0000;
    assert_eq!(refused(&server, &request), BAD_ARGUMENTS);
    let request = change(None, Some("3"));
    assert_eq!(refused(&server, &request), ErrorCode::NEW_CONFIG_NO_QUORUM);
    server.settings.membership = Membership::Ensemble { synced: vec![1, 2] };
    assert_eq!(refused(&server, &request), NO_AUTH);
    server.ids.push(Id::new("super", ""));
    assert!(server.prepare(&request).is_ok());
}

#[test]
fn members_that_are_none_are_refused() {
    let server = ensemble();
    for joining in [
        "server.4",
        "server.x=d:41:42;43",
        "server.4=d:41;43",
        "server.4=d:41:42",
        "server.4=d:41:42:witness;43",
        "server.4=d:41:x;43",
        // Somebody else's addresses.
        "server.4=a:11:42;d:43",
        "server.4=d:41:42;a:13",
    ] {
        let request = change(Some(joining), None);
        assert_eq!(refused(&server, &request), BAD_ARGUMENTS, "{joining}");
    }
    assert_eq!(refused(&server, &change(None, Some("x"))), BAD_ARGUMENTS);
    // One voter alone is no ensemble.
    assert_eq!(refused(&server, &change(None, Some("2,3"))), BAD_ARGUMENTS);
    assert_eq!(
        refused(&server, &whole("server.1=a:11:12;13")),
        BAD_ARGUMENTS
    );
    assert_eq!(refused(&server, &whole("weight.1=3")), BAD_ARGUMENTS);
    // A member may change its own.
    let request = change(Some("server.3=c:31:32;c:99"), None);
    assert!(server.prepare(&request).is_ok());
}

#[test]
fn a_majority_of_the_new_voters_must_keep_up() {
    let server = ensemble();
    let joining = "server.4=d:1:2;3,server.5=e:1:2;3";
    assert!(server.prepare(&change(Some(joining), None)).is_ok());
    let six = format!("{joining},server.6=f:1:2;3");
    let request = change(Some(&six), None);
    assert_eq!(refused(&server, &request), ErrorCode::NEW_CONFIG_NO_QUORUM);
    let observer = format!("{joining},server.6=f:1:2:observer;3");
    assert!(server.prepare(&change(Some(&observer), None)).is_ok());
}
