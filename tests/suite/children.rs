//! Lists of children, and counts.

use zk::{Error, SessionId};

use crate::support::Env;

pub(crate) fn names_are_listed(env: &Env) {
    let client = env.client();
    client.create("/p", b"").wait().unwrap();
    assert!(client.get_children("/p").wait().unwrap().is_empty());
    for name in ["b", "a", "ü"] {
        client.create(&format!("/p/{name}"), b"").wait().unwrap();
    }
    let children = client.get_children("/p").wait().unwrap();
    assert_eq!(children.sorted(), ["a", "b", "ü"]);
    assert_eq!(children.len(), 3);
    assert_eq!(client.get_children("/p/a").wait().unwrap().len(), 0);
    assert_eq!(
        client.get_children("/none").wait().unwrap_err(),
        Error::NoNode
    );
}

pub(crate) fn the_stat_comes_along_if_wanted(env: &Env) {
    let client = env.client();
    client.create("/p", b"12345").wait().unwrap();
    let (children, stat) = client.get_children("/p").with_stat().wait().unwrap();
    assert_eq!((children.len(), stat.children_version()), (0, 0));
    client.create("/p/c", b"").wait().unwrap();
    client.set("/p", b"x").wait().unwrap();
    let (children, stat) = client.get_children("/p").with_stat().wait().unwrap();
    assert_eq!(children.to_vec(), ["c"]);
    assert_eq!(
        (stat.version, stat.children_version(), stat.children_count()),
        (1, 1, 1)
    );
    assert_eq!(client.exists("/p").wait().unwrap(), Some(stat));
    let none = client.get_children("/none").with_stat().wait();
    assert_eq!(none.unwrap_err(), Error::NoNode);
    let (children, again, watch) = client
        .get_children("/p")
        .with_stat()
        .watched()
        .wait()
        .unwrap();
    assert_eq!((children.len(), again), (1, stat));
    drop(watch);
}

pub(crate) fn ten_thousand_children_are_listed(env: &Env) {
    let client = env.client();
    client.create("/p", b"").wait().unwrap();
    let creates: Vec<_> = (0..10_000)
        .map(|n| client.create(&format!("/p/child-{n:05}"), b"").send())
        .collect();
    for create in creates {
        create.wait().unwrap();
    }
    let children = client.get_children("/p").wait().unwrap();
    let sorted = children.sorted();
    assert_eq!(sorted.len(), 10_000);
    assert_eq!((sorted[0], sorted[9_999]), ("child-00000", "child-09999"));
    assert_eq!(client.get_all_children_number("/p").wait().unwrap(), 10_000);
    let deletes: Vec<_> = (0..10_000)
        .map(|n| client.delete(&format!("/p/child-{n:05}")).send())
        .collect();
    for delete in deletes {
        delete.wait().unwrap();
    }
    assert!(client.get_children("/p").wait().unwrap().is_empty());
}

pub(crate) fn all_below_are_counted(env: &Env) {
    let client = env.client();
    client.ensure_path("/p/a/b").wait().unwrap();
    client.ensure_path("/p/c").wait().unwrap();
    assert_eq!(client.get_all_children_number("/p").wait().unwrap(), 3);
    assert_eq!(client.get_all_children_number("/p/c").wait().unwrap(), 0);
    assert_eq!(client.get_all_children_number("/").wait().unwrap(), 4);
    assert_eq!(
        client.get_all_children_number("/none").wait(),
        Err(Error::NoNode)
    );
}

pub(crate) fn ephemerals_of_the_session_are_listed(env: &Env) {
    let client = env.client();
    client.create("/p", b"").wait().unwrap();
    for path in ["/p/e1", "/p/e2", "/q"] {
        client.create(path, b"").ephemeral().wait().unwrap();
    }
    env.client()
        .create("/p/foreign", b"")
        .ephemeral()
        .wait()
        .unwrap();
    let mut all = client.get_ephemerals("/").wait().unwrap();
    all.sort();
    assert_eq!(all, ["/p/e1", "/p/e2", "/q"]);
    let mut below = client.get_ephemerals("/p").wait().unwrap();
    below.sort();
    assert_eq!(below, ["/p/e1", "/p/e2"]);
    assert!(client.get_ephemerals("/none").wait().unwrap().is_empty());
    let owner = client.exists("/q").wait().unwrap().unwrap().ephemeral_owner;
    assert_ne!(owner, SessionId::NONE);
}

pub(crate) fn trees_are_walked(env: &Env) {
    let client = env.client();
    for path in ["/t/a/x", "/t/a/y", "/t/b", "/t/b/z/deep"] {
        client.ensure_path(path).wait().unwrap();
    }
    let walked: Vec<_> = client
        .walk("/t")
        .iter()
        .map(|node| node.unwrap().path)
        .collect();
    assert_eq!(walked[0], "/t");
    let place = |path: &str| walked.iter().position(|other| other == path).unwrap();
    for (parent, child) in [
        ("/t", "/t/a"),
        ("/t/a", "/t/a/y"),
        ("/t/b/z", "/t/b/z/deep"),
    ] {
        assert!(place(parent) < place(child), "{walked:?}");
    }
    assert_eq!(walked.len(), 7);
    assert_eq!(client.walk("/none").iter().count(), 0);
    let mut dropped = client.walk("/t");
    assert!(dropped.next_wait().is_some());
}
