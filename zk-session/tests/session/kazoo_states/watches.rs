//! One-shot watches.

use zk_proto::{ErrorCode, EventType};
use zk_session::{Notice, StateReason};

use super::Here::{Instead, Same};
use super::Row;
use crate::rig::Rig;
use crate::rig::expect::{CHANGED, CHILD, CREATED, DELETED, children, exists_watched, get_watched};

/// Watched reads of one path, answered: from get, exists and get_children.
fn watched(path: &str) -> (Rig, [zk_session::WatchId; 3]) {
    let mut rig = Rig::to_connected();
    let reads = [
        get_watched(path),
        exists_watched(path),
        children(path, true),
    ];
    let watchers = reads.each_ref().map(|read| {
        let (id, watcher) = rig.watching(read);
        rig.answer_all();
        rig.ok(id);
        watcher
    });
    (rig, watchers)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        at: ("watches", 1),
        kazoo: "an event has type, state and path, without chroot; the packet's state is ignored",
        here: Instead(
            "type, path and, where the server tells it, zxid; the state is not part of it",
        ),
        check: || {
            let (mut rig, [data, exists, _]) = watched("/a");
            rig.fire_at(0x105, CHANGED, "/a");
            for id in [data, exists] {
                match rig.noticed(id) {
                    Notice::Event(event) => {
                        assert_eq!((event.kind, &*event.path), (CHANGED, "/a"));
                        assert_eq!(event.zxid.0, 0x105);
                    }
                    other => panic!("unexpected: {other:?}"),
                }
            }
            rig
        },
    },
    Row {
        at: ("watches", 2),
        kazoo: "registered when the reply arrives: on success, or NoNode for exists; never on other \
                errors",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            let (missing, _) = rig.watching(&get_watched("/a"));
            let (waiting, watcher) = rig.watching(&exists_watched("/a"));
            let (denied, _) = rig.watching(&exists_watched("/a"));
            for code in [ErrorCode::NO_NODE, ErrorCode::NO_NODE, ErrorCode::NO_AUTH] {
                let asked = rig.asked();
                rig.answer_err(&asked, code);
            }
            for id in [missing, waiting, denied] {
                rig.failed(id);
            }
            assert_eq!(rig.session.stats().watches, 1);
            rig.fire(CREATED, "/a");
            rig.fired(watcher, CREATED, "/a");
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("watches", 3),
        kazoo: "CREATED and CHANGED take data watchers, DELETED data and child watchers, data first, \
                CHILD child watchers",
        here: Same,
        check: || {
            let (mut rig, [data, exists, child]) = watched("/a");
            rig.fire(CHILD, "/a");
            rig.fired(child, CHILD, "/a");
            rig.nothing_happened();
            rig.fire(CREATED, "/a");
            rig.fired(data, CREATED, "/a");
            rig.fired(exists, CREATED, "/a");
            rig.nothing_happened();

            let (mut rig, [data, exists, child]) = watched("/a");
            rig.fire(DELETED, "/a");
            for id in [data, exists, child] {
                rig.fired(id, DELETED, "/a");
            }
            rig.fire(DELETED, "/a");
            rig.nothing_happened();
            assert_eq!(rig.session.stats().watched_paths, 0);
            rig
        },
    },
    Row {
        at: ("watches", 4),
        kazoo: "one callable in both tables is called twice on DELETED",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            let (_, first) = rig.watching(&get_watched("/a"));
            let (_, second) = rig.watching(&children("/a", true));
            rig.answer_all();
            rig.events.clear();
            rig.fire(DELETED, "/a");
            rig.fired(first, DELETED, "/a");
            rig.fired(second, DELETED, "/a");
            rig
        },
    },
    Row {
        at: ("watches", 5),
        kazoo: "unknown event types are ignored",
        here: Same,
        check: || {
            let (mut rig, [data, ..]) = watched("/a");
            rig.fire(EventType(99), "/a");
            rig.fire(EventType::NONE, "/a");
            rig.nothing_happened();
            rig.fire(CHANGED, "/a");
            rig.fired(data, CHANGED, "/a");
            rig
        },
    },
    Row {
        at: ("watches", 6),
        kazoo: "on every loss of the connection watchers are told NONE and forgotten",
        here: Instead(
            "they are kept, put back before any other request, and told what they missed",
        ),
        check: || {
            let (mut rig, [data, exists, child]) = watched("/a");
            rig.cut();
            rig.suspended();
            rig.nothing_happened();
            rig.establish();
            rig.connected();
            let asked = rig.asked_set_watches(|watches| {
                assert_eq!(watches.data, ["/a"]);
                assert_eq!(watches.child, ["/a"]);
            });
            rig.fire(DELETED, "/a");
            for id in [data, exists, child] {
                rig.fired(id, DELETED, "/a");
            }
            rig.answer(&asked);
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("watches", 7),
        kazoo: "on expiry and close the same, with the matching state",
        here: Instead("each watcher is told its end and the reason"),
        check: || {
            let (mut rig, [data, exists, child]) = watched("/a");
            rig.cut();
            rig.suspended();
            let conn = rig.attempt();
            rig.up(conn);
            rig.expire(conn);
            rig.lost();
            for id in [data, exists, child] {
                assert_eq!(rig.watch_ended(id), StateReason::Expired);
            }
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("watches", 8),
        kazoo: "a watch cannot be cancelled",
        here: Instead("it can; with the last watcher the server's registration is removed"),
        check: || {
            let (mut rig, [data, exists, child]) = watched("/a");
            for id in [data, exists, child] {
                rig.unwatch(id);
            }
            // Only the child watch can go on its own; then all that is left on the path.
            let asked = rig.answer_all();
            assert_eq!(asked.len(), 2, "{asked:?}");
            assert_eq!(rig.session.stats().watched_paths, 0);
            rig.fire(DELETED, "/a");
            rig.nothing_happened();
            rig
        },
    },
];
