//! Read-only servers, and the search for a better one.

use std::io::ErrorKind;

use zk_session::{LinkError, StateReason};

use crate::rig::expect::{get, get_watched};
use crate::rig::{Rig, SID, T, ms, server};

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

#[test]
fn a_search_survives_servers_that_fail_hang_or_babble() {
    let mut rig = read_only();
    let dead = rig.attempt();
    rig.gone(dead, ErrorKind::ConnectionRefused);
    let mute = rig.attempt();
    rig.up(mute);
    let began = rig.now;
    rig.idle(ms(1000));
    assert!(rig.ended.contains(&(mute, true)), "one second is enough");
    assert!(rig.now - began == ms(1000));
    let stranger = rig.attempt();
    rig.up(stranger);
    rig.push(stranger, b"HTTP/1.1 404 Not Found");
    let next = rig.attempt();
    rig.up(next);
    rig.push(next, b"r");
    rig.push(next, b"w");
    let (_, error) = rig.suspended();
    assert_eq!(error, LinkError::FoundWritable);
}

#[test]
fn the_search_slows_down_to_once_a_minute() {
    let mut rig = read_only();
    let mut last = rig.now;
    let mut gap = ms(0);
    for _ in 0..14 {
        while !rig.peers.values().any(|peer| !peer.up) {
            rig.idle(ms(50));
        }
        gap = rig.now - last;
        last = rig.now;
        let conn = rig.attempt();
        rig.gone(conn, ErrorKind::ConnectionRefused);
    }
    assert!((ms(59_000)..=ms(61_000)).contains(&gap), "{gap:?}");
    rig.nothing_happened();
}

#[test]
fn a_lonely_read_only_server_is_not_searched_around() {
    let mut builder = zk_session::Config::builder(vec![server("a")]);
    builder.session_timeout(T).read_only(true);
    let mut rig = Rig::of(builder.build().expect("usable"), [7; 32]);
    let conn = rig.attempt();
    rig.up(conn);
    rig.grant(conn, SID, 6000, true);
    rig.connected_read_only();
    rig.idle(T * 3);
    assert_eq!(rig.peers.len(), 1);
    rig.nothing_happened();
}

#[test]
fn a_session_of_a_read_only_server_ends_on_the_way_to_a_writable_one() {
    let mut rig = read_only();
    let (id, watcher) = rig.watching(&get_watched("/a"));
    rig.answer_all();
    rig.ok(id);
    rig.cut();
    rig.suspended();
    let waiting = rig.submit(&get("/a"));
    rig.establish();
    assert_eq!(rig.lost(), StateReason::Substituted);
    let error = rig.failed(waiting);
    assert_eq!(
        error,
        zk_session::RequestError::SessionExpired { sent: false }
    );
    assert_eq!(rig.watch_ended(watcher), StateReason::Substituted);
    assert_eq!(rig.connected(), StateReason::Established);
    rig.nothing_asked();
}
