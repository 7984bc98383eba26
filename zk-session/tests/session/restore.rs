//! Watches after a reconnect: all of them, first, in pieces that every server takes.

use std::collections::BTreeSet;

use zk_proto::{ErrorCode, OpCode, Request, Zxid};
use zk_session::{LinkError, StateReason, WatchId};

use crate::rig::Rig;
use crate::rig::expect::{
    CHANGED, CHILD, CREATED, DELETED, add_recursive, add_watch, children, exists_watched, get,
    get_watched,
};

/// What a server reads at once in the worst case: 128 KiB with its length.
const LIMIT: usize = 128 << 10;

/// Registers a watch and answers.
fn watched(rig: &mut Rig, request: &Request<'_>) -> WatchId {
    let (id, watcher) = rig.watching(request);
    rig.answer_all();
    rig.done(id).ok();
    watcher
}

fn reconnected(mut rig: Rig) -> Rig {
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.establish();
    assert_eq!(rig.connected(), StateReason::Resumed);
    rig
}

/// All setWatches that are asked for in a row, answered; by list, in order of their coming.
fn restored(rig: &mut Rig) -> Vec<[Vec<String>; 5]> {
    let conn = rig.conn();
    let mut all = Vec::new();
    while let Some(asked) = rig.peer(conn).asked.front().cloned() {
        let Request::SetWatches(w) = asked.request() else {
            break;
        };
        let size = asked.frame_len() + 4;
        assert!(size <= LIMIT, "a setWatches of {size} bytes");
        let owned =
            |list: &[std::borrow::Cow<'_, str>]| list.iter().map(|p| p.to_string()).collect();
        all.push([&w.data, &w.exist, &w.child, &w.persistent, &w.recursive].map(|l| owned(l)));
        rig.peer(conn).asked.pop_front();
        rig.answer(&asked);
    }
    all
}

#[test]
fn all_kinds_are_put_back_before_any_other_request() {
    let mut rig = Rig::to_connected();
    for request in &[
        get_watched("/data"),
        children("/child", true),
        add_watch("/persistent"),
        add_recursive("/recursive"),
    ] {
        watched(&mut rig, request);
    }
    let (id, _) = rig.watching(&exists_watched("/missing"));
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::NO_NODE);
    rig.failed(id);
    rig.events.clear();
    rig.cut();
    rig.suspended();
    let waiting = rig.submit(&get("/other"));
    rig.establish();
    rig.connected();
    let expected = ["/data", "/missing", "/child", "/persistent", "/recursive"];
    let lists = restored(&mut rig);
    assert_eq!(lists, [expected.map(|path| vec![path.to_owned()])]);
    let asked = rig.asked_for(&get("/other"));
    rig.events.clear();
    rig.answer(&asked);
    rig.ok(waiting);
}

#[test]
fn the_older_operation_is_enough_for_one_shots() {
    let mut rig = Rig::to_connected();
    watched(&mut rig, &get_watched("/a"));
    let mut rig = reconnected(rig);
    assert_eq!(rig.asked().opcode, OpCode::SET_WATCHES);
    let mut rig = Rig::to_connected();
    watched(&mut rig, &add_watch("/a"));
    let mut rig = reconnected(rig);
    assert_eq!(rig.asked().opcode, OpCode::SET_WATCHES2);
}

#[test]
fn what_happened_meanwhile_is_caught_up_with() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x123;
    let data = watched(&mut rig, &get_watched("/a"));
    rig.fire_at(0x999, CHANGED, "/elsewhere");
    let mut rig = reconnected(rig);
    let conn = rig.conn();
    assert_eq!(
        rig.greeting(conn).last_zxid_seen,
        Zxid(0x123),
        "events do not count"
    );
    let asked = rig.asked_set_watches(|w| assert_eq!(w.relative_zxid, Zxid(0x123)));
    rig.fire(CHANGED, "/a");
    rig.fired(data, CHANGED, "/a");
    rig.answer(&asked);
    rig.nothing_happened();
    rig.nothing_asked();
}

#[test]
fn thousands_of_paths_go_in_pieces() {
    let mut rig = Rig::to_connected();
    let long = "x".repeat(150);
    let mut paths = BTreeSet::new();
    for n in 0..4000 {
        let path = format!("/{long}/{n}");
        let request = match n % 5 {
            0 => get_watched(&path),
            1 => exists_watched(&path),
            2 => children(&path, true),
            3 => add_watch(&path),
            _ => add_recursive(&path),
        };
        watched(&mut rig, &request);
        paths.insert(path.clone());
    }
    let mut rig = reconnected(rig);
    let waiting = rig.submit(&get("/other"));
    let lists = restored(&mut rig);
    assert!(lists.len() >= 5, "{} pieces", lists.len());
    let put_back: Vec<String> = lists.into_iter().flatten().flatten().collect();
    assert_eq!(put_back.len(), paths.len());
    assert_eq!(put_back.into_iter().collect::<BTreeSet<_>>(), paths);
    rig.asked_for(&get("/other"));
    // Each lasting watcher is told its gap once.
    assert_eq!(rig.events.len(), 1600);
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.failed(waiting);
}

