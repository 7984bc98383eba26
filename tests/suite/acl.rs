//! Access control lists.

use zk::proto::AclError;
use zk::{Acl, Client, Error, Outcome, Perms};

use crate::support::Env;

pub(crate) fn lists_are_read_back_as_written(env: &Env) {
    let client = env.client();
    let acls = vec![
        Acl::new(Perms::READ | Perms::WRITE, "world", "anyone"),
        Acl::digest("user", "password", Perms::ALL),
        Acl::new(Perms::CREATE, "ip", "10.0.0.0/8"),
    ];
    client.create("/a", b"").acl(acls.clone()).wait().unwrap();
    // Without ADMIN the hash of a password is not shown.
    let (read, stat) = client.get_acls("/a").wait().unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!((&read[0], &read[2]), (&acls[0], &acls[2]));
    assert_eq!(read[1].id.id, "user:x");
    assert_eq!(stat.acl_version(), 0);
    client.add_auth("digest", "user:password").wait().unwrap();
    assert_eq!(client.get_acls("/a").wait().unwrap().0, acls);
}

pub(crate) fn set_acls_replaces_and_counts(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    client.add_auth("digest", "user:password").wait().unwrap();
    let mine = [Acl::digest("user", "password", Perms::ALL)];
    let stat = client.set_acls("/a", &mine[..]).wait().unwrap();
    assert_eq!((stat.acl_version(), stat.version), (1, 0));
    assert_eq!(client.get_acls("/a").wait().unwrap(), (mine.to_vec(), stat));
    let stale = client
        .set_acls("/a", Acl::open_unsafe_ref())
        .version(0)
        .wait();
    assert_eq!(stale, Err(Error::BadVersion));
    client
        .set_acls("/a", Acl::open_unsafe())
        .version(1)
        .wait()
        .unwrap();
    assert_eq!(
        client.set_acls("/none", &mine[..]).wait(),
        Err(Error::NoNode)
    );
    assert_eq!(client.get_acls("/none").wait(), Err(Error::NoNode));
}

pub(crate) fn servers_drop_duplicates(env: &Env) {
    let client = env.client();
    let twice = [Acl::open_unsafe(), Acl::open_unsafe()].concat();
    client.create("/a", b"").acl(twice).wait().unwrap();
    assert_eq!(client.get_acls("/a").wait().unwrap().0, Acl::open_unsafe());
}

pub(crate) fn malformed_lists_are_refused_here(env: &Env) {
    let client = env.client();
    client.create("/a", b"").wait().unwrap();
    let before = client.stats().session.requests;
    assert_eq!(
        client.set_acls("/a", vec![]).wait(),
        Err(Error::Acl(AclError::Empty))
    );
    let world = [Acl::new(Perms::ALL, "world", "somebody")];
    let error = client.create("/b", b"").acl(&world[..]).wait().unwrap_err();
    assert_eq!(error, Error::Acl(AclError::World));
    assert_eq!(error.outcome(), Some(Outcome::NotApplied));
    let digest = [Acl::new(Perms::ALL, "digest", "no colon")];
    let refused = client.ensure_path("/b").acl(&digest[..]).wait();
    assert_eq!(refused, Err(Error::Acl(AclError::Digest)));
    let ip = [Acl::new(Perms::ALL, "ip", "300.1.1.1")];
    assert!(matches!(
        client.set_acls("/a", &ip[..]).wait(),
        Err(Error::Acl(AclError::Ip(_)))
    ));
    assert_eq!(client.stats().session.requests, before);
    // What only servers can know, servers refuse.
    let scheme = [Acl::new(Perms::ALL, "no-such-scheme", "id")];
    assert_eq!(
        client.set_acls("/a", &scheme[..]).wait(),
        Err(Error::InvalidAcl)
    );
    let nobody = client.create("/b", b"").acl(Acl::creator_all_ref()).wait();
    assert_eq!(nobody, Err(Error::InvalidAcl));
}

pub(crate) fn an_empty_list_means_the_default(env: &Env) {
    let client = env.client();
    client.create("/a", b"").acl(vec![]).wait().unwrap();
    assert_eq!(client.get_acls("/a").wait().unwrap().0, Acl::open_unsafe());
}

