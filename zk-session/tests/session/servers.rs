//! Which server is tried when, and for how long.

use std::io::ErrorKind;
use std::time::Duration;

use zk_proto::ServerAddr;
use zk_session::{BackoffPolicy, CloseOutcome, Event, GiveUp, LinkError, State, StateReason};

use crate::rig::expect::{get, get_watched};
use crate::rig::{Rig, SID, T, ms, server};

fn tried(rig: &mut Rig) -> (ServerAddr, Duration) {
    let conn = rig.attempt();
    let peer = rig.peer(conn);
    let at = (peer.server.clone(), peer.began);
    rig.gone(conn, ErrorKind::ConnectionRefused);
    rig.attempt_failed();
    (at.0, at.1 - rig.start)
}

#[test]
fn servers_are_tried_in_turn_and_a_round_is_followed_by_a_pause() {
    let mut rig = Rig::new();
    let first: Vec<_> = (0..3).map(|_| tried(&mut rig)).collect();
    let expected = ["a", "b", "c"].map(|host| (server(host), ms(0)));
    assert_eq!(first, expected);
    let (next, at) = tried(&mut rig);
    assert_eq!(next, server("a"));
    assert!((ms(60)..=ms(140)).contains(&at), "{at:?}");
}

#[test]
fn each_attempt_says_how_often_its_server_was_tried() {
    let mut rig = Rig::new();
    for round in 0..3 {
        for _ in 0..3 {
            let conn = rig.attempt();
            assert_eq!(rig.peer(conn).attempt, round);
            rig.gone(conn, ErrorKind::NotFound);
            rig.attempt_failed();
        }
    }
}

/// A black hole takes no more than its share: the session is saved by the next.
#[test]
fn one_black_hole_of_three_does_not_eat_the_time() {
    let mut rig = Rig::to_suspended();
    let (until, lost_at) = match rig.session.state() {
        State::Suspended { until } => (until, rig.now),
        other => panic!("unexpected: {other:?}"),
    };
    let hole = rig.attempt();
    assert_eq!(rig.peer(hole).server, server("b"));
    rig.pass(T * 2 / 9);
    let (at, error) = rig.attempt_failed();
    assert_eq!((at, error), (server("b"), LinkError::ConnectTimeout));
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Resumed);
    assert!(rig.now < until);
    assert!(
        rig.now - lost_at < T / 4 + ms(100),
        "{:?}",
        rig.now - lost_at
    );
}

#[test]
fn the_time_of_an_attempt_covers_the_handshake() {
    let mut rig = Rig::new();
    let conn = rig.attempt();
    rig.pass(ms(1000));
    rig.up(conn);
    rig.pass(ms(334));
    let (_, error) = rig.attempt_failed();
    assert_eq!(error, LinkError::ConnectTimeout);
    assert!(rig.ended.contains(&(conn, true)));
}

#[test]
fn the_time_of_an_attempt_is_configurable() {
    let mut rig = Rig::with(|c| {
        c.connect_timeout(ms(70));
    });
    rig.pass(ms(69));
    rig.nothing_happened();
    rig.pass(ms(1));
    rig.attempt_failed();
}

/// The pauses between rounds of failures, as they were drawn.
fn pauses(seed: [u8; 32], policy: BackoffPolicy, rounds: usize) -> Vec<Duration> {
    let mut rig = Rig::seeded(seed, |c| {
        c.reconnect(policy);
    });
    let mut pauses = Vec::new();
    for _ in 0..rounds {
        for _ in 0..3 {
            tried(&mut rig);
        }
        let before = rig.now;
        rig.attempt();
        pauses.push(rig.now - before);
    }
    pauses
}

#[test]
fn pauses_double_up_to_their_cap_with_jitter() {
    let seen = pauses([1; 32], BackoffPolicy::new(), 12);
    for (at, pause) in seen.iter().enumerate() {
        let base = ms(100 << at.min(10)).min(ms(5000));
        let range = base.mul_f64(0.6)..=base.mul_f64(1.4);
        assert!(range.contains(pause), "pause {at} of {pause:?}");
    }
    let exact = pauses([1; 32], BackoffPolicy::new().jitter(0.0), 8);
    assert_eq!(exact[..3], [ms(100), ms(200), ms(400)]);
    assert_eq!(exact[7], ms(5000));
}

