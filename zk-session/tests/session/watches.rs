//! Watches: who is served by what, and what the server is told.

use zk_proto::{AddWatchMode, ErrorCode, Request, WatcherType};
use zk_session::{Cancelled, Notice, RequestError, WatchId};

use crate::rig::Rig;
use crate::rig::expect::{
    CHANGED, CHILD, CREATED, DELETED, add_recursive, add_watch, children, exists_watched, get,
    get_watched, remove_watches,
};

impl Rig {
    /// Registers it; the server takes it as it was submitted.
    fn watched(&mut self, request: &Request<'_>) -> WatchId {
        let (id, watcher) = self.watching(request);
        let asked = self.asked_for(request);
        self.answer(&asked);
        self.ok(id);
        watcher
    }

    /// Registers it, but the server is not to know: something else serves it.
    fn watched_locally(&mut self, request: &Request<'_>, as_read: &Request<'_>) -> WatchId {
        let (id, watcher) = self.watching(request);
        let asked = self.asked_for(as_read);
        self.answer(&asked);
        self.ok(id);
        watcher
    }
}

#[test]
fn one_registration_serves_all_watchers_of_a_path() {
    let mut rig = Rig::to_connected();
    let watchers: Vec<_> = (0..10).map(|_| rig.watched(&get_watched("/a"))).collect();
    rig.unwatch(watchers[0]);
    rig.nothing_asked();
    rig.fire(CHANGED, "/a");
    for id in &watchers[1..] {
        rig.fired(*id, CHANGED, "/a");
    }
    rig.fire(CHANGED, "/a");
    rig.nothing_happened();
}

#[test]
fn a_persistent_watch_stays_and_tells_all_changes_of_its_node() {
    let mut rig = Rig::to_connected();
    let id = rig.watched(&add_watch("/a"));
    for kind in [CREATED, CHANGED, CHILD, DELETED, CREATED] {
        rig.fire(kind, "/a");
        rig.fired(id, kind, "/a");
    }
    rig.fire(CHANGED, "/a/b");
    rig.fire(CHANGED, "/apple");
    rig.nothing_happened();
}

/// What is missed while a registration is exchanged is in a gap that ends when the server has
/// confirmed the new one; it was told before that was even sent.
#[test]
fn an_exchanged_watch_is_told_of_its_gap_when_it_is_back() {
    let mut rig = Rig::to_connected();
    let lasting = rig.watched(&add_watch("/a"));
    let recursive = rig.watched(&add_recursive("/a"));
    let data = rig.watched_locally(&get_watched("/a"), &get("/a"));
    rig.unwatch(recursive);
    let removal = rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    let back = rig.asked_set_watches(|w| assert_eq!(w.persistent, ["/a"]));
    rig.nothing_happened();
    rig.fire(CREATED, "/a");
    rig.fired(lasting, CREATED, "/a");
    rig.fired(data, CREATED, "/a");
    rig.answer(&removal);
    // What a one-shot is caught up with is in the gap.
    rig.fire(CHANGED, "/a");
    rig.nothing_happened();
    rig.answer(&back);
    rig.gap(lasting);
    rig.fire(CHANGED, "/a");
    rig.fired(lasting, CHANGED, "/a");
}

/// A child event was taken for a repetition of one that had been derived long before.
#[test]
fn a_child_event_long_after_a_derived_one_is_another() {
    let mut rig = Rig::to_connected();
    let lasting = rig.watched(&add_watch("/a"));
    let recursive = rig.watched(&add_recursive("/a"));
    rig.fire(CREATED, "/a/b");
    rig.fired(recursive, CREATED, "/a/b");
    rig.fired(lasting, CHILD, "/a");
    rig.unwatch(recursive);
    let removal = rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    let back = rig.asked_set_watches(|w| assert_eq!(w.persistent, ["/a"]));
    rig.answer(&removal);
    rig.answer(&back);
    rig.gap(lasting);
    rig.fire(CHILD, "/a");
    rig.fired(lasting, CHILD, "/a");
}

