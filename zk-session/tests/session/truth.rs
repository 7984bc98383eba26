//! Session truth: until when the servers cannot have dropped the session.

use std::time::Duration;

use zk_proto::{ErrorCode, MultiOp, Request};
use zk_session::KeepAlive;

use crate::rig::expect::{add_watch, auth, children, create, delete, get, set, sync};
use crate::rig::{MARGIN, Rig, SID, T, ms};

/// The deadline, counted from the start of the test.
fn deadline(rig: &Rig) -> Duration {
    rig.session.deadline().expect("a proven session") - rig.start
}

/// What a proof of something sent at `at` is worth.
fn proven(at: Duration) -> Duration {
    at + T - MARGIN
}

/// Submits it and answers it after a while.
fn done_after(rig: &mut Rig, request: &Request<'_>, delay: Duration) {
    let id = rig.submit(request);
    let asked = rig.asked();
    rig.now += delay;
    rig.answer(&asked);
    rig.ok(id);
}

#[test]
fn a_handshake_proves_the_session_from_its_sending() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.now += ms(300);
    rig.up(conn);
    rig.now += ms(500);
    assert_eq!(rig.session.deadline(), None);
    rig.accept(conn);
    rig.connected();
    assert_eq!(deadline(&rig), proven(ms(300)));
}

#[test]
fn a_proof_counts_for_what_was_sent_a_quarter_earlier() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &get("/a"), ms(0));
    rig.now += ms(1499);
    done_after(&mut rig, &sync("/a"), ms(100));
    assert_eq!(
        deadline(&rig),
        proven(ms(0)),
        "1 ms less than a quarter after the read"
    );
    rig.now = rig.start + ms(2700);
    let id = rig.submit(&set("/a", b"1"));
    let asked = rig.asked();
    rig.now += ms(400);
    assert_eq!(
        deadline(&rig),
        proven(ms(0)),
        "nothing is proven before the answer"
    );
    rig.answer(&asked);
    rig.ok(id);
    assert_eq!(
        deadline(&rig),
        proven(ms(1000)),
        "from its sending, not from the answer"
    );
}

/// What an answered request proves, 2 s after a read that was sent 1 s after the handshake.
fn proof_by(request: &Request<'_>, code: ErrorCode, zxid: Option<i64>) -> bool {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &get("/a"), ms(0));
    rig.now += ms(2000);
    let id = rig.submit(request);
    let asked = rig.asked();
    rig.zxid = zxid.unwrap_or(rig.zxid);
    if code.is_ok() {
        rig.answer(&asked);
    } else {
        rig.answer_err(&asked, code);
    }
    assert_eq!(rig.done(id).is_ok(), code.is_ok());
    match deadline(&rig) {
        d if d == proven(ms(1000)) => true,
        d if d == proven(ms(0)) => false,
        d => panic!("neither the handshake nor the read: {d:?}"),
    }
}

#[test]
fn writes_and_syncs_prove_the_session() {
    let multi = Request::Multi(vec![].into());
    for request in &[sync("/"), set("/a", b""), create("/a"), delete("/a"), multi] {
        assert!(proof_by(request, ErrorCode::OK, None), "{request:?}");
    }
    for code in [
        ErrorCode::NO_NODE,
        ErrorCode::BAD_VERSION,
        ErrorCode::NODE_EXISTS,
    ] {
        assert!(
            proof_by(&set("/a", b""), code, None),
            "{code} comes from the leader"
        );
    }
}

#[test]
fn what_a_follower_can_answer_by_itself_proves_nothing() {
    for request in &[
        get("/a"),
        children("/a", false),
        add_watch("/a"),
        auth("u:p"),
    ] {
        assert!(!proof_by(request, ErrorCode::OK, None), "{request:?}");
    }
    assert!(!proof_by(&get("/a"), ErrorCode::NO_NODE, None));
    for code in [
        ErrorCode::UNIMPLEMENTED,
        ErrorCode::MARSHALLING_ERROR,
        ErrorCode::NOT_READ_ONLY,
        ErrorCode::THROTTLED_OP,
        ErrorCode(-999),
    ] {
        assert!(!proof_by(&set("/a", b""), code, None), "{code}");
    }
    assert!(
        !proof_by(&sync("/a"), ErrorCode::NO_NODE, None),
        "a sync that failed"
    );
    let eager = proof_by(&set("/a", b""), ErrorCode::NO_AUTH, Some(0));
    assert!(!eager, "an eager refusal carries no zxid");
}

#[test]
fn pings_keep_the_session_but_prove_nothing() {
    let mut rig = Rig::to_connected();
    rig.idle(T * 10);
    rig.nothing_happened();
    assert_eq!(deadline(&rig), proven(ms(0)));
}

