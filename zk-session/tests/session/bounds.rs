//! Bounds in both directions, and chroots.

use zk_proto::{Acl, Chroot, CreateMode, MultiOp, MultiResult, Payload, Reply, Request, Stat};
use zk_session::{Call, Event, Notice, Refused};

use crate::rig::expect::{CHANGED, CREATED, add_recursive, delete, get, get_watched, set};
use crate::rig::{Rig, T, ms};

#[test]
fn requests_are_bounded_by_number_until_some_end() {
    let mut rig = Rig::with(|c| {
        c.max_queued(3, 1 << 20);
    });
    rig.establish();
    rig.connected();
    let ids: Vec<_> = (0..3).map(|_| rig.submit(&get("/a"))).collect();
    let refused = rig.refused(&get("/a"));
    let Refused::Full { requests: 3, bytes } = refused else {
        panic!("unexpected: {refused:?}")
    };
    assert_eq!(rig.session.stats().pending_bytes, bytes);
    let first = rig.asked();
    rig.answer(&first);
    rig.ok(ids[0]);
    let id = rig.submit(&get("/a"));
    assert!(matches!(rig.refused(&get("/a")), Refused::Full { .. }));
    rig.answer_all();
    for id in [ids[1], ids[2], id] {
        rig.ok(id);
    }
    assert_eq!(rig.session.stats().pending_bytes, 0);
}

#[test]
fn requests_are_bounded_by_bytes_but_one_always_fits() {
    let mut rig = Rig::with(|c| {
        c.max_queued(100, 500);
    });
    let large = vec![1; 2000];
    rig.submit(&set("/a", &large));
    assert!(matches!(
        rig.refused(&get("/a")),
        Refused::Full { requests: 1, .. }
    ));
    rig.establish();
    rig.connected();
    rig.answer_all();
    rig.events.clear();
    for _ in 0..3 {
        rig.submit(&set("/a", &large[..100]));
    }
    assert!(matches!(
        rig.refused(&set("/a", &large[..200])),
        Refused::Full { requests: 3, .. }
    ));
    rig.submit(&get("/a"));
    rig.answer_all();
    rig.events.clear();
}

#[test]
fn releases_go_past_the_bounds() {
    let mut rig = Rig::with(|c| {
        c.max_queued(1, 100);
    });
    rig.submit(&get("/a"));
    let body = delete("/lock");
    for _ in 0..10 {
        rig.call(Call::new(&body, &Chroot::ROOT).urgent());
    }
    assert!(matches!(
        rig.refused(&get("/a")),
        Refused::Full { requests: 1, .. }
    ));
    rig.establish();
    assert_eq!(rig.answer_all().len(), 11);
    rig.events.clear();
}

#[test]
fn what_is_cancelled_or_late_makes_room() {
    let mut rig = Rig::with(|c| {
        c.max_queued(2, 1 << 20);
    });
    let first = rig.submit(&get("/a"));
    let body = get("/a");
    let limit = Some(rig.now + ms(5));
    rig.call(Call::new(&body, &Chroot::ROOT).deadline(limit));
    rig.refused(&get("/a"));
    rig.cancel(first);
    rig.pass(ms(5));
    rig.submit(&get("/a"));
    rig.submit(&get("/a"));
    rig.refused(&get("/a"));
    rig.establish();
    rig.answer_all();
    rig.events.clear();
}

/// What was sent takes its place until the server has answered.
#[test]
fn what_is_cancelled_after_sending_makes_room_with_its_reply() {
    let mut rig = Rig::with(|c| {
        c.max_queued(1, 1 << 20);
    });
    rig.establish();
    rig.connected();
    let id = rig.submit(&get("/a"));
    rig.cancel(id);
    rig.refused(&get("/a"));
    rig.answer_all();
    let id = rig.submit(&get("/a"));
    rig.answer_all();
    rig.ok(id);
}

#[test]
fn a_request_too_large_is_refused_before_it_is_sent() {
    let mut rig = Rig::with(|c| {
        c.max_request_bytes(100);
    });
    rig.establish();
    rig.connected();
    let large = [1; 101];
    // 8 bytes of header, the path with its length, the data with its, and the version.
    let room = 100 - 8 - (4 + 2) - 4 - 4;
    let refused = rig.refused(&set("/a", &large[..room + 1]));
    assert_eq!(
        refused,
        Refused::TooLarge {
            size: 101,
            limit: 100
        }
    );
    let id = rig.submit(&set("/a", &large[..room]));
    let asked = rig.asked_for(&set("/a", &large[..room]));
    assert_eq!(asked.frame_len(), 100);
    rig.answer(&asked);
    rig.ok(id);
    rig.nothing_asked();
}

#[test]
fn the_default_bound_is_the_servers_own() {
    let mut rig = Rig::to_connected();
    let large = vec![1; 1 << 20];
    assert!(matches!(
        rig.refused(&set("/a", &large)),
        Refused::TooLarge {
            limit: 1_048_575,
            ..
        }
    ));
}

#[test]
fn reading_stops_while_too_many_events_wait() {
    let mut rig = Rig::with(|c| {
        c.max_events(3);
    });
    rig.establish();
    let conn = rig.conn();
    rig.connected();
    let ids: Vec<_> = (0..3).map(|_| rig.submit(&get("/a"))).collect();
    for (left, _) in ids.iter().enumerate().rev() {
        let asked = rig.asked();
        let frame = Rig::frame(asked.xid, 1, zk_proto::ErrorCode::NO_NODE, &[]);
        rig.session.handle_data(rig.now, conn, &frame);
        assert_eq!(rig.session.wants_read(conn), left > 0);
    }
    rig.drain();
    assert!(rig.session.wants_read(conn));
    for id in ids {
        rig.failed(id);
    }
}