/// Until the server confirms that it is gone a recursive registration serves, without child events.
#[test]
fn child_events_are_derived_until_a_recursive_registration_is_gone() {
    let mut rig = Rig::to_connected();
    let lasting = rig.watched(&add_watch("/a"));
    let recursive = rig.watched(&add_recursive("/a"));
    rig.unwatch(recursive);
    let removal = rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    let back = rig.asked_set_watches(|w| assert_eq!(w.persistent, ["/a"]));
    rig.fire(DELETED, "/a/b");
    rig.fired(lasting, CHILD, "/a");
    rig.fire(CHANGED, "/a");
    rig.fired(lasting, CHANGED, "/a");
    rig.answer(&removal);
    rig.fire(DELETED, "/a/b");
    rig.nothing_happened();
    rig.answer(&back);
    rig.gap(lasting);
    // Now they come by themselves, and what happens below is none of this watcher's business.
    rig.fire(DELETED, "/a/b");
    rig.nothing_happened();
    rig.fire(CHILD, "/a");
    rig.fired(lasting, CHILD, "/a");
}

#[test]
fn a_recursive_watch_covers_what_is_below_and_has_no_child_events() {
    let mut rig = Rig::to_connected();
    let (root, a) = (
        rig.watched(&add_recursive("/")),
        rig.watched(&add_recursive("/a")),
    );
    for (kind, path) in [(CREATED, "/a/b/c"), (CHANGED, "/a/b"), (DELETED, "/a")] {
        rig.fire(kind, path);
        rig.fired_in_any_order(&[root, a], kind, path);
    }
    rig.fire(CREATED, "/apple");
    rig.fired(root, CREATED, "/apple");
    rig.fire(CHILD, "/a");
    rig.nothing_happened();
}

impl Rig {
    fn fired_in_any_order(&mut self, ids: &[WatchId], kind: zk_proto::EventType, path: &str) {
        let mut told = Vec::new();
        for _ in ids {
            match self.next() {
                zk_session::Event::Watch {
                    id,
                    notice: Notice::Event(event),
                } => {
                    assert_eq!((event.kind, &*event.path), (kind, path));
                    told.push(id);
                }
                other => panic!("unexpected: {other:?}"),
            }
        }
        told.sort();
        assert_eq!(told, ids);
    }
}

/// Before 3.9 a watched read kills a persistent watch on the same path.
#[test]
fn a_watched_read_on_a_path_with_a_persistent_watch_sends_no_flag_and_is_served() {
    let mut rig = Rig::to_connected();
    let lasting = rig.watched(&add_watch("/a"));
    let exists = Request::Exists {
        path: "/a".into(),
        watch: false,
    };
    let data = rig.watched_locally(&get_watched("/a"), &get("/a"));
    let exist = rig.watched_locally(&exists_watched("/a"), &exists);
    let child = rig.watched_locally(&children("/a", true), &children("/a", false));
    rig.nothing_asked();
    rig.fire(CHILD, "/a");
    rig.fired(lasting, CHILD, "/a");
    rig.fired(child, CHILD, "/a");
    rig.fire(CHANGED, "/a");
    rig.fired(lasting, CHANGED, "/a");
    rig.fired(data, CHANGED, "/a");
    rig.fired(exist, CHANGED, "/a");
    rig.fire(CHANGED, "/a");
    rig.fired(lasting, CHANGED, "/a");
    rig.nothing_asked();
}

#[test]
fn a_watched_read_behind_a_persistent_watch_in_flight_sends_no_flag_either() {
    let mut rig = Rig::to_connected();
    let (one, lasting) = rig.watching(&add_watch("/a"));
    let (two, data) = rig.watching(&get_watched("/a"));
    let first = rig.asked_for(&add_watch("/a"));
    let second = rig.asked_for(&get("/a"));
    rig.answer(&first);
    rig.answer(&second);
    rig.ok(one);
    rig.ok(two);
    rig.fire(CHANGED, "/a");
    rig.fired(lasting, CHANGED, "/a");
    rig.fired(data, CHANGED, "/a");
}

#[test]
fn a_one_shot_whose_persistent_watch_failed_gets_a_registration_of_its_own() {
    let mut rig = Rig::to_connected();
    let (one, _) = rig.watching(&add_watch("/a"));
    let (two, data) = rig.watching(&get_watched("/a"));
    let (first, second) = (rig.asked(), rig.asked_for(&get("/a")));
    rig.answer_err(&first, ErrorCode::NO_AUTH);
    rig.failed(one);
    rig.answer(&second);
    rig.ok(two);
    let zxid = rig.zxid;
    let set = rig.asked_set_watches(|w| {
        assert_eq!(w.data, ["/a"]);
        assert_eq!(w.relative_zxid.0, zxid);
    });
    rig.answer(&set);
    rig.fire(CHANGED, "/a");
    rig.fired(data, CHANGED, "/a");
    rig.nothing_asked();
}

