//! Transactions.

use std::time::Duration;

use zk_proto::{ErrorCode, OpCode};

use super::Rig;
use super::retrying::policy;
use super::world::{Fault, World};
use crate::{Doubt, Error, Fate, Outcome, TransactionResult, WriteKind};

fn made(path: &str) -> TransactionResult {
    let (path, stat) = (path.to_owned(), None);
    TransactionResult::Created { path, stat }
}

#[test]
fn results_come_in_order_below_the_root_path() {
    let mut world = World::of(
        Rig::new("h1/app"),
        &["/app", "/app/a", "/app/b", "/app/sub"],
    );
    let client = world.rig.client.clone();
    let sub = client.chroot("/sub").unwrap();
    let results = client
        .transaction()
        .create("/c", b"1")
        .with(client.create("/c/n-", "").ephemeral().sequential())
        .with(client.create("/s", "").with_stat())
        .with(sub.create("/x", ""))
        .set_data("/a", "2")
        .with(client.set("a", "3").version(1))
        .check("/a", 2)
        .delete("/b")
        .commit();
    let results = world.run(results).unwrap();
    assert_eq!(results[..2], [made("/c"), made("/c/n-0000000000")]);
    assert!(
        matches!(&results[2], TransactionResult::Created { path, stat: Some(_) } if path == "/s")
    );
    assert_eq!(results[3], made("/x"));
    assert_eq!(results[5].stat().unwrap().version, 2);
    assert_eq!(
        results[6..],
        [TransactionResult::Checked, TransactionResult::Deleted]
    );
    assert!(world.nodes.contains_key("/app/sub/x"));
    assert_eq!(
        world.nodes["/app/c/n-0000000000"].stat.ephemeral_owner.0,
        world.session
    );
}

#[test]
fn what_is_held_is_checked_first_and_not_counted() {
    let mut world = World::of(Rig::new("h1/app"), &["/app", "/app/held", "/app/a"]);
    let client = world.rig.client.clone();
    let guarded = |held: &str| client.transaction().set("/a", "1").while_held(held);
    assert_eq!(guarded("/held").len(), 1);
    let results = world.run(guarded("/held").commit()).unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].stat().unwrap().version, 1);
    let error = world
        .run(guarded("/held").delete("/none").commit())
        .unwrap_err();
    let Error::Transaction(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!((error.index(), error.path()), (1, "/none"));
    assert_eq!(error.results().len(), 2);
    // Nothing was done, as nothing is held.
    let gone = world.run(guarded("/gone").commit());
    assert_eq!(gone.unwrap_err(), Error::NotHeld);
    assert_eq!(world.nodes["/app/a"].stat.version, 1);
    let twice = world.run(guarded("/held").while_held("/held").commit());
    assert!(matches!(twice, Err(Error::NotInTransaction(_))));
}

/// They were made beside the root path, and not below it.
#[test]
fn sequential_nodes_without_a_name_stay_below_the_root_path() {
    let mut world = World::of(Rig::new("h1/app"), &["/app"]);
    let client = world.rig.client.clone();
    let create = client.create("/", "").sequential();
    let results = world.run(client.transaction().with(create).commit());
    assert_eq!(results.unwrap(), [made("/0000000000")]);
    assert!(world.nodes.contains_key("/app/0000000000"));
}

#[test]
fn old_servers_leave_the_stat_out() {
    let mut world = World::new(&[]);
    world.old = true;
    let client = world.rig.client.clone();
    let create = client.create("/a", "").with_stat();
    let results = world.run(client.transaction().with(create).commit());
    assert_eq!(results.unwrap(), [made("/a")]);
}

