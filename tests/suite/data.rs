//! Reading, writing and deleting data.

use zk::{Data, Error, IntoData, Outcome, ReadResult};

use crate::support::{Env, wait_until};

pub(crate) fn set_replaces_and_counts(env: &Env) {
    let client = env.client();
    let (_, before) = client.create("/a", b"first").with_stat().wait().unwrap();
    let after = client.set("/a", b"second!").wait().unwrap();
    assert_eq!((before.version, after.version), (0, 1));
    assert!(after.mzxid > before.mzxid && after.czxid == before.czxid);
    assert_eq!(after.data_length(), 7);
    assert_eq!(
        client.get("/a").wait().unwrap(),
        (b"second!".as_slice().into(), after)
    );
    assert_eq!(client.set("/none", b"").wait(), Err(Error::NoNode));
}

pub(crate) fn versions_guard_against_others(env: &Env) {
    let client = env.client();
    client.create("/a", b"0").wait().unwrap();
    let stat = client.set("/a", b"1").version(0).wait().unwrap();
    let error = client.set("/a", b"2").version(0).wait().unwrap_err();
    assert_eq!(error, Error::BadVersion);
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    assert_eq!(client.get("/a").wait().unwrap().0, b"1");
    client.set("/a", b"3").version(-1).wait().unwrap();
    assert_eq!(
        client.delete("/a").version(stat.version).wait(),
        Err(Error::BadVersion)
    );
    client.delete("/a").version(2).wait().unwrap();
    assert_eq!(client.exists("/a").wait().unwrap(), None);
}

pub(crate) fn null_is_not_empty(env: &Env) {
    let client = env.client();
    client.create("/null", None::<&[u8]>).wait().unwrap();
    client.create("/empty", b"").wait().unwrap();
    let (null, stat) = client.get("/null").wait().unwrap();
    assert!(null.is_null());
    assert_eq!(stat.data_length(), 0);
    let (empty, _) = client.get("/empty").wait().unwrap();
    assert!(!empty.is_null() && empty.is_empty());
    client.set("/null", b"").wait().unwrap();
    client.set("/empty", None::<&[u8]>).wait().unwrap();
    assert!(!client.get("/null").wait().unwrap().0.is_null());
    assert!(client.get("/empty").wait().unwrap().0.is_null());
}

pub(crate) fn all_kinds_of_data_are_taken(env: &Env) {
    fn roundtrip<'a>(client: &'a zk::Client, data: impl IntoData<'a>, expected: &[u8]) {
        client.set("/a", data).wait().unwrap();
        assert_eq!(client.get("/a").wait().unwrap().0, expected);
    }
    let client = env.client();
    client.create("/a", "text").wait().unwrap();
    roundtrip(&client, b"array", b"array");
    roundtrip(&client, b"slice".as_slice(), b"slice");
    roundtrip(&client, "text é", "text é".as_bytes());
    roundtrip(&client, String::from("string"), b"string");
    roundtrip(&client, vec![0, 255, 10], &[0, 255, 10]);
    roundtrip(&client, Some("some"), b"some");
    let data: Data<'_> = "data".into_data();
    roundtrip(&client, data, b"data");
    // What was read can be written back as it is.
    let (read, _) = client.get("/a").wait().unwrap();
    client.create("/b", read).wait().unwrap();
    assert_eq!(client.get("/b").wait().unwrap().0, b"data");
}

pub(crate) fn half_a_mebibyte_is_fine(env: &Env) {
    let client = env.client();
    let data: Vec<u8> = (0..512 * 1024).map(|n: u32| n.to_le_bytes()[0]).collect();
    client.create("/big", &data).wait().unwrap();
    assert_eq!(client.get("/big").wait().unwrap().0, data);
    let reads: Vec<_> = (0..8).map(|_| client.get("/big").send()).collect();
    for read in reads {
        assert_eq!(read.wait().unwrap().0, data);
    }
}

pub(crate) fn delete_deletes_leaves_only(env: &Env) {
    let client = env.client();
    client.ensure_path("/a/b").wait().unwrap();
    let error = client.delete("/a").wait().unwrap_err();
    assert_eq!(
        (error.outcome(), error),
        (Some(Outcome::NotApplied), Error::NotEmpty)
    );
    client.delete("/a/b").wait().unwrap();
    client.delete("/a").wait().unwrap();
    assert_eq!(client.delete("/a").wait(), Err(Error::NoNode));
    client.create("/b", b"").wait().unwrap();
    client.delete("/b").urgent().wait().unwrap();
    assert_eq!(client.exists("/b").wait().unwrap(), None);
}

pub(crate) fn whole_trees_are_deleted(env: &Env) {
    let client = env.client();
    for n in 0..300 {
        client
            .create(&format!("/t/a/n{n}/leaf"), b"")
            .make_path()
            .send()
            .detach();
    }
    client
        .create("/t/b/c/d/e/f", b"")
        .make_path()
        .wait()
        .unwrap();
    client
        .create("/t/ephemeral", b"")
        .ephemeral()
        .wait()
        .unwrap();
    wait_until("the tree", || {
        client.get_all_children_number("/t").wait().unwrap() == 607
    });
    client.delete("/t").recursive().wait().unwrap();
    assert_eq!(client.exists("/t").wait().unwrap(), None);
    // What is gone already is fine.
    client.delete("/t").recursive().wait().unwrap();
    client.delete("/t/a/b").recursive().wait().unwrap();

    client.create("/v/a", b"").make_path().wait().unwrap();
    let stale = client.delete("/v").version(7).recursive().wait();
    assert_eq!(stale, Err(Error::BadVersion));
    client.delete("/v").version(0).recursive().wait().unwrap();
    assert!(client.get_children("/").wait().unwrap().is_empty());
}