#[test]
fn one_write_carries_about_one_chunk() {
    let mut rig = Rig::with(|c| {
        c.transmit_chunk(1000);
    });
    rig.establish();
    rig.connected();
    let data = vec![1; 300];
    for _ in 0..20 {
        rig.queue(&set("/a", &data));
    }
    let conn = rig.conn();
    let mut out = Vec::new();
    let written = rig.session.poll_transmit(rig.now, conn, &mut out);
    assert_eq!(written, out.len());
    assert!((1000..1400).contains(&written), "{written}");
    rig.peer(conn).receive(&out);
    rig.drain();
    assert_eq!(rig.answer_all().len(), 20);
    rig.events.clear();
}

#[test]
fn the_session_s_own_requests_go_first() {
    let mut rig = Rig::to_connected();
    let (id, watcher) = rig.watching(&get_watched("/a"));
    rig.answer_all();
    rig.ok(id);
    let id = rig.queue(&get("/b"));
    rig.session.unwatch(rig.now, watcher);
    rig.drain();
    let asked = rig.asked();
    assert_eq!(asked.opcode, zk_proto::OpCode::REMOVE_WATCHES);
    rig.answer(&asked);
    rig.answer_all();
    rig.ok(id);
}

#[test]
fn a_large_reply_is_read_straight_into_its_place() {
    let mut rig = Rig::to_connected();
    let id = rig.submit(&get("/a"));
    let asked = rig.asked();
    let reply = Reply::Data {
        data: Payload::from(vec![9; 1_000_000]),
        stat: Stat::default(),
    };
    let mut body = Vec::new();
    reply.encode(asked.opcode, &mut body);
    let frame = Rig::frame(asked.xid, 1, zk_proto::ErrorCode::OK, &body);
    let conn = rig.conn();
    assert!(rig.session.lend(conn).is_none());
    rig.push(conn, &frame[..1000]);
    assert_eq!(rig.session.read_hint(conn), frame.len() - 1000);
    let mut at = 1000;
    while at < frame.len() {
        let mut lent = rig.session.lend(conn).expect("a large frame is under way");
        let count = lent.unfilled().len().min(300_000);
        lent.unfilled()[..count].copy_from_slice(&frame[at..at + count]);
        lent.advance(count);
        at += count;
        rig.pass(T / 2);
        rig.session.handle_lent(rig.now, conn, lent);
        rig.drain();
    }
    assert!(rig.ok(id) == reply, "the reply has changed on its way");
    assert_eq!(rig.session.read_hint(conn), 0);
    let id = rig.submit(&get("/a"));
    rig.answer_all();
    rig.ok(id);
}

#[test]
fn paths_are_below_the_chroot_in_both_directions() {
    let mut rig = Rig::to_connected();
    let chroot = Chroot::parse("/app").expect("a path");
    let body = get_watched("/a");
    let read = rig.call(Call::new(&body, &chroot));
    let body = add_recursive("/");
    let all = rig.call(Call::new(&body, &chroot));
    let create = Request::Create {
        path: "/n-".into(),
        data: None,
        acl: Acl::open_unsafe().into(),
        mode: CreateMode::PersistentSequential.into(),
        with_stat: false,
    };
    let create = rig.call(Call::new(&create, &chroot));
    let op = MultiOp::Delete {
        path: "/d".into(),
        version: -1,
    };
    let multi = Request::Multi(vec![op].into());
    let multi = rig.call(Call::new(&multi, &chroot));

    let asked = rig.asked_for(&get_watched("/app/a"));
    rig.answer(&asked);
    let asked = rig.asked_for(&add_recursive("/app"));
    rig.answer(&asked);
    let asked = rig.asked();
    rig.answer_with(&asked, &Reply::Path("/app/n-0000000001".to_owned()));
    let asked = rig.asked();
    let op = MultiOp::Delete {
        path: "/app/d".into(),
        version: -1,
    };
    assert!(asked.is(&Request::Multi(vec![op].into())));
    let created = |path: &str| MultiResult::Created {
        path: path.to_owned(),
        stat: None,
    };
    rig.answer_with(&asked, &Reply::Multi(vec![created("/app/m")]));

    rig.ok(read.id);
    rig.ok(all.id);
    assert_eq!(rig.ok(create.id), Reply::Path("/n-0000000001".to_owned()));
    assert_eq!(rig.ok(multi.id), Reply::Multi(vec![created("/m")]));

    let (data, all) = (read.watch.expect("a watch"), all.watch.expect("a watch"));
    rig.fire(CHANGED, "/app/a");
    rig.fired(data, CHANGED, "/a");
    rig.fired(all, CHANGED, "/a");
    rig.fire(CREATED, "/app");
    rig.fired(all, CREATED, "/");
    rig.fire(CREATED, "/apple");
    rig.nothing_happened();
}

#[test]
fn watchers_of_different_chroots_share_a_registration() {
    let mut rig = Rig::to_connected();
    let app = Chroot::parse("/app").expect("a path");
    let (one, two) = (get_watched("/app/a"), get_watched("/a"));
    let first = rig.call(Call::new(&one, &Chroot::ROOT));
    let second = rig.call(Call::new(&two, &app));
    rig.answer_all();
    rig.events.clear();
    assert_eq!(rig.session.stats().watched_paths, 1);
    rig.fire(CHANGED, "/app/a");
    for (watch, path) in [(first.watch, "/app/a"), (second.watch, "/a")] {
        let Event::Watch {
            id,
            notice: Notice::Event(event),
        } = rig.next()
        else {
            panic!("an event was due")
        };
        assert_eq!((Some(id), &*event.path), (watch, path));
    }
}