#[test]
fn adding_recursive_after_child_one_shots_puts_them_back() {
    let mut rig = Rig::to_connected();
    let child = rig.watched(&children("/a", true));
    let recursive = rig.watched(&add_recursive("/a"));
    let set = rig.asked_set_watches(|w| assert_eq!(w.child, ["/a"]));
    rig.answer(&set);
    rig.nothing_asked();
    rig.fire(CREATED, "/a/b");
    rig.fired(recursive, CREATED, "/a/b");
    rig.fire(CHILD, "/a");
    rig.fired(child, CHILD, "/a");
    rig.nothing_happened();
}

#[test]
fn adding_recursive_after_persistent_keeps_child_events() {
    let mut rig = Rig::to_connected();
    let persistent = rig.watched(&add_watch("/a"));
    let child = rig.watched_locally(&children("/a", true), &children("/a", false));
    let recursive = rig.watched(&add_recursive("/a"));
    // Only the one-shot has to be put back; the persistent one is served by derived events.
    let set = rig.asked_set_watches(|w| {
        assert_eq!(w.child, ["/a"]);
        assert!(w.persistent.is_empty() && w.recursive.is_empty());
    });
    rig.answer(&set);
    rig.fire(DELETED, "/a/b");
    rig.fired(recursive, DELETED, "/a/b");
    rig.fired(persistent, CHILD, "/a");
    rig.nothing_happened();
    rig.fire(CHILD, "/a");
    rig.fired(child, CHILD, "/a");
    rig.nothing_happened();
}

/// From 3.9 on the server keeps both modes and sends both events.
#[test]
fn a_derived_child_event_is_not_told_twice() {
    let mut rig = Rig::to_connected();
    let persistent = rig.watched(&add_watch("/a"));
    let recursive = rig.watched(&add_recursive("/a"));
    for path in ["/a/b", "/a/c"] {
        rig.fire(CREATED, path);
        rig.fired(recursive, CREATED, path);
        rig.fired(persistent, CHILD, "/a");
        rig.fire(CHILD, "/a");
        rig.nothing_happened();
    }
    rig.fire(CHANGED, "/a/b");
    rig.fired(recursive, CHANGED, "/a/b");
    rig.nothing_happened();
}

#[test]
fn a_persistent_watch_after_a_recursive_one_is_sent_as_recursive() {
    let mut rig = Rig::to_connected();
    let recursive = rig.watched(&add_recursive("/a"));
    let persistent = rig.watched_locally(&add_watch("/a"), &add_recursive("/a"));
    rig.fire(CREATED, "/a/b");
    rig.fired(recursive, CREATED, "/a/b");
    rig.fired(persistent, CHILD, "/a");
    // With the recursive watcher the mode goes.
    rig.unwatch(recursive);
    let remove = rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    let set = rig.asked_set_watches(|w| assert_eq!(w.persistent, ["/a"]));
    rig.answer(&remove);
    rig.answer(&set);
    let zxid = zk_proto::Zxid(rig.zxid);
    assert_eq!(
        rig.gap(persistent),
        (zxid, zxid),
        "a moment without a watch"
    );
    rig.fire(CHANGED, "/a/b");
    rig.nothing_happened();
    rig.fire(CHILD, "/a");
    rig.fired(persistent, CHILD, "/a");
}

#[test]
fn dropping_a_persistent_watch_leaves_one_shots_with_one_of_their_own() {
    let mut rig = Rig::to_connected();
    let lasting = rig.watched(&add_watch("/a"));
    let data = rig.watched_locally(&get_watched("/a"), &get("/a"));
    let child = rig.watched_locally(&children("/a", true), &children("/a", false));
    rig.unwatch(lasting);
    rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    rig.asked_set_watches(|w| {
        assert_eq!(w.data, ["/a"]);
        assert_eq!(w.child, ["/a"]);
    });
    rig.nothing_happened();
    rig.fire(DELETED, "/a");
    rig.fired(data, DELETED, "/a");
    rig.fired(child, DELETED, "/a");
}

#[test]
fn the_last_watcher_takes_the_registration_along() {
    for request in &[
        get_watched("/a"),
        exists_watched("/a"),
        children("/a", true),
        add_watch("/a"),
        add_recursive("/a"),
    ] {
        let mut rig = Rig::to_connected();
        let watcher = rig.watched(request);
        rig.unwatch(watcher);
        let asked = rig.asked_for(&remove_watches("/a", WatcherType::ANY));
        rig.answer_err(&asked, ErrorCode::NO_WATCHER);
        rig.nothing_happened();
        assert_eq!(rig.session.stats().watched_paths, 0);
    }
}