pub(crate) fn the_default_list_is_used_everywhere(env: &Env) {
    let acl = vec![Acl::digest("user", "password", Perms::ALL)];
    let mut builder = env.builder();
    builder
        .default_acl(acl.clone())
        .auth("digest", "user:password");
    let client = env.connect(&builder);
    assert_eq!(client.default_acl(), acl);
    client.create("/a", b"").wait().unwrap();
    client.create("/b/c", b"").make_path().wait().unwrap();
    client.ensure_path("/d/e").wait().unwrap();
    client
        .create("/s-", b"")
        .ephemeral()
        .sequential()
        .wait()
        .unwrap();
    for path in ["/a", "/b", "/b/c", "/d", "/d/e", "/s-0000000003"] {
        assert_eq!(client.get_acls(path).wait().unwrap().0, acl, "{path}");
    }
    client
        .create("/open", b"")
        .acl(Acl::open_unsafe_ref())
        .wait()
        .unwrap();
    assert_eq!(
        client.get_acls("/open").wait().unwrap().0,
        Acl::open_unsafe()
    );
    let view = client.with_default_acl(Acl::read_unsafe_ref()).unwrap();
    view.create("/readable", b"").wait().unwrap();
    assert_eq!(
        client.get_acls("/readable").wait().unwrap().0,
        Acl::read_unsafe()
    );
    assert!(matches!(
        client.with_default_acl(&[]),
        Err(Error::Acl(AclError::Empty))
    ));
    let mut builder = env.builder();
    builder.default_acl([Acl::new(Perms::ALL, "world", "x")]);
    assert_eq!(
        builder.start(env.handler()).unwrap_err(),
        Error::Acl(AclError::World)
    );
}

pub(crate) fn every_permission_counts(env: &Env) {
    let (owner, other) = (env.client(), env.client());
    owner.add_auth("digest", "user:password").wait().unwrap();
    let mine = Acl::digest("user", "password", Perms::ALL);
    let with = |perms: Perms| vec![mine.clone(), Acl::new(perms, "world", "anyone")];
    owner
        .create("/n", b"")
        .acl(with(Perms::NONE))
        .wait()
        .unwrap();
    owner.create("/n/c", b"").wait().unwrap();
    type Call = fn(&Client) -> Result<(), Error>;
    let calls: [(Perms, Call); 6] = [
        (Perms::READ, |c| c.get("/n").wait().map(drop)),
        (Perms::READ, |c| c.get_children("/n").wait().map(drop)),
        (Perms::WRITE, |c| c.set("/n", b"").wait().map(drop)),
        (Perms::CREATE, |c| {
            c.create("/n/c-", b"").sequential().wait().map(drop)
        }),
        (Perms::DELETE, |c| c.delete("/n/c").wait()),
        (Perms::ADMIN, |c| {
            c.set_acls("/n", Acl::open_unsafe_ref()).wait().map(drop)
        }),
    ];
    for (needed, call) in calls {
        owner
            .set_acls("/n", with(Perms(Perms::ALL.0 & !needed.0)))
            .wait()
            .unwrap();
        assert_eq!(call(&other), Err(Error::NoAuth), "without {needed}");
        owner.set_acls("/n", with(needed)).wait().unwrap();
        assert_eq!(call(&other), Ok(()), "with {needed}");
    }
    assert_eq!(Error::NoAuth.outcome(), Some(Outcome::NotApplied));
}

pub(crate) fn unreadable_nodes_are_told_by_version(env: &Env) {
    let (owner, other) = (env.client(), env.client());
    owner.add_auth("digest", "user:password").wait().unwrap();
    owner
        .create("/n", b"")
        .acl(Acl::creator_all_ref())
        .wait()
        .unwrap();
    // Only newer servers hide that the node exists.
    let seen = other.exists("/n").wait();
    if env.is_3_9() {
        assert_eq!(seen, Err(Error::NoAuth));
    } else {
        assert!(seen.unwrap().is_some());
    }
    assert_eq!(other.get_acls("/n").wait(), Err(Error::NoAuth));
    // What may not be looked at exists.
    other.ensure_path("/n").wait().unwrap();
}