/// A path can be almost as long as a request.
#[test]
fn long_paths_do_not_burst_a_piece() {
    let mut rig = Rig::to_connected();
    for n in 0..40 {
        let path = format!("/{n}/{}", "y".repeat(50_000));
        for request in &[get_watched(&path), children(&path, true)] {
            watched(&mut rig, request);
        }
    }
    let mut rig = reconnected(rig);
    let lists = restored(&mut rig);
    assert_eq!(lists.iter().flatten().flatten().count(), 80);
}

#[test]
fn lasting_watchers_are_told_of_the_gap_when_they_are_back() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x200;
    let ids = [
        watched(&mut rig, &add_watch("/a")),
        watched(&mut rig, &add_recursive("/b")),
    ];
    let one_shot = watched(&mut rig, &get_watched("/c"));
    let mut rig = reconnected(rig);
    rig.nothing_happened();
    let asked = rig.asked();
    rig.zxid = 0x280;
    rig.answer(&asked);
    for id in ids {
        assert_eq!(rig.gap(id), (Zxid(0x200), Zxid(0x280)));
    }
    rig.nothing_happened();
    rig.fire(DELETED, "/c");
    rig.fired(one_shot, DELETED, "/c");
}

#[test]
fn a_gap_spans_reconnects_that_did_not_last() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x200;
    let id = watched(&mut rig, &add_watch("/a"));
    let mut rig = reconnected(rig);
    rig.cut();
    rig.suspended();
    rig.establish();
    rig.connected();
    rig.zxid = 0x300;
    rig.answer_all();
    assert_eq!(rig.gap(id), (Zxid(0x200), Zxid(0x300)));
    rig.nothing_happened();
}

/// A path with a one-shot watcher that has seen less than others is put back behind all others, and
/// what happened between was in nobody's gap.
#[test]
fn a_watch_that_is_put_back_by_itself_has_a_gap_of_its_own() {
    let mut rig = Rig::to_connected();
    rig.zxid = 0x200;
    let other = watched(&mut rig, &add_watch("/z"));
    let lasting = watched(&mut rig, &add_watch("/a"));
    let recursive = watched(&mut rig, &add_recursive("/a"));
    watched(&mut rig, &get_watched("/a"));
    rig.unwatch(recursive);
    let mut rig = reconnected(rig);
    let most = rig.asked_set_watches(|w| assert_eq!(w.persistent, ["/z"]));
    let last = rig.asked_set_watches(|w| {
        assert_eq!(w.persistent, ["/a"]);
        assert_eq!(w.data, ["/a"]);
    });
    rig.zxid = 0x280;
    rig.answer(&most);
    for id in [other, lasting] {
        assert_eq!(rig.gap(id), (Zxid(0x200), Zxid(0x280)));
    }
    rig.zxid = 0x290;
    rig.answer(&last);
    assert_eq!(rig.gap(lasting), (Zxid(0x280), Zxid(0x290)));
    rig.nothing_happened();
}

/// The watchers that were still to be put back are dropped: the others must not wait for ever.
#[test]
fn a_gap_is_told_even_if_the_rest_of_the_restore_falls_away() {
    let mut rig = Rig::with(|c| {
        c.transmit_chunk(1);
    });
    rig.establish();
    rig.connected();
    let mut ids = Vec::new();
    for n in 0..8 {
        let path = format!("/{n}/{}", "y".repeat(50_000));
        ids.push(watched(&mut rig, &add_watch(&path)));
    }
    rig.events.clear();
    rig.cut();
    rig.suspended();
    let conn = rig.attempt();
    rig.up(conn);
    // The socket takes one piece at first.
    let mut greeting = Vec::new();
    zk_proto::frame(&mut greeting, |out| {
        zk_proto::ConnectReply::Response(zk_proto::ConnectResponse {
            protocol_version: 0,
            timeout: 6000,
            session_id: crate::rig::SID,
            password: crate::rig::password(crate::rig::SID),
            read_only: Some(false),
        })
        .encode(out);
    });
    rig.session.handle_data(rig.now, conn, &greeting);
    let mut out = Vec::new();
    rig.session.poll_transmit(rig.now, conn, &mut out);
    rig.peer(conn).receive(&out);
    let asked = rig.asked_set_watches(|w| assert_eq!(w.persistent.len(), 2, "of eight"));
    for id in &ids[2..] {
        rig.session.unwatch(rig.now, *id);
    }
    rig.drain();
    rig.connected();
    rig.answer(&asked);
    rig.answer_all();
    for id in &ids[..2] {
        rig.gap(*id);
    }
    rig.nothing_happened();
}

