//! Writes that happen all or not at all.

use zk::{
    Acl, Error, ErrorCode, EventType, Fate, Outcome, Perms, SessionId, TransactionError,
    TransactionResult, WriteKind,
};

use crate::support::{Direction, Env, next_event, session_of};

fn failed(result: Result<Vec<TransactionResult>, Error>) -> TransactionError {
    match result {
        Err(Error::Transaction(error)) => *error,
        other => panic!("not a failed transaction: {other:?}"),
    }
}

pub(crate) fn each_write_has_its_result(env: &Env) {
    let client = env.client();
    client.create("/old", b"0").wait().unwrap();
    client.create("/set", b"0").wait().unwrap();
    let results = client
        .transaction()
        .create("/plain", b"1")
        .with(client.create("/e", b"2").ephemeral())
        .with(client.create("/s-", b"3").sequential())
        .with(
            client
                .create("/es-", None::<&[u8]>)
                .ephemeral()
                .sequential(),
        )
        .set("/set", b"new")
        .check("/set", 1)
        .with(client.set("/set", b"newer").version(1))
        .delete("/old")
        .commit()
        .wait()
        .unwrap();
    let paths: Vec<_> = results.iter().map(TransactionResult::path).collect();
    let created = [
        Some("/plain"),
        Some("/e"),
        Some("/s-0000000004"),
        Some("/es-0000000005"),
    ];
    assert_eq!(paths[..4], created);
    assert_eq!(paths[4..], [None; 4]);
    assert_eq!(results[4].stat().unwrap().version, 1);
    assert_eq!(results[5], TransactionResult::Checked);
    assert_eq!(results[6].stat().unwrap().version, 2);
    assert_eq!(results[7], TransactionResult::Deleted);
    assert_eq!(client.get("/plain").wait().unwrap().0, b"1");
    let (_, stat) = client.get("/e").wait().unwrap();
    assert_eq!(stat.ephemeral_owner, session_of(&client));
    assert!(client.get("/es-0000000005").wait().unwrap().0.is_null());
    assert_eq!(client.get("/set").wait().unwrap().0, b"newer");
    assert_eq!(client.exists("/old").wait().unwrap(), None);
    // All in one.
    let plain = client.exists("/plain").wait().unwrap().unwrap();
    assert_eq!(plain.czxid, stat.czxid);
}

pub(crate) fn stats_come_along_where_the_server_tells_them(env: &Env) {
    let client = env.client();
    let hour = std::time::Duration::from_secs(3600);
    let results = client
        .transaction()
        .with(client.create("/a", b"12").with_stat())
        .create("/b", b"")
        .with(client.create("/c", b"").container())
        .with(client.create("/t", b"").ttl(hour))
        .commit()
        .wait()
        .unwrap();
    let a = client.exists("/a").wait().unwrap();
    if env.is_3_9() {
        assert_eq!(results[0].stat(), a.as_ref());
    } else {
        // Of old, servers left it out.
        assert_eq!(results[0].stat(), None);
    }
    assert_eq!(results[1].stat(), None);
    assert_eq!(
        results[2].stat().copied(),
        client.exists("/c").wait().unwrap()
    );
    assert_eq!(
        results[3].stat().copied(),
        client.exists("/t").wait().unwrap()
    );
    assert_eq!(results[3].path(), Some("/t"));
}

