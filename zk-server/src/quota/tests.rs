use zk_proto::{Acl, CreateMode, Request};

use super::*;
use crate::testing::{Server, multi_create};

const LIMITS_PATH: &str = "/zookeeper/quota/q/zookeeper_limits";
const USAGE_PATH: &str = "/zookeeper/quota/q/zookeeper_stats";

/// A server whose `/q` has these limits, which are enforced.
fn limited(limits: &str) -> Server {
    let mut server = Server::new();
    server.settings.enforce_quota = true;
    server.make("/q");
    server.make("/zookeeper/quota/q");
    server.make_with(LIMITS_PATH, limits.as_bytes(), Acl::open_unsafe_ref());
    server.make_with(USAGE_PATH, b"count=0,bytes=0", Acl::open_unsafe_ref());
    server
}

fn usage(server: &Server) -> &str {
    std::str::from_utf8(server.data(USAGE_PATH).unwrap()).unwrap()
}

#[test]
fn hard_limits_are_enforced_as_on_real_servers() {
    let mut server = limited("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3");
    assert_eq!(
        usage(&server),
        "count=1,bytes=0",
        "counted when it was created"
    );
    let exceeded = ErrorCode::QUOTA_EXCEEDED;
    assert_eq!(server.set("/q", b"12345678901"), Err(exceeded));
    assert!(server.set("/q", b"1234567890").is_ok());
    assert!(server.set("/q", b"").is_ok());
    server.make("/q/1");
    server.make("/q/2");
    assert_eq!(server.create("/q/3", CreateMode::Persistent), Err(exceeded));
    assert_eq!(usage(&server), "count=3,bytes=0");
    server.delete("/q/2").unwrap();
    assert_eq!(usage(&server), "count=2,bytes=0");
    server.make("/q/1/deep");
    assert_eq!(usage(&server), "count=3,bytes=0");
}

#[test]
fn usage_changes_in_place() {
    let mut server = limited("count=5,bytes=5");
    let before = server.stat(USAGE_PATH);
    let size = server.tree.data_size();
    server.make_with("/q/1", b"1234567890", Acl::open_unsafe_ref());
    assert_eq!(
        usage(&server),
        "count=2,bytes=10",
        "soft limits do not count"
    );
    assert_eq!(server.events().len(), 2, "nothing is said of it");
    let after = zk_proto::Stat {
        data_length: 16,
        ..before
    };
    assert_eq!(server.stat(USAGE_PATH), after);
    assert_eq!(server.tree.data_size(), size + "/q/1".len() + 10 + 1);
}

#[test]
fn a_quota_ends_with_its_limits() {
    let mut server = limited("count=-1,bytes=-1=;countHardLimit=1");
    let create = |server: &mut Server| server.create("/q/1", CreateMode::Persistent);
    assert_eq!(create(&mut server), Err(ErrorCode::QUOTA_EXCEEDED));
    server.settings.enforce_quota = false;
    assert!(create(&mut server).is_ok());
    server.settings.enforce_quota = true;
    server.delete("/q/1").unwrap();
    server.delete(LIMITS_PATH).unwrap();
    assert!(create(&mut server).is_ok());
    assert_eq!(usage(&server), "count=1,bytes=0", "nobody counts any more");
}

#[test]
fn within_a_multi_the_usage_before_it_counts() {
    let mut server = limited("count=-1,bytes=-1=;countHardLimit=2");
    let persistent = CreateMode::Persistent;
    let ops = ["/q/1", "/q/2"].map(|path| multi_create(path, persistent));
    server.multi(ops.to_vec());
    assert_eq!(usage(&server), "count=3,bytes=0");
}

#[test]
fn what_frees_space_is_held_against_the_limit_too() {
    let mut server = limited("count=-1,bytes=-1");
    server.set("/q", b"1234567890").unwrap();
    server
        .set(LIMITS_PATH, b"count=-1,bytes=-1=;byteHardLimit=5")
        .unwrap();
    let exceeded = Err(ErrorCode::QUOTA_EXCEEDED);
    assert_eq!(server.set("/q", b"123456789"), exceeded);
    assert!(
        server.set("/q", b"abcdefghij").is_ok(),
        "as it changes nothing"
    );
    assert!(server.set("/q", b"12345").is_ok());
    assert!(server.create("/q/1", CreateMode::Persistent).is_ok());
}

#[test]
fn a_quota_without_usage_is_none() {
    let mut server = limited("count=-1,bytes=-1=;countHardLimit=1");
    server.delete(USAGE_PATH).unwrap();
    assert!(server.create("/q/1", CreateMode::Persistent).is_ok());
}

#[test]
fn the_end_of_a_session_frees_what_it_used() {
    let mut server = limited("count=-1,bytes=-1");
    server.create("/q/e", CreateMode::Ephemeral).unwrap();
    assert_eq!(usage(&server), "count=2,bytes=0");
    server.write(&Request::CloseSession).unwrap();
    assert_eq!(usage(&server), "count=1,bytes=0");
}

#[test]
fn roles() {
    assert_eq!(
        role("/zookeeper/quota/a/b/zookeeper_limits"),
        Some((Role::Limits, "/a/b"))
    );
    assert_eq!(
        role("/zookeeper/quota/a/zookeeper_stats"),
        Some((Role::Usage, "/a"))
    );
    for path in [
        "/zookeeper/quota/zookeeper_limits",
        "/zookeeper/quota/a",
        "/zookeeper/quota",
        "/zookeeper/quotas/a/zookeeper_limits",
        "/zookeeper_limits",
    ] {
        assert_eq!(role(path), None, "{path}");
    }
    assert_eq!(usage_path("/q"), USAGE_PATH);
}

#[test]
fn texts() {
    let whole = "count=1,bytes=2=;byteHardLimit=3;countHardLimit=4";
    for text in [
        whole,
        "count=-1,bytes=0",
        "count=1,bytes=2=;countHardLimit=4",
    ] {
        assert_eq!(Track::parse(Some(text.as_bytes())).to_string(), text);
    }
    let nothing = "count=-1,bytes=-1";
    for text in [&b""[..], b"nonsense", b"count=x,bytes=", b"=;=", b"\xff"] {
        assert_eq!(Track::parse(Some(text)).to_string(), nothing);
    }
    assert_eq!(Track::parse(None).to_string(), nothing);
}
