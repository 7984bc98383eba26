//! What becomes of a request that is made in a state.

use zk_proto::{ErrorCode, Xid};
use zk_session::{Refused, RequestError, StateReason};

use super::Here::{Instead, Same};
use super::Row;
use crate::rig::expect::{create, get, set};
use crate::rig::{Rig, SID, T};

pub(super) const ROWS: &[Row] = &[
    Row {
        at: ("requests", 1),
        kazoo: "CLOSED: refused at once",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            rig.close(T);
            assert_eq!(rig.refused(&get("/a")), Refused::Closed);
            rig.answer_all();
            assert_eq!(rig.refused(&get("/a")), Refused::Closed);
            rig
        },
    },
    Row {
        at: ("requests", 2),
        kazoo: "EXPIRED_SESSION: refused at once, for a moment",
        here: Instead("waits for the new session, which is on its way"),
        check: || {
            let mut rig = Rig::to_lost();
            let id = rig.submit(&create("/a"));
            rig.establish();
            assert_eq!(rig.connected(), StateReason::Established);
            rig.answer_all();
            rig.ok(id);
            rig
        },
    },
    Row {
        at: ("requests", 3),
        kazoo: "AUTH_FAILED: refused at once",
        here: Same,
        check: || {
            let mut rig = Rig::with(|c| {
                c.auth("digest", "u:wrong");
            });
            rig.establish();
            rig.say(Xid::AUTH, ErrorCode::AUTH_FAILED, &[]);
            rig.lost();
            assert_eq!(rig.refused(&get("/a")), Refused::AuthFailed);
            rig
        },
    },
    Row {
        at: ("requests", 4),
        kazoo: "CONNECTING: queued without bound, sent after the reconnect, not failed by attempts \
                that fail, failed when the state becomes LOST",
        here: Instead("the same, but bounded; if the session ends: SessionExpired, never sent"),
        check: || {
            let mut rig = Rig::to_suspended();
            let kept = rig.submit(&set("/a", b"1"));
            let conn = rig.attempt();
            rig.gone(conn, std::io::ErrorKind::ConnectionRefused);
            rig.attempt_failed();
            rig.nothing_happened();
            rig.establish();
            rig.connected();
            rig.answer_all();
            rig.ok(kept);

            rig.cut();
            rig.suspended();
            let failed = rig.submit(&set("/a", b"2"));
            let conn = rig.attempt();
            rig.up(conn);
            rig.expire(conn);
            rig.lost();
            assert_eq!(
                rig.failed(failed),
                RequestError::SessionExpired { sent: false }
            );
            rig
        },
    },
    Row {
        at: ("requests", 5),
        kazoo: "CONNECTED: queued and sent in order; read-only, the server refuses writes",
        here: Same,
        check: || {
            let mut rig = Rig::with(|c| {
                c.read_only(true);
            });
            let conn = rig.attempt();
            rig.up(conn);
            rig.grant(conn, SID, 6000, true);
            rig.connected_read_only();
            let ids = [rig.submit(&get("/a")), rig.submit(&set("/a", b""))];
            let read = rig.asked_for(&get("/a"));
            let write = rig.asked_for(&set("/a", b""));
            rig.answer(&read);
            rig.answer_err(&write, ErrorCode::NOT_READ_ONLY);
            rig.ok(ids[0]);
            assert_eq!(
                rig.failed(ids[1]),
                RequestError::Server(ErrorCode::NOT_READ_ONLY)
            );
            rig
        },
    },
    Row {
        at: ("requests", 6),
        kazoo: "the 279th request while disconnected blocks its caller",
        here: Instead("nothing blocks: a request beyond the bounds is refused"),
        check: || {
            let mut rig = Rig::with(|c| {
                c.max_queued(300, 1 << 20);
            });
            for _ in 0..300 {
                rig.submit(&get("/a"));
            }
            assert!(matches!(
                rig.refused(&get("/a")),
                Refused::Full { requests: 300, .. }
            ));
            rig
        },
    },
];