pub(crate) fn nothing_is_done_if_one_fails(env: &Env) {
    let client = env.client();
    client.create("/a", b"0").wait().unwrap();
    let transaction = client
        .transaction()
        .create("/b", b"")
        .set("/a", b"1")
        .check("/a", 7);
    let transaction = transaction.delete("/a").create("/c", b"");
    let result = transaction.commit().wait();
    assert_eq!(
        result.as_ref().unwrap_err().outcome(),
        Some(Outcome::NotApplied)
    );
    let error = failed(result);
    assert_eq!(
        (error.index(), error.kind(), error.path()),
        (2, WriteKind::Check, "/a")
    );
    assert_eq!(*error.cause(), Error::BadVersion);
    let (skipped, bad) = (ErrorCode::RUNTIME_INCONSISTENCY, ErrorCode::BAD_VERSION);
    assert_eq!(
        error.codes(),
        [ErrorCode::OK, ErrorCode::OK, bad, skipped, skipped]
    );
    // As kazoo has it.
    let fates: Vec<_> = error.results().collect();
    let expected = [
        Fate::RolledBack,
        Fate::RolledBack,
        Fate::Failed(Error::BadVersion),
        Fate::NotExecuted,
        Fate::NotExecuted,
    ];
    assert_eq!(fates, expected);
    assert!(
        error.to_string().contains("operation 2, check /a"),
        "{error}"
    );
    assert_eq!(client.get("/a").wait().unwrap().0, b"0");
    assert_eq!(client.get_children("/").wait().unwrap().to_vec(), ["a"]);
}

pub(crate) fn every_kind_of_failure_is_told(env: &Env) {
    let client = env.client();
    client.ensure_path("/full/child").wait().unwrap();
    client.create("/e", b"").ephemeral().wait().unwrap();
    let cause = |error: TransactionError| (error.index(), error.cause().clone());
    let fails = |transaction: zk::Transaction<'_>| cause(failed(transaction.commit().wait()));
    let t = || client.transaction().check("/", -1);
    assert_eq!(fails(t().create("/full", b"")), (1, Error::NodeExists));
    assert_eq!(fails(t().create("/none/a", b"")), (1, Error::NoNode));
    assert_eq!(
        fails(t().create("/e/a", b"")),
        (1, Error::NoChildrenForEphemerals)
    );
    assert_eq!(fails(t().delete("/none")), (1, Error::NoNode));
    assert_eq!(fails(t().delete("/full")), (1, Error::NotEmpty));
    assert_eq!(fails(t().set("/none", b"")), (1, Error::NoNode));
    assert_eq!(
        fails(t().with(client.set("/full", b"").version(9))),
        (1, Error::BadVersion)
    );
    assert_eq!(
        fails(t().with(client.delete("/full/child").version(9))),
        (1, Error::BadVersion)
    );
    assert_eq!(fails(t().check("/none", -1)), (1, Error::NoNode));
    env.other()
        .set_acls(&env.full("/full"), Acl::read_unsafe_ref())
        .wait()
        .unwrap();
    assert_eq!(fails(t().set("/full", b"")), (1, Error::NoAuth));
    assert!(client.connected());
}

pub(crate) fn later_writes_see_earlier_ones(env: &Env) {
    let client = env.client();
    let transaction = client.transaction().create("/a", b"0").create("/a/b", b"1");
    let transaction = transaction.set("/a", b"2").check("/a", 1).delete("/a/b");
    transaction.commit().wait().unwrap();
    let (data, stat) = client.get("/a").wait().unwrap();
    assert_eq!((data.as_ref(), stat.version), (b"2".as_slice(), 1));
    assert_eq!(stat.children_count(), 0);
}

pub(crate) fn an_empty_transaction_is_a_barrier(env: &Env) {
    let client = env.client();
    let before = client.last_zxid();
    assert!(client.transaction().is_empty());
    assert_eq!(client.transaction().commit().wait().unwrap(), []);
    assert!(client.last_zxid() > before);
}

pub(crate) fn the_default_list_is_used(env: &Env) {
    let acl = vec![Acl::digest("user", "password", Perms::ALL)];
    let mut builder = env.builder();
    builder
        .default_acl(acl.clone())
        .auth("digest", "user:password");
    let client = env.connect(&builder);
    let open = client.create("/open", b"").acl(Acl::open_unsafe_ref());
    client
        .transaction()
        .create("/mine", b"")
        .with(open)
        .commit()
        .wait()
        .unwrap();
    assert_eq!(client.get_acls("/mine").wait().unwrap().0, acl);
    assert_eq!(
        client.get_acls("/open").wait().unwrap().0,
        Acl::open_unsafe()
    );
}