pub(crate) fn a_tree_is_deleted_while_others_add_to_it(env: &Env) {
    let (client, other) = (env.client(), env.client());
    client.ensure_path("/t/a").wait().unwrap();
    let adding: Vec<_> = (0..100)
        .map(|n| other.create(&format!("/t/a/n{n}"), b"").send())
        .collect();
    client.delete("/t").recursive().wait().unwrap();
    for added in adding {
        let result = added.wait();
        assert!(matches!(result, Ok(_) | Err(Error::NoNode)), "{result:?}");
    }
    assert_eq!(client.exists("/t").wait().unwrap(), None);
}

pub(crate) fn exists_tells_what_there_is(env: &Env) {
    let client = env.client();
    assert_eq!(client.exists("/a").wait().unwrap(), None);
    assert_eq!(client.exists("/a/b/c").wait().unwrap(), None);
    let (_, stat) = client.create("/a", b"12").with_stat().wait().unwrap();
    assert_eq!(client.exists("/a").wait().unwrap(), Some(stat));
    assert_eq!(client.exists("/a/b").wait().unwrap(), None);
    let (_, root) = client.get("/").wait().unwrap();
    assert_eq!((root.children_count(), root.children_version()), (1, 1));
    let times = [stat.created(), stat.last_modified()];
    let now = client
        .wall_clock()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    assert!(
        times
            .iter()
            .all(|time| now.abs_diff(*time) < crate::support::LIMIT)
    );
}

pub(crate) fn sync_gives_the_path(env: &Env) {
    let client = env.client();
    assert_eq!(client.sync("/").wait().unwrap(), "/");
    assert_eq!(client.sync("/none/at/all").wait().unwrap(), "/none/at/all");
    assert_eq!(env.other().sync("/").wait().unwrap(), "/");
}

pub(crate) fn fresh_reads_see_what_others_wrote(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    for n in 0..20 {
        let text = n.to_string();
        env.other().set(&env.full("/a"), &text).wait().unwrap();
        let (data, stat) = client.get("/a").synced().wait().unwrap();
        assert_eq!(data, text);
        let (data, again) = client.get("/a").linearizable().wait().unwrap();
        assert_eq!((data.as_ref(), again), (text.as_bytes(), stat));
        assert_eq!(client.exists("/a").synced().wait().unwrap(), Some(stat));
    }
    let watched = client.get_children("/").linearizable().watched();
    let (children, watch) = watched.wait().unwrap();
    assert_eq!(children.sorted(), ["a"]);
    drop(watch);
    assert_eq!(
        client.get("/none").synced().wait().unwrap_err(),
        Error::NoNode
    );
    assert_eq!(
        client.get("/none").linearizable().wait().unwrap_err(),
        Error::NoNode
    );
}

pub(crate) fn several_reads_are_one_request(env: &Env) {
    let client = env.client();
    client.create("/a", b"data").wait().unwrap();
    client.create("/a/x", None::<&[u8]>).wait().unwrap();
    client.create("/a/y", b"").wait().unwrap();
    let before = client.stats().session.requests;
    let reads = client
        .multi_read()
        .get("/a")
        .get_children("/a")
        .get("/none")
        .get("/a/x");
    let results = reads.get_children("/none").wait().unwrap();
    assert_eq!(client.stats().session.requests, before + 1);
    let [a, children, none, null, no_children] = &results[..] else {
        panic!("{results:?}");
    };
    let ReadResult::Data { data, stat } = a else {
        panic!("{a:?}");
    };
    assert_eq!(
        (data.as_ref(), stat.children_count()),
        (b"data".as_slice(), 2)
    );
    let ReadResult::Children(children) = children else {
        panic!("{children:?}");
    };
    assert_eq!(children.sorted(), ["x", "y"]);
    assert_eq!(*none, ReadResult::Error(zk::ErrorCode::NO_NODE));
    assert_eq!(*no_children, ReadResult::Error(zk::ErrorCode::NO_NODE));
    assert!(matches!(null, ReadResult::Data { data, .. } if data.is_null()));
    assert_eq!(client.multi_read().wait().unwrap(), []);
    assert!(matches!(
        client.multi_read().get("/../a").wait(),
        Err(Error::Path(_))
    ));
}

pub(crate) fn quotas_are_told_apart(env: &Env) {
    let client = env.client();
    client.create("/limited", b"").wait().unwrap();
    let quota = format!("/zookeeper/quota{}", env.full("/limited"));
    env.other().ensure_path(&quota).wait().unwrap();
    let hard = "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2";
    env.other()
        .create(&format!("{quota}/zookeeper_limits"), hard)
        .wait()
        .unwrap();
    let stats = "count=0,bytes=0";
    env.other()
        .create(&format!("{quota}/zookeeper_stats"), stats)
        .wait()
        .unwrap();
    client.create("/limited/one", b"").wait().unwrap();
    let error = client.create("/limited/two", b"").wait().unwrap_err();
    assert_eq!(
        (error.outcome(), error),
        (Some(Outcome::NotApplied), Error::QuotaExceeded)
    );
    let quotas = format!("/zookeeper/quota{}", env.root());
    env.other().delete(&quotas).recursive().wait().unwrap();
    wait_until("the quota to be gone", || {
        client.create("/limited/two", b"").wait().is_ok()
    });
}
