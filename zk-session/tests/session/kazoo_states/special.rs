//! Refused credentials, read-only servers, and what listeners are told.

use zk_proto::{ConnectReply, ErrorCode, SessionId, Xid};
use zk_session::{AuthFailure, CloseOutcome, Event, LinkError, RequestError, State, StateReason};

use super::Here::{Instead, Same};
use super::Row;
use crate::rig::expect::{auth, get};
use crate::rig::{Rig, SID, ms, server};

fn read_only() -> Rig {
    let mut rig = Rig::with(|c| {
        c.read_only(true);
    });
    let conn = rig.attempt();
    rig.up(conn);
    rig.grant(conn, SID, 6000, true);
    rig.connected_read_only();
    rig
}

/// The connection on which another server is asked whether it takes writes.
fn probe(rig: &mut Rig) -> zk_session::ConnId {
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.peer(conn).raw, b"isro");
    conn
}

pub(super) const ROWS: &[Row] = &[
    Row {
        at: ("auth failure", 1),
        kazoo: "a credential refused while connecting: AUTH_FAILED, then CLOSED, for good",
        here: Same,
        check: || {
            let mut rig = Rig::with(|c| {
                c.auth("digest", "u:wrong");
            });
            rig.establish();
            rig.nothing_happened();
            rig.say(Xid::AUTH, ErrorCode::AUTH_FAILED, &[]);
            let scheme = "digest".to_owned();
            let reason = StateReason::AuthFailed(AuthFailure::Credential { scheme });
            assert_eq!(rig.lost(), reason);
            assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);
            rig
        },
    },
    Row {
        at: ("auth failure", 2),
        kazoo: "a refused add_auth: the caller gets AuthFailedError",
        here: Same,
        check: || {
            let mut rig = Rig::to_connected();
            let id = rig.submit(&auth("u:wrong"));
            let asked = rig.asked();
            rig.answer_err(&asked, ErrorCode::AUTH_FAILED);
            assert_eq!(rig.failed(id), RequestError::Server(ErrorCode::AUTH_FAILED));
            rig
        },
    },
    Row {
        at: ("auth failure", 3),
        kazoo: "then LOST, a new session, the bad credential again, LOST, CLOSED",
        here: Instead("only that call fails; the session survives the loss of its connection"),
        check: || {
            let mut rig = Rig::to_connected();
            rig.submit(&auth("u:wrong"));
            let asked = rig.asked();
            rig.answer_err(&asked, ErrorCode::AUTH_FAILED);
            rig.events.clear();
            rig.cut();
            rig.suspended();
            rig.establish();
            assert_eq!(rig.connected(), StateReason::Resumed);
            rig.nothing_asked();
            rig
        },
    },
    Row {
        at: ("auth failure", 4),
        kazoo: "recovery is a start with corrected credentials",
        here: Instead("recovery is another session; this one has ended and says so"),
        check: || {
            let mut rig = Rig::with(|c| {
                c.auth("digest", "u:wrong");
            });
            rig.establish();
            rig.say(Xid::AUTH, ErrorCode::AUTH_FAILED, &[]);
            rig.events.clear();
            let finished = rig.session.is_finished() && rig.session.poll_timeout().is_none();
            rig.holds(finished, "nothing more will happen");
            rig
        },
    },
    Row {
        at: ("read-only", 1),
        kazoo: "the option sets the flag in the connect request",
        here: Same,
        check: || {
            let mut rig = Rig::new();
            let conn = rig.attempt();
            rig.up(conn);
            assert_eq!(rig.greeting(conn).read_only, Some(false));
            let mut rig = read_only();
            let conn = rig.conn();
            assert_eq!(rig.greeting(conn).read_only, Some(true));
            rig
        },
    },
    Row {
        at: ("read-only", 2),
        kazoo: "from read-only to read-write: SUSPENDED, LOST (expired), CONNECTED with a new id",
        here: Instead(
            "the same states, but an id that only a read-only server gave is never offered: what \
             comes is another session, not an expiry",
        ),
        check: || {
            let mut rig = read_only();
            rig.cut();
            rig.suspended();
            let conn = rig.attempt();
            rig.up(conn);
            assert_eq!(rig.greeting(conn).session_id, SessionId::NONE);
            rig.grant(conn, SessionId(0x2000), 6000, false);
            assert_eq!(rig.lost(), StateReason::Substituted);
            assert_eq!(rig.connected(), StateReason::Established);
            rig
        },
    },
    Row {
        at: ("read-only", 3),
        kazoo: "with local sessions disabled the read-only server refuses: stays SUSPENDED",
        here: Same,
        check: || {
            let mut rig = Rig::with(|c| {
                c.read_only(true);
            });
            rig.establish();
            rig.connected();
            rig.cut();
            rig.suspended();
            let conn = rig.attempt();
            rig.up(conn);
            rig.greeted(conn, &ConnectReply::Refused(ErrorCode::NOT_READ_ONLY));
            let (_, error) = rig.attempt_failed();
            assert_eq!(error, LinkError::Refused(ErrorCode::NOT_READ_ONLY));
            assert!(matches!(rig.session.state(), State::Suspended { .. }));
            rig
        },
    },
    Row {
        at: ("read-only", 4),
        kazoo: "a search for a server that takes writes, of the first host only",
        here: Instead("all hosts but the current one in turn, at doubling intervals from 100 ms"),
        check: || {
            let mut rig = read_only();
            let mut asked = Vec::new();
            for _ in 0..4 {
                let conn = probe(&mut rig);
                asked.push((rig.peer(conn).server.clone(), rig.since_start()));
                rig.push(conn, b"ro");
            }
            let expected = [("b", 100), ("c", 300), ("b", 700), ("c", 1500)];
            let expected = expected.map(|(host, at)| (server(host), ms(at)));
            assert_eq!(asked, expected);
            rig.nothing_happened();
            rig
        },
    },
    Row {
        at: ("read-only", 5),
        kazoo: "when one is found, the connection moves there",
        here: Same,
        check: || {
            let mut rig = read_only();
            let conn = probe(&mut rig);
            rig.push(conn, b"ro");
            let conn = probe(&mut rig);
            rig.push(conn, b"rw");
            let (_, error) = rig.suspended();
            assert_eq!(error, LinkError::FoundWritable);
            let conn = rig.establish();
            assert_eq!(rig.peer(conn).server, server("c"));
            rig.lost();
            rig.connected();
            rig
        },
    },
    Row {
        at: ("listeners", 1),
        kazoo: "called on the connection's thread, in no order",
        here: Instead("one queue of events: a change stands before the failures that it causes"),
        check: || {
            let mut rig = Rig::to_connected();
            let id = rig.submit(&get("/a"));
            rig.cut();
            let kinds: Vec<bool> = rig
                .events
                .iter()
                .map(|event| matches!(event, Event::StateChanged { .. }))
                .collect();
            assert_eq!(kinds, [true, false]);
            rig.suspended();
            rig.failed(id);
            rig
        },
    },
    Row {
        at: ("listeners", 2),
        kazoo: "the argument is the simplified state",
        here: Instead("the state before, the state now, and the reason"),
        check: || {
            let mut rig = Rig::new();
            rig.establish();
            let (from, to, reason) = rig.changed();
            assert_eq!(from, State::Lost);
            assert_eq!(to, State::Connected { read_only: false });
            assert_eq!(reason, StateReason::Established);
            rig
        },
    },
    Row {
        at: ("listeners", 3),
        kazoo: "only called when the simplified state really changes",
        here: Instead("the same; and once more for the end of a session that is lost already"),
        check: || {
            let mut rig = Rig::to_lost();
            rig.nothing_happened();
            rig.close(ms(0));
            let (from, to, reason) = rig.changed();
            assert_eq!((from, to), (State::Lost, State::Lost));
            assert_eq!(reason, StateReason::Closed);
            rig
        },
    },
    Row {
        at: ("listeners", 4),
        kazoo: "listeners survive stop and start; they must not block",
        here: Instead("a session cannot be started again; its end is the last event"),
        check: || {
            let mut rig = Rig::to_connected();
            rig.close(ms(1000));
            rig.answer_all();
            rig.lost();
            assert_eq!(rig.closed(), CloseOutcome::Confirmed);
            rig.advance_to(rig.now + ms(60_000));
            rig.nothing_happened();
            rig
        },
    },
];