pub(crate) fn root_paths_are_put_on_and_taken_off(env: &Env) {
    let client = env.client();
    client.ensure_path("/view").wait().unwrap();
    let view = client.chroot("/view").unwrap();
    let transaction = view
        .transaction()
        .create("/a", b"")
        .with(client.create("/b", b""));
    let results = transaction.create("/s-", b"").commit().wait().unwrap();
    let paths: Vec<_> = results
        .iter()
        .map(|result| result.path().unwrap())
        .collect();
    assert_eq!(paths, ["/a", "/b", "/s-"]);
    assert!(client.exists("/view/a").wait().unwrap().is_some());
    assert!(client.exists("/b").wait().unwrap().is_some());
    let error = failed(view.transaction().delete("/none").commit().wait());
    assert_eq!(error.path(), "/none");
}

pub(crate) fn mistakes_are_told_before_anything_is_sent(env: &Env) {
    let client = env.client();
    let before = client.stats().session.requests;
    let malformed = client
        .transaction()
        .create("/a", b"")
        .create("/../b", b"")
        .commit()
        .wait();
    assert!(matches!(malformed, Err(Error::Path(_))), "{malformed:?}");
    let parents = client.create("/a/b", b"").make_path();
    let several = client.transaction().with(parents).commit().wait();
    assert!(
        matches!(several, Err(Error::NotInTransaction(_))),
        "{several:?}"
    );
    let stranger = env.client();
    let foreign = client
        .transaction()
        .with(stranger.create("/a", b""))
        .commit()
        .wait();
    assert!(
        matches!(foreign, Err(Error::NotInTransaction(_))),
        "{foreign:?}"
    );
    let large = client.transaction().create("/a", vec![0; 600_000]);
    let large = large.create("/b", vec![0; 600_000]).commit().wait();
    assert!(matches!(large, Err(Error::TooLarge { .. })), "{large:?}");
    assert_eq!(client.stats().session.requests, before);
}

pub(crate) fn sequences_and_ephemerals_can_be_mixed(env: &Env) {
    let client = env.client();
    client.create("/q", b"").wait().unwrap();
    let number = |n: u32| client.create("/q/", n.to_string()).sequential();
    let results = (0..100)
        .fold(client.transaction(), |t, n| t.with(number(n)))
        .commit()
        .wait();
    for (n, result) in results.unwrap().iter().enumerate() {
        assert_eq!(result.path().unwrap(), format!("/q/{n:010}"));
    }
    // A failed one uses no numbers up.
    failed(
        client
            .transaction()
            .with(number(0))
            .delete("/none")
            .commit()
            .wait(),
    );
    let next = number(0).wait().unwrap();
    assert_eq!(next, "/q/0000000100");
}

pub(crate) fn watches_see_the_writes_in_order(env: &Env) {
    let client = env.client();
    let mut stream = client.add_watch("/").recursive().wait().unwrap();
    let transaction = client.transaction().create("/a", b"").create("/b", b"");
    transaction
        .set("/a", b"")
        .delete("/b")
        .commit()
        .wait()
        .unwrap();
    let expected = [
        (EventType::NODE_CREATED, "/a"),
        (EventType::NODE_CREATED, "/b"),
        (EventType::NODE_DATA_CHANGED, "/a"),
        (EventType::NODE_DELETED, "/b"),
    ];
    for (kind, path) in expected {
        // There before the reply.
        assert_eq!(next_event(&mut stream), (kind, path.to_owned()));
    }
    failed(
        client
            .transaction()
            .create("/c", b"")
            .delete("/none")
            .commit()
            .wait(),
    );
    crate::support::assert_silent(&client, &mut stream);
}

pub(crate) fn a_lost_reply_leaves_the_outcome_unknown(env: &Env) {
    let proxy = env.proxy();
    let client = env.connect(&env.builder_through(&proxy));
    proxy.cut_after(Direction::ToClient, 0);
    let error = client
        .transaction()
        .create("/a", b"")
        .commit()
        .wait()
        .unwrap_err();
    assert_eq!(error, Error::ConnectionLoss { sent: true });
    assert_eq!(error.outcome(), Some(Outcome::Unknown));
    let stat = client.exists("/a").wait().unwrap().unwrap();
    assert_eq!(stat.ephemeral_owner, SessionId::NONE);
}