#[test]
fn pauses_come_from_the_seed() {
    let policy = BackoffPolicy::new;
    assert_eq!(pauses([1; 32], policy(), 6), pauses([1; 32], policy(), 6));
    assert_ne!(pauses([1; 32], policy(), 6), pauses([2; 32], policy(), 6));
}

#[test]
fn a_pause_does_not_cost_a_session_that_can_be_saved() {
    let mut rig = Rig::with(|c| {
        c.reconnect(BackoffPolicy::new().delay(ms(60_000)).max_delay(ms(60_000)));
    });
    rig.establish();
    rig.connected();
    rig.cut();
    rig.suspended();
    for _ in 0..3 {
        tried(&mut rig);
    }
    let before = rig.now;
    rig.attempt();
    assert!(rig.now - before <= T / 4);
}

#[test]
fn tries_can_be_limited_by_number_and_by_time() {
    let limit = BackoffPolicy::new().max_tries(2);
    let mut rig = Rig::with(|c| {
        c.reconnect(limit);
    });
    let id = rig.submit(&get("/a"));
    for _ in 0..6 {
        tried(&mut rig);
    }
    assert_eq!(rig.lost(), StateReason::RetriesExhausted);
    let error = rig.failed(id);
    assert_eq!(error, zk_session::RequestError::Closed { sent: false });
    assert_eq!(rig.closed(), CloseOutcome::Unconfirmed);

    let limit = BackoffPolicy::new().deadline(ms(1000)).jitter(0.0);
    let mut rig = Rig::with(|c| {
        c.reconnect(limit);
    });
    let mut last = ms(0);
    while rig.events.is_empty() {
        if rig.session.is_finished() {
            break;
        }
        let conn = rig.attempt();
        last = rig.since_start();
        rig.gone(conn, ErrorKind::ConnectionRefused);
        rig.events.pop_front();
    }
    assert_eq!(rig.lost(), StateReason::RetriesExhausted);
    assert_eq!(last, ms(700), "100 + 200 + 400, and not 800 more");
}

#[test]
fn clients_of_a_failed_server_do_not_all_come_at_once() {
    let mut after = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut rig = Rig::seeded([seed; 32], |_| {}).connected_now();
        rig.idle(T);
        rig.cut();
        rig.suspended();
        let before = rig.now;
        rig.attempt();
        assert!(rig.now - before <= ms(100));
        after.insert(rig.now - before);
    }
    assert!(after.len() > 15, "{after:?}");
}

/// Such as a server that takes the session and fails at the first request.
#[test]
fn connections_that_never_last_are_not_made_in_a_storm() {
    let mut rig = Rig::new();
    for _ in 0..100 {
        rig.establish();
        rig.cut();
        rig.events.clear();
    }
    assert!(
        rig.since_start() > ms(20_000),
        "100 in {:?}",
        rig.since_start()
    );
}

/// A timeout that no connection can keep, with which each attempt was over in less than a
/// millisecond, and the next one followed at once.
#[test]
fn a_tiny_session_timeout_does_not_make_a_storm_of_attempts() {
    let mut rig = Rig::with(|c| {
        c.give_up(GiveUp::Never);
    });
    let conn = rig.attempt();
    rig.up(conn);
    rig.grant(conn, SID, 1, false);
    rig.connected();
    rig.cut();
    rig.suspended();
    let before = (rig.now, rig.session.stats().attempts);
    let silent = rig.attempt();
    rig.pass(ms(33));
    rig.up(silent);
    rig.grant(silent, SID, 1, false);
    assert_eq!(rig.connected(), StateReason::Resumed, "it had some time");
    rig.cut();
    rig.suspended();
    rig.session.close(rig.now, ms(1000));
    while !rig.session.is_finished() {
        let at = rig.session.poll_timeout().expect("the limit, at least");
        rig.advance_to(at);
    }
    assert!(rig.now <= before.0 + ms(2000), "the close keeps its limit");
    let attempts = rig.session.stats().attempts - before.1;
    assert!((4..60).contains(&attempts), "{attempts} in a second");
}

