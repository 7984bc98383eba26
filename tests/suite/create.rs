//! Making nodes, of every kind.

use std::time::Duration;

use zk::proto::{ModeError, Sequence};
use zk::{Acl, Error, Outcome, Perms, SessionId};

use crate::support::{Env, lose_connection, session_of, wait_until};

pub(crate) fn a_node_is_there_with_its_data(env: &Env) {
    let client = env.client();
    assert_eq!(client.create("/a", b"value").wait().unwrap(), "/a");
    let (data, stat) = client.get("/a").wait().unwrap();
    assert_eq!(data, b"value");
    assert_eq!(stat.version, 0);
    assert_eq!(stat.data_length(), 5);
    assert_eq!(stat.ephemeral_owner, SessionId::NONE);
    assert_eq!(stat.czxid, stat.mzxid);
    client.delete("/a").wait().unwrap();
    assert_eq!(client.exists("/a").wait().unwrap(), None);
}

pub(crate) fn a_node_exists_once(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    let error = client.create("/a", b"other").wait().unwrap_err();
    assert_eq!(error, Error::NodeExists);
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    assert_eq!(client.create("/", b"").wait(), Err(Error::NodeExists));
    let made = client.create("/a", b"").make_path().wait();
    assert_eq!(made, Err(Error::NodeExists));
}

pub(crate) fn a_node_needs_its_parent(env: &Env) {
    let client = env.client();
    assert_eq!(client.create("/a/b", b"").wait(), Err(Error::NoNode));
    assert_eq!(client.exists("/a").wait().unwrap(), None);
}

pub(crate) fn make_path_makes_the_parents(env: &Env) {
    let client = env.client();
    let path = client
        .create("/a/b/c/d", b"leaf")
        .make_path()
        .wait()
        .unwrap();
    assert_eq!(path, "/a/b/c/d");
    assert_eq!(client.get("/a/b/c/d").wait().unwrap().0, b"leaf");
    assert_eq!(client.get("/a/b").wait().unwrap().0, b"");
    // Parents are persistent whatever the node is.
    let made = client.create("/e/f", b"").ephemeral().make_path();
    assert_eq!(made.wait().unwrap(), "/e/f");
    assert_eq!(
        client.get("/e").wait().unwrap().1.ephemeral_owner,
        SessionId::NONE
    );
    let (path, stat) = client
        .create("/g/h-", b"")
        .sequential()
        .make_path()
        .with_stat()
        .wait()
        .unwrap();
    assert_eq!(path, "/g/h-0000000000");
    assert_eq!(client.exists(&path).wait().unwrap(), Some(stat));
    let below = client.create("/e/f/g/h", b"").make_path().wait();
    assert_eq!(below, Err(Error::NoChildrenForEphemerals));
}

pub(crate) fn make_path_gives_parents_the_same_list(env: &Env) {
    let client = env.client();
    client.add_auth("digest", "a:b").wait().unwrap();
    let acl = Acl::creator_all();
    client
        .create("/own/below", b"")
        .acl(&*acl)
        .make_path()
        .wait()
        .unwrap();
    let mine = vec![Acl::digest("a", "b", Perms::ALL)];
    assert_eq!(client.get_acls("/own").wait().unwrap().0, mine);
    assert_eq!(client.get_acls("/own/below").wait().unwrap().0, mine);
    // Others may not make anything there, by whatever way.
    let stranger = env.client();
    let made = stranger.create("/own/new/node", b"").make_path().wait();
    assert_eq!(made, Err(Error::NoAuth));
    assert_eq!(stranger.ensure_path("/own/new").wait(), Err(Error::NoAuth));
}

pub(crate) fn many_make_the_same_path_at_once(env: &Env) {
    let clients: Vec<_> = (0..4).map(|_| env.client()).collect();
    let results: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(n, client)| {
            client
                .create(&format!("/a/b/c/n{n}"), b"")
                .make_path()
                .send()
        })
        .collect();
    for (n, result) in results.into_iter().enumerate() {
        assert_eq!(result.wait().unwrap(), format!("/a/b/c/n{n}"));
    }
    let ensured: Vec<_> = clients
        .iter()
        .map(|c| c.ensure_path("/x/y/z").send())
        .collect();
    for result in ensured {
        result.wait().unwrap();
    }
    assert!(clients[0].exists("/x/y/z").wait().unwrap().is_some());
}

pub(crate) fn ensure_path_makes_all_levels(env: &Env) {
    let client = env.client();
    client.ensure_path("/a/b/c").wait().unwrap();
    for path in ["/a", "/a/b", "/a/b/c"] {
        let (data, _) = client.get(path).wait().unwrap();
        assert!(data.is_empty() && !data.is_null(), "{path}");
    }
    client.ensure_path("/a/b/c").wait().unwrap();
    client.ensure_path("/a/b/d").wait().unwrap();
    client.ensure_path("a/e").wait().unwrap();
    client.ensure_path("/").wait().unwrap();
    assert_eq!(
        client.get_children("/a").wait().unwrap().sorted(),
        ["b", "e"]
    );
    client.create("/e", b"").ephemeral().wait().unwrap();
    let below = client.ensure_path("/e/f").wait();
    assert_eq!(below, Err(Error::NoChildrenForEphemerals));
}