#[test]
fn a_registration_in_flight_is_a_user() {
    let mut rig = Rig::to_connected();
    let first = rig.watched(&get_watched("/a"));
    let (id, second) = rig.watching(&get_watched("/a"));
    rig.unwatch(first);
    let asked = rig.asked_for(&get_watched("/a"));
    rig.nothing_asked();
    rig.answer(&asked);
    rig.ok(id);
    rig.nothing_asked();
    rig.fire(CHANGED, "/a");
    rig.fired(second, CHANGED, "/a");
}

#[test]
fn a_registration_in_flight_that_fails_lets_the_removal_go() {
    let mut rig = Rig::to_connected();
    let first = rig.watched(&get_watched("/a"));
    let (id, _) = rig.watching(&get_watched("/a"));
    rig.unwatch(first);
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::NO_AUTH);
    rig.failed(id);
    rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    assert_eq!(rig.session.stats().watched_paths, 0);
}

#[test]
fn a_cancelled_registration_lets_the_removal_go() {
    let mut rig = Rig::to_connected();
    let first = rig.watched(&get_watched("/a"));
    let id = rig.queue(&get_watched("/a"));
    rig.session.unwatch(rig.now, first);
    assert_eq!(rig.cancel(id), Cancelled::Unsent);
    rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    rig.nothing_asked();
    assert_eq!(rig.session.stats().watched_paths, 0);
}

#[test]
fn a_cancelled_registration_in_flight_is_removed() {
    let mut rig = Rig::to_connected();
    let (id, _) = rig.watching(&add_watch("/a"));
    assert_eq!(rig.cancel(id), Cancelled::Detached);
    let asked = rig.asked();
    rig.nothing_asked();
    rig.answer(&asked);
    rig.asked_for(&remove_watches("/a", WatcherType::ANY));
    rig.fire(CHANGED, "/a");
    rig.nothing_happened();
}

#[test]
fn a_registration_that_timed_out_is_removed() {
    let mut rig = Rig::to_connected();
    let limit = Some(rig.now);
    let body = get_watched("/a");
    let call = zk_session::Call::new(&body, &zk_proto::Chroot::ROOT).deadline(limit);
    let submitted = rig.call(call);
    rig.advance_to(rig.now);
    assert_eq!(
        rig.failed(submitted.id),
        RequestError::TimedOut { sent: true }
    );
    rig.answer_all();
    rig.nothing_happened();
    assert_eq!(rig.session.stats().watches, 0);
}

#[test]
fn a_watcher_dropped_before_its_reply_is_removed_with_it() {
    let mut rig = Rig::to_connected();
    let (id, watcher) = rig.watching(&get_watched("/a"));
    rig.unwatch(watcher);
    let asked = rig.asked();
    rig.answer(&asked);
    rig.ok(id);
    rig.asked_for(&remove_watches("/a", WatcherType::ANY));
}

#[test]
fn events_of_the_past_and_of_others_are_ignored() {
    let mut rig = Rig::to_connected();
    rig.fire(CHANGED, "/never");
    rig.fire(DELETED, "");
    rig.fire(CREATED, "no slash");
    rig.fire(CREATED, "/");
    rig.nothing_happened();
}

#[test]
fn removing_is_given_up_with_a_server_that_cannot() {
    let mut rig = Rig::to_connected();
    let first = rig.watched(&get_watched("/a"));
    rig.unwatch(first);
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::UNIMPLEMENTED);
    let second = rig.watched(&get_watched("/a"));
    rig.unwatch(second);
    rig.nothing_asked();
    rig.fire(CHANGED, "/a");
    rig.nothing_happened();
}

#[test]
fn the_mode_is_decided_when_the_request_is_sent() {
    let mut rig = Rig::to_suspended();
    let (lasting, _) = rig.watching(&add_recursive("/a"));
    let (data, _) = rig.watching(&get_watched("/a"));
    let (persistent, _) = rig.watching(&add_watch("/a"));
    rig.establish();
    rig.connected();
    rig.asked_for(&add_recursive("/a"));
    rig.asked_for(&get("/a"));
    let mode = AddWatchMode::PERSISTENT_RECURSIVE;
    rig.asked_for(&Request::AddWatch {
        path: "/a".into(),
        mode,
    });
    rig.cut();
    rig.suspended();
    for id in [lasting, data, persistent] {
        rig.failed(id);
    }
    assert_eq!(rig.session.stats().watched_paths, 0);
}