#[test]
fn hosts_are_shuffled_by_the_seed() {
    let order = |seed| {
        let rig = Rig::seeded([seed; 32], |c| {
            c.randomize_hosts(true);
        });
        rig.session.servers()
    };
    let orders: Vec<_> = (0..20).map(order).collect();
    assert!(orders.iter().any(|o| *o != orders[0]));
    assert_eq!(order(3), order(3));
}

#[test]
fn the_connection_moves_when_its_server_is_taken_off_the_list() {
    let mut rig = Rig::to_connected();
    rig.session
        .set_servers(rig.now, &[server("b"), server("c")]);
    rig.drain();
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::ServerRemoved);
    let conn = rig.attempt();
    assert_ne!(rig.peer(conn).server, server("a"));
    rig.up(conn);
    assert_eq!(rig.greeting(conn).session_id, SID);
    rig.accept(conn);
    assert_eq!(rig.connected(), StateReason::Resumed);
    assert_eq!(rig.session.servers(), [server("b"), server("c")]);
}

#[test]
fn the_connection_stays_when_its_server_stays_and_the_list_does_not_grow() {
    let mut rig = Rig::to_connected();
    rig.session
        .set_servers(rig.now, &[server("a"), server("d")]);
    rig.session.set_servers(rig.now, &[]);
    rig.drain();
    rig.nothing_happened();
    assert_eq!(rig.session.server(), Some(&server("a")));
}

#[test]
fn an_attempt_at_a_server_taken_off_the_list_is_given_up() {
    let mut rig = Rig::new();
    let old = rig.attempt();
    rig.session.set_servers(rig.now, &[server("d")]);
    rig.drain();
    let (at, error) = rig.attempt_failed();
    assert_eq!((at, error), (server("a"), LinkError::ServerRemoved));
    assert!(rig.ended.contains(&(old, true)));
    let conn = rig.attempt();
    assert_eq!(rig.peer(conn).server, server("d"));
}

#[test]
fn a_pause_ends_when_new_servers_are_known() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        tried(&mut rig);
    }
    rig.session.set_servers(rig.now, &[server("d")]);
    rig.drain();
    let conn = rig.peers.keys().next().copied().expect("at once");
    assert_eq!(rig.peer(conn).server, server("d"));
}

#[test]
fn learnt_servers_are_tried_after_the_given_ones() {
    let mut rig = Rig::new();
    rig.session.set_fallback_servers(&[server("d")]);
    rig.session.set_fallback_servers(&[server("e")]);
    let seen: Vec<_> = (0..5).map(|_| tried(&mut rig).0).collect();
    let last = seen.iter().position(|s| *s == server("e"));
    assert!(last.is_some() && !seen.contains(&server("d")), "{seen:?}");
}

#[test]
fn reconnect_leaves_the_server_and_keeps_the_session() {
    let mut rig = Rig::to_connected();
    rig.session.reconnect(rig.now);
    rig.drain();
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::Requested);
    let conn = rig.establish();
    assert_eq!(rig.peer(conn).server, server("b"));
    assert_eq!(rig.connected(), StateReason::Resumed);
}

#[test]
fn the_same_seed_and_inputs_give_the_same_bytes() {
    let run = |seed| {
        let mut rig = Rig::seeded([seed; 32], |c| {
            c.randomize_hosts(true).auth("digest", "u:p");
        });
        let mut seen = Vec::new();
        let paths: Vec<String> = (0..50).map(|n| format!("/{n}")).collect();
        for round in 0..20 {
            let conn = rig.attempt();
            if round % 3 == 1 {
                rig.gone(conn, ErrorKind::ConnectionRefused);
                continue;
            }
            seen.push((rig.since_start(), rig.peer(conn).server.clone()));
            rig.up(conn);
            rig.accept(conn);
            for path in &paths {
                rig.submit(&get_watched(path));
            }
            rig.answer_all();
            rig.idle(T);
            rig.cut();
        }
        let mut random = [0; 32];
        rig.session.random(&mut random);
        let events: Vec<Event> = rig.events.drain(..).collect();
        // Instants differ from run to run, what is told does not.
        let told = events.len();
        (seen, std::mem::take(&mut rig.wire), random, told)
    };
    let (one, two, other) = (run(9), run(9), run(10));
    assert!(one == two, "two runs of one seed differ");
    assert_ne!(one.0, other.0);
    assert!(one.1.len() > 10_000);
}