#[test]
fn with_a_sync_as_keep_alive_the_deadline_stays_ahead() {
    let mut rig = Rig::to_connected();
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    let mut least = T;
    for _ in 0..400 {
        rig.idle(T / 16);
        least = least.min(rig.session.deadline().expect("proven") - rig.now);
    }
    assert!(least >= T / 2 - MARGIN, "at worst {least:?} were left");
    rig.nothing_happened();
}

/// Reads keep the connection busy, and prove nothing: the `sync`s must not wait for a pause.
#[test]
fn the_deadline_stays_ahead_under_reads_too() {
    let mut rig = Rig::to_connected();
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    for _ in 0..400 {
        rig.idle(T / 16);
        let id = rig.submit(&get("/a"));
        rig.answer_all();
        rig.ok(id);
        let left = rig.session.deadline().map(|at| at - rig.now);
        assert!(left >= Some(T / 2 - MARGIN), "{left:?} are left");
    }
}

#[test]
fn a_sync_as_keep_alive_begins_at_once_on_an_idle_connection() {
    let mut rig = Rig::to_connected();
    rig.idle(T * 3);
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    rig.idle(ms(1));
    assert!(rig.session.deadline() > Some(rig.now + T / 4));
}

#[test]
fn auth_does_not_put_off_the_next_ping() {
    let mut rig = Rig::to_connected();
    rig.now += T / 4;
    done_after(&mut rig, &auth("u:p"), ms(0));
    rig.pass(T / 3 - rig.since_start());
    rig.asked_for(&Request::Ping);
}

#[test]
fn auth_does_not_touch_the_session() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    done_after(&mut rig, &auth("u:p"), ms(0));
    rig.now += ms(2000);
    done_after(&mut rig, &sync("/"), ms(0));
    assert_eq!(deadline(&rig), proven(ms(0)));
}

#[test]
fn the_margin_is_configurable() {
    for margin in [ms(0), ms(2000), T * 2] {
        let mut rig = Rig::with(|c| {
            c.clock_margin(margin);
        });
        rig.establish();
        rig.connected();
        assert_eq!(deadline(&rig), T.saturating_sub(margin));
        rig.cut();
        let (until, _) = rig.suspended();
        assert_eq!(until - rig.start, T.saturating_sub(margin));
    }
}

#[test]
fn the_servers_decide_the_timeout() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).timeout, 6000);
    rig.grant(conn, SID, 20_000, false);
    rig.connected();
    assert_eq!(rig.session.negotiated_timeout(), Some(ms(20_000)));
    assert_eq!(deadline(&rig), ms(19_000));
    rig.cut();
    let conn = rig.attempt();
    rig.up(conn);
    assert_eq!(rig.greeting(conn).timeout, 6000, "what was asked for first");
    let sent = rig.since_start();
    rig.grant(conn, SID, 4000, false);
    assert_eq!(deadline(&rig), sent + ms(3800));
}

#[test]
fn an_answer_on_a_lost_connection_proves_nothing() {
    let mut rig = Rig::to_connected();
    rig.now += ms(1000);
    rig.submit(&get("/a"));
    rig.now += ms(2000);
    rig.submit(&sync("/a"));
    let before = deadline(&rig);
    rig.cut();
    let (until, _) = rig.suspended();
    assert_eq!(until - rig.start, before);
    rig.events.clear();
    rig.establish();
    rig.connected();
    // Old touches do not count on the new connection either.
    let reattached = rig.since_start();
    done_after(&mut rig, &sync("/a"), ms(0));
    assert_eq!(deadline(&rig), proven(reattached));
}

#[test]
fn a_multi_with_a_check_only_is_a_proof() {
    let check = MultiOp::Check {
        path: "/a".into(),
        version: -1,
    };
    let request = Request::Multi(vec![check].into());
    assert!(proof_by(&request, ErrorCode::OK, None));
}

#[test]
fn a_read_only_server_proves_nothing() {
    let mut rig = Rig::with(|c| {
        c.read_only(true);
    });
    rig.establish();
    rig.connected();
    rig.cut();
    rig.suspended();
    let conn = rig.attempt();
    rig.up(conn);
    // Servers before 3.7 take a session of the whole ensemble, with limits of their own.
    rig.grant(conn, SID, 60_000, true);
    rig.connected_read_only();
    assert!(deadline(&rig) <= proven(ms(0)), "{:?}", deadline(&rig));
    rig.session.set_keep_alive(rig.now, KeepAlive::Sync);
    rig.idle(T);
    assert!(deadline(&rig) <= proven(ms(0)), "{:?}", deadline(&rig));
}
