//! States, and the effect of a change of state.

use std::io::ErrorKind;
use std::time::Duration;

use zk_proto::ErrorCode;
use zk_session::{
    BackoffPolicy, CloseOutcome, LinkError, Outcome, RequestError, State, StateReason,
};

use super::Here::{Instead, Same};
use super::Row;
use crate::rig::expect::{get, get_watched, set};
use crate::rig::{Rig, SID, T};

pub(super) const ROWS: &[Row] = &[
    Row {
        at: ("states", 1),
        kazoo: "the simplified state is LOST at first",
        here: Same,
        check: || {
            let mut rig = Rig::new();
            let state = rig.session.state();
            rig.holds(state == State::Lost, "Lost at first");
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("states", 2),
        kazoo: "CONNECTED and CONNECTED_RO are both simplified to CONNECTED",
        here: Instead("one state, which says whether it is read-only"),
        check: || {
            let mut rig = Rig::with(|c| {
                c.read_only(true);
            });
            let conn = rig.attempt();
            rig.up(conn);
            rig.grant(conn, SID, 6000, true);
            rig.connected_read_only();
            rig
        },
    },
    Row {
        at: ("states", 3),
        kazoo: "EXPIRED_SESSION, AUTH_FAILED and CLOSED are simplified to LOST",
        here: Instead("one state, and a reason with each change"),
        check: || {
            let mut rig = Rig::to_suspended();
            let conn = rig.attempt();
            rig.up(conn);
            rig.expire(conn);
            assert_eq!(rig.lost(), StateReason::Expired);
            rig
        },
    },
    Row {
        at: ("transitions", 1),
        kazoo: "to the state that it is in already: nothing",
        here: Same,
        check: || {
            let mut rig = Rig::to_suspended();
            for _ in 0..3 {
                let conn = rig.attempt();
                rig.gone(conn, ErrorKind::ConnectionRefused);
                rig.attempt_failed();
            }
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("transitions", 2),
        kazoo: "from LOST to connecting: no listener is called",
        here: Same,
        check: || {
            let mut rig = Rig::to_lost();
            let conn = rig.attempt();
            rig.up(conn);
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("transitions", 3),
        kazoo: "to connected: listeners are told CONNECTED",
        here: Same,
        check: || {
            let mut rig = Rig::new();
            rig.establish();
            assert_eq!(rig.connected(), StateReason::Established);
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("transitions", 4),
        kazoo: "to the closed group: listeners are told LOST, then requests fail, those in flight \
                first, then watchers are told, and id, password and zxid are reset",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            let (id, watcher) = rig.watching(&get_watched("/w"));
            rig.answer_all();
            rig.ok(id);
            let sent = rig.submit(&get("/sent"));
            let asked = rig.asked();
            let unsent = rig.queue(&get("/unsent"));
            rig.answer_err(&asked, ErrorCode::SESSION_EXPIRED);
            assert_eq!(rig.lost(), StateReason::Expired);
            assert_eq!(
                rig.failed(sent),
                RequestError::SessionExpired { sent: true }
            );
            assert_eq!(
                rig.failed(unsent),
                RequestError::SessionExpired { sent: false }
            );
            assert_eq!(rig.watch_ended(watcher), StateReason::Expired);
            assert_eq!(rig.session.credentials(), None);
            let conn = rig.attempt();
            rig.up(conn);
            let greeting = rig.greeting(conn);
            assert!(greeting.session_id.is_none() && greeting.password.as_bytes() == [0; 16]);
            assert_eq!(greeting.last_zxid_seen.0, 0);
            rig
        },
    },
    Row {
        at: ("transitions", 5),
        kazoo: "from connected to connecting: requests fail with ConnectionLoss, then listeners are \
                told SUSPENDED, then every watch is lost",
        here: Instead(
            "the change comes before the failures it causes, so that listeners enter safe mode \
             first; watches are kept and put back",
        ),
        check: || {
            let mut rig = Rig::to_connected();
            let (id, _) = rig.watching(&get_watched("/w"));
            rig.answer_all();
            rig.ok(id);
            let sent = rig.submit(&set("/s", b"1"));
            rig.cut();
            rig.suspended();
            assert_eq!(
                rig.failed(sent),
                RequestError::ConnectionLoss { sent: true }
            );
            rig.nothing_happened();
            rig.establish();
            rig.connected();
            rig.asked_set_watches(|watches| assert_eq!(watches.data, ["/w"]));
            rig
        },
    },
    Row {
        at: ("transitions", 6),
        kazoo: "the error of row 4 is AuthFailedError, SessionExpiredError, or for CLOSED \
                ConnectionLoss",
        here: Instead("an error of its own for each, which says whether the request was sent"),
        check: || {
            let mut rig = Rig::to_connected();
            let id = rig.submit(&set("/s", b"1"));
            rig.close(Duration::ZERO);
            rig.advance_to(rig.now);
            assert_eq!(rig.lost(), StateReason::Closed);
            let error = rig.failed(id);
            assert_eq!(error, RequestError::Closed { sent: true });
            assert_eq!(error.outcome(), Outcome::Unknown);
            assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
            rig
        },
    },
    Row {
        at: ("transitions", 7),
        kazoo: "SUSPENDED to CONNECTED: the session was kept",
        here: Same,
        check: || {
            let mut rig = Rig::to_suspended();
            let conn = rig.attempt();
            rig.up(conn);
            assert_eq!(rig.greeting(conn).session_id, SID);
            rig.accept(conn);
            assert_eq!(rig.connected(), StateReason::Resumed);
            rig
        },
    },
    Row {
        at: ("transitions", 8),
        kazoo: "SUSPENDED to LOST: expired on reconnect",
        here: Same,
        check: || {
            let mut rig = Rig::to_lost();
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("transitions", 9),
        kazoo: "SUSPENDED to LOST: stopped",
        here: Instead("a close goes on trying to reach the server, up to its limit"),
        check: || {
            let mut rig = Rig::to_suspended();
            rig.close(T / 6);
            rig.nothing_happened();
            rig.pass(T / 6);
            assert_eq!(rig.lost(), StateReason::Closed);
            assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
            rig
        },
    },
    Row {
        at: ("transitions", 10),
        kazoo: "SUSPENDED to LOST: the retry policy is exhausted",
        here: Same,
        check: || {
            let mut rig = Rig::with(|c| {
                c.reconnect(BackoffPolicy::new().max_tries(1));
            });
            rig.establish();
            rig.connected();
            rig.cut();
            rig.suspended();
            for _ in 0..3 {
                let conn = rig.attempt();
                rig.gone(conn, ErrorKind::ConnectionRefused);
                rig.attempt_failed();
            }
            assert_eq!(rig.lost(), StateReason::RetriesExhausted);
            assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
            rig
        },
    },
    Row {
        at: ("transitions", 11),
        kazoo: "CONNECTED to LOST: stopped",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            rig.close(T);
            rig.answer_all();
            assert_eq!(rig.lost(), StateReason::Closed);
            assert_eq!(rig.closed(), CloseOutcome::Confirmed);
            rig
        },
    },
    Row {
        at: ("transitions", 12),
        kazoo: "after an expiry a new session is made by itself",
        here: Same,
        check: || {
            let mut rig = Rig::to_lost();
            rig.establish();
            assert_eq!(rig.connected(), StateReason::Established);
            let (id, _) = rig.session.credentials().expect("a session");
            assert_eq!(id.0, SID.0 + 1);
            rig
        },
    },
    Row {
        at: ("transitions", 13),
        kazoo: "LOST is only learned from a server: out of reach of all, the client stays SUSPENDED \
                for ever",
        here: Instead("given up a third of the session timeout after the deadline"),
        check: || {
            let mut rig = Rig::to_suspended();
            rig.pass(T + T / 3);
            let mut reason = None;
            while let Some(event) = rig.events.pop_front() {
                match event {
                    zk_session::Event::StateChanged { reason: r, .. } => reason = Some(r),
                    zk_session::Event::ConnectFailed { error, .. } => {
                        assert_eq!(error, LinkError::ConnectTimeout);
                    }
                    other => panic!("unexpected: {other:?}"),
                }
            }
            rig.holds(
                reason == Some(StateReason::GivenUp),
                "the session is given up",
            );
            rig
        },
    },
];
