//! [`NonBlockingLease`], [`MultiNonBlockingLease`].

use std::time::Duration;

use zk_client::{Client, Error, RecipeError};
use zk_proto::{Acl, OpCode};
use zk_recipes::lease::{Lease, MultiNonBlockingLease, NonBlockingLease};
use zk_server::Fault;

use crate::stage::Stage;

const MINUTE: Duration = Duration::from_secs(60);

fn obtain(stage: &Stage, client: &Client, who: &str) -> Option<Lease> {
    let lease = NonBlockingLease::new(client, "/leases/one", MINUTE).identifier(who);
    stage.run(lease.obtain())
}

#[test]
fn a_lease_is_held_until_its_end() {
    let stage = Stage::new(1);
    let (one, other) = (stage.client("one"), stage.client("other"));
    let lease = obtain(&stage, &one, "one").unwrap();
    let (data, stat) = stage.node("/leases/one/lease_holder").unwrap();
    let data = String::from_utf8(data).unwrap();
    assert!(
        data.starts_with(r#"{"version": 1, "holder": "one", "end": "2023-11-14T22:14:2"#),
        "{data}"
    );
    assert_eq!(stat.ephemeral_owner.0, 0);
    assert!(obtain(&stage, &other, "other").is_none());
    stage.pass(MINUTE / 2);
    let renewed = obtain(&stage, &one, "one").unwrap();
    assert!(renewed.end() > lease.end());
    stage.pass(MINUTE / 2);
    assert!(!lease.is_valid() && renewed.is_valid());
    assert!(obtain(&stage, &other, "other").is_none());
    stage.pass(MINUTE / 2);
    assert!(obtain(&stage, &other, "other").is_some());
    assert!(obtain(&stage, &one, "one").is_none());
    let left = stage.children("/leases/one");
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["lease_holder"]);
}

#[test]
fn it_outlives_session_and_client() {
    let stage = Stage::new(2);
    let (one, other) = (stage.client("one"), stage.client("other"));
    obtain(&stage, &one, "one").unwrap();
    stage.run(one.close());
    stage.pass(MINUTE / 2);
    assert!(obtain(&stage, &other, "other").is_none());
    stage.pass(MINUTE);
    assert!(obtain(&stage, &other, "other").is_some());
}

#[test]
fn another_version_is_left_alone() {
    let stage = Stage::new(3);
    let client = stage.client("app");
    let path = "/leases/one/lease_holder";
    stage.run(client.create(path, r#"{"version": 2}"#).make_path());
    assert!(obtain(&stage, &client, "one").is_none());
    stage.run(client.set(path, "what?"));
    let lease = NonBlockingLease::new(&client, "/leases/one", MINUTE);
    let error = stage.fail(lease.obtain());
    assert!(
        matches!(error, Error::Recipe(RecipeError::NotUnderstood { .. })),
        "{error:?}"
    );
}

/// kazoo: no retry: ConnectionLoss escapes.
#[test]
fn quirk_a_lost_reply_does_not_escape() {
    for opcode in [
        OpCode::CREATE,
        OpCode::GET_DATA,
        OpCode::MULTI,
        OpCode::DELETE,
    ] {
        for fault in [Fault::CutAfter, Fault::CutBefore] {
            let stage = Stage::new(4);
            let (client, other) = (stage.client("app"), stage.client("other"));
            stage.inject(opcode, fault);
            assert!(obtain(&stage, &client, "one").is_some());
            stage.pass(Duration::from_secs(8));
            stage.assert_faults_happened();
            assert!(obtain(&stage, &other, "other").is_none());
        }
    }
}

#[test]
fn one_of_many_obtains_it() {
    let stage = Stage::new(5);
    let clients: Vec<_> = (0..6).map(|n| stage.client(&format!("app{n}"))).collect();
    let pending: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(n, client)| {
            let lease = NonBlockingLease::new(client, "/leases/one", MINUTE);
            lease.identifier(&n.to_string()).obtain().send()
        })
        .collect();
    let obtained = pending.into_iter().filter_map(|lease| stage.run(lease));
    assert_eq!(obtained.count(), 1);
}

#[test]
fn several_leases_are_for_several() {
    let stage = Stage::new(6);
    let client = stage.client("app");
    let obtain = |who: &str| {
        let leases = MultiNonBlockingLease::new(&client, 2, "/leases/two", MINUTE);
        stage.run(leases.identifier(who).obtain())
    };
    assert!(obtain("a").is_some());
    assert!(obtain("b").is_some());
    assert!(obtain("c").is_none());
    assert!(obtain("a").is_some() && obtain("b").is_some());
    stage.pass(MINUTE * 2);
    assert!(obtain("c").is_some() && obtain("a").is_some());
    assert!(obtain("b").is_none());
}

/// kazoo: a holder of slot 1 renewing after slot 0 expired takes slot 0 too and occupies both.
#[test]
fn quirk_a_holder_never_has_two() {
    let stage = Stage::new(7);
    let client = stage.client("app");
    let obtain = |who: &str| {
        let leases = MultiNonBlockingLease::new(&client, 2, "/leases/two", MINUTE);
        stage.run(leases.identifier(who).obtain())
    };
    assert!(obtain("a").is_some());
    stage.pass(MINUTE / 2);
    assert!(obtain("b").is_some());
    stage.pass(MINUTE / 2);
    // The first slot is free now.
    assert!(obtain("b").is_some());
    assert!(obtain("c").is_some(), "b has one of them only");
    assert!(obtain("d").is_none());
}

#[test]
fn a_record_that_may_not_be_written_is_told() {
    let stage = Stage::new(8);
    let client = stage.client("app");
    let record = r#"{"version": 1, "holder": "x", "end": "2023-11-14T22:13:20"}"#;
    stage.run(client.ensure_path("/leases/one"));
    let create = client.create("/leases/one/lease_holder", record);
    stage.run(create.acl(Acl::read_unsafe_ref()));
    stage.pass(MINUTE);
    let lease = NonBlockingLease::new(&client, "/leases/one", MINUTE);
    let error = stage.fail(lease.obtain().timeout(MINUTE));
    assert_eq!(error, Error::NoAuth);
    stage.pass(MINUTE);
    assert_eq!(stage.children("/leases/one").len(), 1);
}