#[test]
fn one_shots_under_persistent_watches_are_caught_up_with() {
    let mut rig = Rig::to_connected();
    let lasting = watched(&mut rig, &add_watch("/a"));
    let data = watched(&mut rig, &get_watched("/a"));
    let child = watched(&mut rig, &children("/a", true));
    let mut rig = reconnected(rig);
    // In the order in which servers take them the persistent one comes last, and stays.
    let asked = rig.asked_set_watches(|w| {
        assert_eq!(w.data, ["/a"]);
        assert_eq!(w.child, ["/a"]);
        assert_eq!(w.persistent, ["/a"]);
    });
    // The persistent one is told of the gap that this is in, and nothing of it before.
    rig.fire(CHANGED, "/a");
    rig.fired(data, CHANGED, "/a");
    rig.answer(&asked);
    rig.gap(lasting);
    rig.fire(CHILD, "/a");
    rig.fired(lasting, CHILD, "/a");
    rig.fired(child, CHILD, "/a");
    rig.nothing_asked();
}

/// A recursive watch takes the place of a child watch on servers before 3.9, so that one comes
/// after it, in a request of its own.
#[test]
fn child_one_shots_under_recursive_watches_come_after_them() {
    let mut rig = Rig::to_connected();
    let recursive = watched(&mut rig, &add_recursive("/a"));
    let child = watched(&mut rig, &children("/a", true));
    let mut rig = reconnected(rig);
    let pieces = restored(&mut rig);
    assert_eq!(pieces.len(), 2);
    assert_eq!(pieces[0][4], ["/a"]);
    assert!(pieces[0][2].is_empty());
    assert_eq!(pieces[1][2], ["/a"]);
    rig.gap(recursive);
    rig.fire(CREATED, "/a/b");
    rig.fired(recursive, CREATED, "/a/b");
    rig.fire(CHILD, "/a");
    rig.fired(child, CHILD, "/a");
}

#[test]
fn what_is_dropped_while_away_is_not_put_back() {
    let mut rig = Rig::to_connected();
    let first = watched(&mut rig, &get_watched("/a"));
    watched(&mut rig, &get_watched("/b"));
    rig.events.clear();
    rig.cut();
    rig.suspended();
    rig.unwatch(first);
    rig.establish();
    rig.connected();
    rig.asked_set_watches(|w| assert_eq!(w.data, ["/b"]));
    rig.nothing_asked();
}

#[test]
fn what_is_dropped_while_it_is_put_back_is_removed() {
    let mut rig = Rig::to_connected();
    let id = watched(&mut rig, &get_watched("/a"));
    let mut rig = reconnected(rig);
    let asked = rig.asked_set_watches(|w| assert_eq!(w.data, ["/a"]));
    rig.unwatch(id);
    rig.answer(&asked);
    let asked = rig.asked();
    assert_eq!(asked.opcode, OpCode::REMOVE_WATCHES);
    assert_eq!(rig.session.stats().watched_paths, 0);
}

#[test]
fn a_registration_whose_connection_was_lost_never_existed() {
    let mut rig = Rig::to_connected();
    let (id, _) = rig.watching(&get_watched("/a"));
    rig.cut();
    rig.suspended();
    rig.failed(id);
    rig.establish();
    rig.connected();
    rig.nothing_asked();
    assert_eq!(rig.session.stats().watched_paths, 0);
}

#[test]
fn a_server_that_does_not_take_the_watches_is_left() {
    let mut rig = Rig::to_connected();
    watched(&mut rig, &get_watched("/a"));
    let mut rig = reconnected(rig);
    let asked = rig.asked();
    rig.answer_err(&asked, ErrorCode::MARSHALLING_ERROR);
    let (_, error) = rig.suspended();
    assert_eq!(
        error,
        LinkError::WatchesRefused(ErrorCode::MARSHALLING_ERROR)
    );
    rig.establish();
    rig.connected();
    rig.asked_set_watches(|w| assert_eq!(w.data, ["/a"]));
}

#[test]
fn a_new_session_begins_without_watches() {
    let mut rig = Rig::to_connected();
    let id = watched(&mut rig, &add_watch("/a"));
    rig.events.clear();
    rig.cut();
    rig.suspended();
    let conn = rig.attempt();
    rig.up(conn);
    rig.expire(conn);
    rig.lost();
    assert_eq!(rig.watch_ended(id), StateReason::Expired);
    rig.establish();
    rig.connected();
    rig.nothing_asked();
}