#[test]
fn a_failure_says_which_and_why() {
    let mut world = World::of(Rig::new("h1/app"), &["/app", "/app/a"]);
    let client = world.rig.client.clone();
    let failing = client
        .transaction()
        .create("/b", "")
        .with(client.delete("a").version(7))
        .create("/c", "")
        .check("/d", 1)
        .commit();
    let error = world.run(failing).unwrap_err();
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    assert_eq!(error.code(), Some(ErrorCode::BAD_VERSION));
    assert_eq!(
        error.to_string(),
        "nothing of the transaction was done: operation 1, delete /a: \
         the node's version differs from the one given: read it again"
    );
    let Error::Transaction(error) = error else {
        panic!("{error}");
    };
    assert_eq!(
        (error.index(), error.kind(), error.path()),
        (1, WriteKind::Delete, "/a")
    );
    assert_eq!(error.cause(), &Error::BadVersion);
    let fates: Vec<_> = error.results().collect();
    let failed = Fate::Failed(Error::BadVersion);
    assert_eq!(
        fates,
        [
            Fate::RolledBack,
            failed,
            Fate::NotExecuted,
            Fate::NotExecuted
        ]
    );
    assert_eq!(error.codes().len(), 4);
    assert_eq!(world.paths(), ["/app", "/app/a"]);
}

#[test]
fn mistakes_are_kept_until_the_commit() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    let bad = client.transaction().delete("/a/../b").create("/c", "");
    assert!(matches!(world.run(bad.commit()), Err(Error::Path(_))));
    let bad = client
        .transaction()
        .with(client.create("/a/b", "").make_path());
    assert!(matches!(
        world.run(bad.commit()),
        Err(Error::NotInTransaction(_))
    ));
    let other = Rig::new("h1");
    let bad = client.transaction().with(other.client.delete("/a"));
    assert!(matches!(
        world.run(bad.commit()),
        Err(Error::NotInTransaction(_))
    ));
    assert!(world.log.is_empty());
}

#[test]
fn an_empty_one_is_sent() {
    let mut world = World::new(&[]);
    let client = world.rig.client.clone();
    assert!(client.transaction().is_empty());
    assert_eq!(world.run(client.transaction().commit()), Ok(Vec::new()));
    assert_eq!(world.log, ["multi "]);
    world.fail(OpCode::MULTI, Fault::LostAfter);
    let again = client.retry(&policy(), client.transaction().commit());
    assert_eq!(world.run(again), Ok(Vec::new()));
}

#[test]
fn a_lost_one_is_unknown() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::MULTI, Fault::LostAfter);
    let commit = client.transaction().create("/b", "").commit();
    let error = world.run(client.retry(&policy(), commit)).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unknown {
                why: Doubt::Transaction,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_protected_create_tells_what_became_of_it() {
    for (fault, sent) in [(Fault::LostBefore, 2), (Fault::LostAfter, 1)] {
        let mut world = World::new(&["/a", "/b"]);
        let client = world.rig.client.clone();
        world.fail(OpCode::MULTI, fault);
        let trace = client.create("/a/t-", "").sequential().protected();
        let commit = client
            .transaction()
            .with(trace)
            .delete("/b")
            .create("/c", "");
        let results = world.run(client.retry(&policy(), commit.commit())).unwrap();
        assert!(results[0].path().unwrap().starts_with("/a/_c_"));
        assert_eq!(results[1..], [TransactionResult::Deleted, made("/c")]);
        assert_eq!(world.count("multi"), sent);
    }
    // By itself it is sent once.
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        world.fail(OpCode::MULTI, fault);
        let trace = client.create("/a/t", "").protected();
        let commit = client.transaction().with(trace).set("/a", "").commit();
        let error = world.run(commit).unwrap_err();
        // The stat of the set node is lost.
        assert_eq!(
            error,
            match fault {
                Fault::LostBefore => Error::ConnectionLoss { sent: false },
                Fault::LostAfter
                | Fault::ExpiredAfter
                | Fault::Late(_)
                | Fault::Answer(_)
                | Fault::Silent => {
                    Error::ResultLost
                }
            }
        );
    }
    // Another one, without operations, is what the clean-up looks behind.
    assert_eq!(world.count("multi"), 3);
    assert_eq!(Error::ResultLost.outcome(), Some(Outcome::Applied));
}

#[test]
fn a_limit_is_kept() {
    let mut world = World::new(&["/a"]);
    let client = world.rig.client.clone();
    world.fail(OpCode::MULTI, Fault::Silent);
    let commit = client.transaction().set("/a", "").commit();
    let commit = commit.timeout(Duration::from_millis(100));
    assert_eq!(world.run(commit), Err(Error::Timeout { sent: true }));
}
