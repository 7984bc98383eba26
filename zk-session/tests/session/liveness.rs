//! Dead links, keep-alives, and clocks that jump.

use zk_proto::{OpCode, Request};
use zk_session::{Event, KeepAlive, LinkError, State, TimeoutReason};

use crate::rig::expect::{get, set};
use crate::rig::{Rig, T, ms};

#[test]
fn a_dead_link_is_noticed_in_two_thirds_when_idle() {
    let mut rig = Rig::to_connected();
    rig.idle(T / 3 + ms(10));
    let heard = rig.now - ms(10);
    rig.pass(T * 2 / 3 - ms(11));
    rig.nothing_happened();
    rig.pass(ms(1));
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::Silent);
    assert_eq!(rig.now, heard + T * 2 / 3);
}

#[test]
fn a_dead_link_is_noticed_in_two_thirds_when_busy() {
    for keep_alive in [KeepAlive::Ping, KeepAlive::Sync] {
        let mut rig = Rig::to_connected();
        rig.session.set_keep_alive(rig.now, keep_alive);
        let mut ids = Vec::new();
        while rig.session.state().is_connected() {
            assert!(rig.since_start() <= T * 2 / 3, "not noticed");
            ids.push(rig.submit(&get("/a")));
            rig.pass(ms(100));
        }
        assert_eq!(rig.since_start(), T * 2 / 3);
        let (_, error) = rig.suspended();
        assert_eq!(error, LinkError::Silent);
        for id in ids {
            rig.failed(id);
        }
    }
}

#[test]
fn the_link_is_ended_at_once_when_it_is_dead() {
    let mut rig = Rig::to_connected();
    let conn = rig.conn();
    rig.pass(T * 2 / 3);
    assert_eq!(rig.ended, [(conn, true)]);
    rig.suspended();
}

#[test]
fn a_slow_large_reply_is_not_silence() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    let reply = zk_proto::Reply::Data {
        data: zk_proto::Payload::from(vec![7; 1000]),
        stat: zk_proto::Stat::default(),
    };
    let mut body = Vec::new();
    reply.encode(OpCode::GET_DATA, &mut body);
    let frame = Rig::frame(asked.xid, 0x100, zk_proto::ErrorCode::OK, &body);
    let conn = rig.conn();
    for bytes in frame.chunks(100) {
        rig.pass(T / 2);
        rig.push(conn, bytes);
    }
    assert_eq!(rig.ok(id), reply);
    rig.nothing_happened();
}

#[test]
fn an_idle_connection_is_pinged_every_third() {
    let mut rig = Rig::to_connected();
    rig.pass(T / 3 - ms(1));
    rig.nothing_asked();
    rig.pass(ms(1));
    let ping = rig.asked_for(&Request::Ping);
    rig.now += ms(25);
    rig.answer(&ping);
    assert_eq!(rig.session.stats().round_trip, Some(ms(25)));
    rig.nothing_happened();
}

/// A busy session sends no pings.
#[test]
fn round_trips_of_requests_are_measured_one_at_a_time() {
    let mut rig = Rig::to_connected();
    assert_eq!(rig.session.stats().round_trip, None);
    let ids = [rig.submit(&get("/a")), rig.submit(&get("/a"))];
    let (first, second) = (rig.asked(), rig.asked());
    rig.now += ms(30);
    rig.answer(&first);
    assert_eq!(rig.session.stats().round_trip, Some(ms(30)));
    rig.now += ms(50);
    rig.answer(&second);
    assert_eq!(rig.session.stats().round_trip, Some(ms(30)));
    let third = rig.submit(&get("/a"));
    let asked = rig.asked();
    rig.now += ms(7);
    rig.answer(&asked);
    assert_eq!(rig.session.stats().round_trip, Some(ms(7)));
    for id in [ids[0], ids[1], third] {
        rig.ok(id);
    }
    rig.nothing_happened();
}

/// The answer to the first request on the next connection has the same number.
#[test]
fn a_round_trip_does_not_outlive_its_connection() {
    let mut rig = Rig::to_connected();
    let lost = rig.submit(&get("/a"));
    rig.asked();
    let conn = rig.conn();
    rig.gone(conn, std::io::ErrorKind::ConnectionReset);
    rig.suspended();
    rig.failed(lost);
    rig.establish();
    rig.connected();
    assert_eq!(rig.session.stats().connections, 2);
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    rig.now += ms(3);
    rig.answer(&asked);
    rig.ok(id);
    assert_eq!(rig.session.stats().round_trip, Some(ms(3)));
}

#[test]
fn requests_are_as_good_as_pings() {
    let mut rig = Rig::to_connected();
    for _ in 0..20 {
        rig.pass(T / 4);
        rig.submit(&get("/a"));
        let asked = rig.answer_all();
        assert_eq!(asked.len(), 1, "no ping: {asked:?}");
    }
    rig.events.clear();
}