pub(crate) fn ephemeral_nodes_belong_to_the_session(env: &Env) {
    let client = env.client();
    client.create("/e", b"mine").ephemeral().wait().unwrap();
    let (_, stat) = client.get("/e").wait().unwrap();
    assert_eq!(stat.ephemeral_owner, session_of(&client));
    assert_eq!(stat.owner_session_id(), Some(session_of(&client)));
    lose_connection(&client);
    assert_eq!(client.get("/e").wait().unwrap().1, stat);
    let error = Error::NoChildrenForEphemerals;
    assert_eq!(client.create("/e/p", b"").wait(), Err(error.clone()));
    assert_eq!(client.create("/e/e", b"").ephemeral().wait(), Err(error));
}

pub(crate) fn sequential_nodes_are_numbered(env: &Env) {
    let client = env.client();
    let create = |prefix: &str| client.create(prefix, b"").sequential().wait().unwrap();
    assert_eq!(create("/a"), "/a0000000000");
    assert_eq!(create("/a"), "/a0000000001");
    // A slash at the end: the name is the number alone.
    assert_eq!(create("/"), "/0000000002");
    client.create("/parent", b"").wait().unwrap();
    assert_eq!(create("/parent/"), "/parent/0000000000");
    assert_eq!(create("/parent//"), "/parent/0000000001");
    // Digits before the number, and letters that are none of ASCII.
    assert_eq!(create("/parent/n-9"), "/parent/n-90000000002");
    assert_eq!(create("/parent/日本-"), "/parent/日本-0000000003");
    // Numbers are used up by any child, and never given back.
    client.create("/parent/plain", b"").wait().unwrap();
    client.delete("/parent/plain").wait().unwrap();
    let path = create("/parent/n-");
    assert_eq!(path, "/parent/n-0000000005");
    assert_eq!(
        Sequence::parse_suffix(&path),
        Some(("/parent/n-", Sequence(5)))
    );
}

pub(crate) fn ephemeral_sequential_nodes_are_both(env: &Env) {
    let client = env.client();
    let create = client.create("/es-", b"data").ephemeral().sequential();
    let (path, stat) = create.with_stat().wait().unwrap();
    assert_eq!(path, "/es-0000000000");
    assert_eq!(stat.ephemeral_owner, session_of(&client));
    assert_eq!(
        client.get(&path).wait().unwrap(),
        (b"data".as_slice().into(), stat)
    );
}

pub(crate) fn the_stat_of_the_reply_is_that_of_the_node(env: &Env) {
    let client = env.client();
    let (path, stat) = client.create("/a", b"abc").with_stat().wait().unwrap();
    assert_eq!(path, "/a");
    assert_eq!(client.get("/a").wait().unwrap().1, stat);
    assert_eq!(stat.data_length(), 3);
    let created = client.create("/b/c", b"").make_path().with_stat();
    let (path, stat) = created.wait().unwrap();
    assert_eq!(client.exists(&path).wait().unwrap(), Some(stat));
}

pub(crate) fn containers_go_after_their_last_child(env: &Env) {
    let client = env.client();
    let (path, stat) = client
        .create("/c", b"data")
        .container()
        .with_stat()
        .wait()
        .unwrap();
    assert_eq!(
        (path.as_str(), stat.ephemeral_owner),
        ("/c", SessionId::NONE)
    );
    assert_eq!(client.create("/c2", b"").container().wait().unwrap(), "/c2");
    client.create("/c/child", b"").wait().unwrap();
    client.delete("/c/child").wait().unwrap();
    wait_until("the container to go", || {
        client.exists("/c").wait().unwrap().is_none()
    });
    let never = client.create("/c3-", b"").container().sequential();
    assert!(matches!(
        never.wait(),
        Err(Error::Mode(ModeError::UnknownFlags(_)))
    ));
}

pub(crate) fn nodes_with_a_time_to_live_go_by_themselves(env: &Env) {
    let client = env.client();
    let short = Duration::from_millis(1);
    assert_eq!(client.create("/t", b"").ttl(short).wait().unwrap(), "/t");
    let created = client.create("/t-", b"").ttl(short).sequential();
    let (path, stat) = created.with_stat().wait().unwrap();
    assert!(path.starts_with("/t-000000000"), "{path}");
    assert_eq!(stat.ephemeral_owner, SessionId::NONE);
    let hour = Duration::from_secs(3600);
    client.create("/long", b"").ttl(hour).wait().unwrap();
    for path in ["/t", &path] {
        wait_until("a node to go", || {
            client.exists(path).wait().unwrap().is_none()
        });
    }
    assert!(client.exists("/long").wait().unwrap().is_some());
    let forever = Duration::from_millis(1 << 40);
    for ttl in [Duration::ZERO, forever] {
        let refused = client.create("/never", b"").ttl(ttl).wait();
        assert!(matches!(refused, Err(Error::Mode(_))), "{refused:?}");
    }
}

pub(crate) fn the_last_mode_counts(env: &Env) {
    let client = env.client();
    let hour = Duration::from_secs(3600);
    client
        .create("/e", b"")
        .ttl(hour)
        .container()
        .ephemeral()
        .wait()
        .unwrap();
    let (_, stat) = client.get("/e").wait().unwrap();
    assert_eq!(stat.ephemeral_owner, session_of(&client));
}
