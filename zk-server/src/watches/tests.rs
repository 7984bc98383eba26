use super::*;

const A: ConnId = ConnId(1);
const B: ConnId = ConnId(2);

fn heard(watches: &mut Watches, event: EventType, path: &str) -> Vec<ConnId> {
    let mut heard = BTreeSet::new();
    watches.trigger(event, path, &mut heard);
    heard.into_iter().collect()
}

#[test]
fn a_standard_watch_fires_once_for_each_registry() {
    let mut watches = Watches::new(Release::V3_9);
    watches.add(Kind::Data, "/a", A);
    watches.add(Kind::Data, "/a", A);
    watches.add(Kind::Child, "/a", A);
    assert_eq!(watches.count(), 2);
    assert_eq!(heard(&mut watches, EventType::NODE_DATA_CHANGED, "/a"), [A]);
    assert_eq!(heard(&mut watches, EventType::NODE_DATA_CHANGED, "/a"), []);
    assert_eq!(
        heard(&mut watches, EventType::NODE_CHILDREN_CHANGED, "/a"),
        [A]
    );
    assert_eq!((watches.count(), watches.bytes_of(A)), (0, 0));
}

#[test]
fn a_deletion_is_heard_once_and_consumes_both() {
    let mut watches = Watches::new(Release::V3_9);
    for kind in [Kind::Data, Kind::Child] {
        watches.add(kind, "/a", A);
    }
    watches.add(Kind::Child, "/a", B);
    assert_eq!(heard(&mut watches, EventType::NODE_DELETED, "/a"), [A, B]);
    assert_eq!(watches.count(), 0);
}

#[test]
fn a_recursive_watch_covers_what_is_below_and_no_lists_of_children() {
    let mut watches = Watches::new(Release::V3_9);
    assert!(watches.add_lasting(AddWatchMode::PERSISTENT_RECURSIVE, "/p", A));
    assert!(watches.add_lasting(AddWatchMode::PERSISTENT_RECURSIVE, "/", B));
    for path in ["/p", "/p/x", "/p/x/y"] {
        assert_eq!(
            heard(&mut watches, EventType::NODE_CREATED, path),
            [A, B],
            "{path}"
        );
    }
    for path in ["/pother", "/", "/q"] {
        assert_eq!(
            heard(&mut watches, EventType::NODE_DELETED, path),
            [B],
            "{path}"
        );
    }
    assert_eq!(
        heard(&mut watches, EventType::NODE_CHILDREN_CHANGED, "/p"),
        []
    );
}

#[test]
fn modes_coexist_since_3_9_and_replace_each_other_before() {
    for (release, survives) in [(Release::V3_9, true), (Release::V3_8, false)] {
        let mut watches = Watches::new(release);
        watches.add_lasting(AddWatchMode::PERSISTENT, "/a", A);
        watches.add(Kind::Data, "/a", A);
        assert_eq!(heard(&mut watches, EventType::NODE_DATA_CHANGED, "/a"), [A]);
        assert_eq!(
            heard(&mut watches, EventType::NODE_DATA_CHANGED, "/a").len(),
            usize::from(survives)
        );
        assert_eq!(
            heard(&mut watches, EventType::NODE_CHILDREN_CHANGED, "/a"),
            [A]
        );
        watches.add_lasting(AddWatchMode::PERSISTENT_RECURSIVE, "/a", A);
        assert_eq!(
            heard(&mut watches, EventType::NODE_CHILDREN_CHANGED, "/a").len(),
            usize::from(survives)
        );
    }
}

#[test]
fn what_removal_matches_depends_on_the_release() {
    let mut new = Watches::new(Release::V3_9);
    new.add_lasting(AddWatchMode::PERSISTENT, "/a", A);
    assert_eq!(new.remove(WatcherType::DATA, "/a", A), Some(false));
    assert_eq!(new.check(WatcherType::PERSISTENT, "/a", B), Some(false));
    assert_eq!(
        new.check(WatcherType::PERSISTENT_RECURSIVE, "/a", A),
        Some(false)
    );
    assert_eq!(new.remove(WatcherType::PERSISTENT, "/a", A), Some(true));
    assert_eq!((new.check(WatcherType(9), "/a", A), new.count()), (None, 0));

    let mut old = Watches::new(Release::V3_8);
    old.add_lasting(AddWatchMode::PERSISTENT, "/a", A);
    assert_eq!(old.remove(WatcherType::PERSISTENT, "/a", A), None);
    assert_eq!(old.remove(WatcherType::DATA, "/a", A), Some(true));
    assert_eq!(heard(&mut old, EventType::NODE_CHILDREN_CHANGED, "/a"), [A]);
    assert_eq!(old.remove(WatcherType::ANY, "/a", A), Some(true));
    assert_eq!(old.remove(WatcherType::ANY, "/a", A), Some(false));
}

#[test]
fn a_connection_takes_its_watches_along() {
    let mut watches = Watches::new(Release::V3_9);
    for conn in [A, B] {
        watches.add(Kind::Data, "/a", conn);
        watches.add_lasting(AddWatchMode::PERSISTENT_RECURSIVE, "/b", conn);
    }
    assert_eq!(watches.bytes_of(A), 6);
    watches.remove_conn(A);
    assert_eq!((watches.count(), watches.bytes_of(A)), (3, 0));
    assert_eq!(heard(&mut watches, EventType::NODE_CREATED, "/b/x"), [B]);
    assert_eq!(heard(&mut watches, EventType::NODE_DELETED, "/a"), [B]);
    watches.remove_conn(B);
    assert_eq!(watches.count(), 0);
    assert_eq!(heard(&mut watches, EventType::NODE_CREATED, "/b/x"), []);
}