#[test]
fn only_one_ping_is_on_its_way_while_the_socket_takes_nothing() {
    let mut rig = Rig::to_connected();
    for _ in 0..10 {
        rig.now += T / 20;
        rig.session.handle_timeout(rig.now);
    }
    rig.drain();
    rig.asked_for(&Request::Ping);
    rig.nothing_asked();
}

/// The machine was asleep: for longer than the session lives, or not.
#[test]
fn a_jump_of_the_clock_costs_one_connection_at_most() {
    for jump in [T / 2, T, T * 5, T * 600 * 12] {
        let mut rig = Rig::to_connected();
        let timer = rig.session.set_timer(rig.now + T / 4);
        rig.jump(jump);
        let mut asked = 0;
        if let Some(conn) = rig.peers.keys().next().copied() {
            asked = rig.peer(conn).asked.len();
        }
        assert!(asked <= 1, "{asked} pings after {jump:?}");
        for _ in 0..10 {
            rig.advance_to(rig.now);
        }
        assert!(rig.session.stats().losses <= 1);
        let first = rig.next();
        assert_eq!(first, Event::Timer { id: timer });
        if jump >= T * 2 / 3 {
            rig.suspended();
            let conn = rig.attempt();
            rig.up(conn);
            rig.events.clear();
            rig.expire(conn);
            rig.events.clear();
            rig.establish();
        } else {
            rig.answer_all();
        }
        rig.connected_again();
        assert!(rig.session.stats().losses <= 1);
        assert!(rig.session.stats().attempts <= 3);
    }
}

impl Rig {
    fn connected_again(&mut self) {
        self.events.clear();
        self.idle(T * 2);
        assert!(self.session.state().is_connected());
        self.nothing_happened();
    }
}

#[test]
fn a_jump_while_suspended_does_not_make_attempts_pile_up() {
    let mut rig = Rig::to_suspended();
    rig.jump(T * 600);
    assert_eq!(rig.session.stats().attempts, 2, "the first, and one now");
    assert_eq!(rig.peers.len(), 1);
    rig.events.clear();
}

#[test]
fn time_never_runs_backwards() {
    let mut rig = Rig::to_connected();
    rig.idle(T * 2);
    let now = rig.now;
    let before = rig.session.poll_timeout();
    rig.session.handle_timeout(rig.start);
    assert_eq!(rig.session.poll_timeout(), before);
    rig.now = rig.start;
    let id = rig.submit(&set("/a", b""));
    rig.answer_all();
    rig.ok(id);
    assert!(rig.session.poll_timeout() > Some(now));
    rig.now = now;
}

/// The application was slow to fetch events, so the driver stopped reading. That is no silence.
#[test]
fn a_pause_in_reading_is_not_the_server_s_silence() {
    pause_in_reading(|rig| {
        for _ in 0..10 {
            rig.now += T / 6;
            rig.session.handle_timeout(rig.now);
        }
    });
}

/// The same, when the driver itself was held up and the session saw no time pass.
#[test]
fn a_pause_of_the_driver_is_not_the_server_s_silence() {
    pause_in_reading(|rig| rig.now += T * 2);
}

fn pause_in_reading(pause: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::with(|c| {
        c.max_events(4);
    });
    rig.establish();
    rig.connected();
    let conn = rig.conn();
    let ids: Vec<_> = (0..4).map(|_| rig.submit(&get("/a"))).collect();
    let mut bytes = Vec::new();
    for _ in &ids {
        let asked = rig.asked();
        let err = zk_proto::ErrorCode::NO_NODE;
        bytes.extend(Rig::frame(asked.xid, 0x100, err, &[]));
    }
    rig.session.handle_data(rig.now, conn, &bytes);
    assert!(!rig.session.wants_read(conn));
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::Undrained);
    pause(&mut rig);
    while rig
        .session
        .poll_event()
        .is_some_and(|event| rig.told(event))
    {}
    assert!(rig.session.wants_read(conn));
    rig.advance_to(rig.now + ms(1));
    for id in ids {
        rig.failed(id);
    }
    rig.nothing_happened();
    assert_eq!(rig.session.state(), State::Connected { read_only: false });
    // From here on silence counts again.
    rig.pass(T);
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::Silent);
}

#[test]
fn the_next_timeout_has_a_reason() {
    let mut rig = Rig::new();
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::Connect);
    rig.establish();
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::KeepAlive);
    rig.session.set_timer(rig.now);
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::User);
    rig.advance_to(rig.now);
    rig.pass(T / 3);
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::Silence);
    rig.cut();
    assert_eq!(rig.session.timeout_reason(), TimeoutReason::Backoff);
    rig.events.clear();
}
