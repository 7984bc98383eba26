//! Clients that mean harm, or do harm without meaning to.

use std::time::Duration;

use allocation_counter::measure;
use zk_proto::{
    Acl, AddWatchMode, CreateMode, ErrorCode, MultiOp, OpCode, ReadOp, Request, SetWatches, Zxid,
    put_int,
};
use zk_server::{ConnId, Options, Release};

use crate::rig::{Closed, Got, Rig, create, encode, get, new_session, set};

/// A generator of numbers, for tests that want many cases and the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn lengths_that_no_frame_has_close_the_connection() {
    for length in [-1, i32::MIN, 0x10_0000, i32::MAX] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        for conn in [rig.accept(), client.conn] {
            rig.send(conn, &length.to_be_bytes());
            assert_eq!(rig.closed(conn), Some(Closed::Orderly), "{length}");
        }
    }
}

#[test]
fn the_longest_frame_is_served() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/a", CreateMode::Persistent))
        .unwrap();
    let overhead = encode(1, &set("/a", b"")).len() - 4;
    let most = vec![1; 0xf_ffff - overhead];
    rig.call(client, &set("/a", &most)).unwrap();
    let more = vec![1; most.len() + 1];
    rig.ask(client, 1, &set("/a", &more));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
}

#[test]
fn short_and_empty_frames() {
    let mut rig = Rig::new(Options::new());
    for length in 0..8 {
        let client = rig.connect();
        let mut bytes = Vec::new();
        put_int(&mut bytes, length);
        bytes.resize(4 + length as usize, 0);
        rig.send(client.conn, &bytes);
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
        let conn = rig.accept();
        rig.send(conn, &bytes);
        assert_eq!(rig.closed(conn), Some(Closed::Orderly));
    }
}

/// `auth` in the list of a node stands for all identities of a connection.
#[test]
fn identities_of_a_connection_are_bounded() {
    for user in ["u".to_owned(), "u".repeat(700)] {
        let mut rig = Rig::new(Options::new());
        let client = rig.connect();
        let mut given = 0;
        let refused = loop {
            let credential = format!("{user}{given}:p");
            let auth = Request::Auth {
                scheme: "digest".into(),
                data: Some(credential.as_bytes().into()),
            };
            rig.ask(client, -4, &auth);
            match rig.got(client, OpCode::AUTH) {
                Some(Got::Reply(-4, _, ErrorCode::OK, _)) => given += 1,
                other => break other,
            }
            // One that is known takes no room.
            rig.ask(client, -4, &auth);
            assert!(rig.got(client, OpCode::AUTH).is_some());
            let node = Request::Create {
                path: format!("/{given}").into(),
                data: None,
                acl: Acl::creator_all().into(),
                mode: CreateMode::Persistent.into(),
                with_stat: false,
            };
            rig.call(client, &node).unwrap();
            let acl = rig.server.tree().node(&format!("/{given}")).unwrap();
            assert_eq!(acl.acl().len(), given);
        };
        let Some(Got::Reply(-4, _, ErrorCode::AUTH_FAILED, _)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(given, if user.len() == 1 { 49 } else { 5 });
        assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    }
}

#[test]
fn a_client_that_does_not_read_is_not_answered_until_it_does() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/a", CreateMode::Persistent))
        .unwrap();
    rig.call(client, &set("/a", &[7; 100_000])).unwrap();
    rig.full.push(client.conn);
    let count = 1000;
    let bytes: Vec<_> = (0..count)
        .flat_map(|xid| encode(xid + 1, &get("/a", false)))
        .collect();
    rig.send(client.conn, &bytes);
    assert!(!rig.server.wants_read(client.conn));
    let mut out = Vec::new();
    let first = rig.server.poll_transmit(client.conn, &mut out);
    assert!((1 << 20..2 << 20).contains(&first), "{first}");
    let mut all = first;
    loop {
        out.clear();
        match rig.server.poll_transmit(client.conn, &mut out) {
            0 => break,
            taken => all += taken,
        }
    }
    assert_eq!(all, count as usize * (4 + 16 + 4 + 100_000 + 68));
    assert!(rig.server.wants_read(client.conn));
}

#[test]
fn writes_of_a_client_that_does_not_read_are_done_and_answered_in_order() {
    let mut rig = Rig::new(Options::new().output_high_water(100).max_outstanding(3));
    let client = rig.connect();
    rig.full.push(client.conn);
    let mut bytes = Vec::new();
    for xid in 1..=50 {
        bytes.extend(encode(
            xid,
            &create("/a-", CreateMode::PersistentSequential),
        ));
        bytes.extend(encode(xid, &get("/", false)));
    }
    rig.send(client.conn, &bytes);
    rig.full.clear();
    rig.take(client.conn);
    for xid in 1..=50 {
        for opcode in [OpCode::CREATE, OpCode::GET_DATA] {
            let got = rig.got(client, opcode);
            assert!(
                matches!(got, Some(Got::Reply(x, _, ErrorCode::OK, _)) if x == xid),
                "{xid} {opcode}: {got:?}"
            );
        }
    }
}

#[test]
fn events_for_a_client_that_never_reads_close_it_in_the_end() {
    let mut rig = Rig::new(Options::new().output_cap(10_000));
    let (victim, writer) = (rig.connect(), rig.connect());
    rig.call(
        victim,
        &Request::AddWatch {
            path: "/".into(),
            mode: AddWatchMode::PERSISTENT_RECURSIVE,
        },
    )
    .unwrap();
    rig.full.push(victim.conn);
    rig.call(writer, &create("/a", CreateMode::Persistent))
        .unwrap();
    for _ in 0..1000 {
        rig.call(writer, &set("/a", b"x")).unwrap();
        if rig.closed(victim.conn).is_some() {
            break;
        }
    }
    assert_eq!(rig.closed(victim.conn), Some(Closed::Aborted));
    assert_eq!(rig.server.member().connections(), 1);
}

/// Sixteen bytes ask for a megabyte, and a frame has room for sixty thousand times that.
#[test]
fn reads_that_ask_for_too_much_at_once_close_the_connection_before_it_is_there() {
    let cap = 1 << 20;
    let read = |path: &'static str| {
        let data = ReadOp::GetData { path: path.into() };
        let children = ReadOp::GetChildren { path: path.into() };
        [data, children]
    };
    for (index, count, fits) in [(0, 9, true), (0, 1000, false), (1, 1000, false)] {
        let mut rig = Rig::new(Options::new().output_cap(cap));
        let client = rig.connect();
        rig.call(client, &create("/a", CreateMode::Persistent))
            .unwrap();
        rig.call(client, &set("/a", &[7; 100_000])).unwrap();
        for child in 0..10 {
            let path = format!("/a/{child}{}", "x".repeat(10_000));
            rig.call(client, &create(&path, CreateMode::Persistent))
                .unwrap();
        }
        let ops = vec![read("/a")[index].clone(); count];
        let bytes = encode(1, &Request::MultiRead(ops.into()));
        let taken = measure(|| rig.send(client.conn, &bytes));
        let limit = if fits { 4 } else { 1 } * cap as u64;
        assert!(taken.bytes_max < limit, "{count}: {taken:?}");
        let closed = (!fits).then_some(Closed::Aborted);
        assert_eq!(rig.closed(client.conn), closed, "{count}");
    }
}

#[test]
fn watches_without_end_close_the_connection() {
    let mut rig = Rig::new(Options::new().watch_bytes_cap(50_000));
    let client = rig.connect();
    for index in 0..100 {
        let path = format!("/{index}{}", "x".repeat(1000));
        let mode = AddWatchMode::PERSISTENT;
        rig.ask(
            client,
            1,
            &Request::AddWatch {
                path: path.into(),
                mode,
            },
        );
        if rig.closed(client.conn).is_some() {
            assert!(index < 50);
            assert_eq!(
                rig.word("wchs"),
                "0 connections watching 0 paths\nTotal watches:0\n"
            );
            return;
        }
    }
    panic!("it lived");
}

#[test]
fn a_client_that_does_not_take_its_last_bytes_is_given_up() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.full.push(client.conn);
    rig.ask(client, 1, &Request::Ping);
    rig.server.expire(rig.now, client.id);
    // The driver hears of the orderly end, but its socket is full.
    while rig.server.poll_output().is_some() {}
    assert_eq!(rig.server.member().connections(), 1);
    rig.now += Duration::from_secs(11);
    rig.server.handle_timeout(rig.now);
    assert_eq!(rig.server.member().connections(), 0);
}

/// Valid requests with bytes changed, cut, swapped and repeated.
#[test]
fn nonsense_of_every_kind_is_survived() {
    let ops = [
        MultiOp::Delete {
            path: "/a".into(),
            version: 3,
        },
        MultiOp::Check {
            path: "/".into(),
            version: -1,
        },
    ];
    let watches = SetWatches {
        relative_zxid: Zxid(1),
        data: vec!["/a".into(), "/none".into()],
        child: vec!["/".into()],
        persistent: vec!["/".into()],
        extended: true,
        ..SetWatches::default()
    };
    let seeds: Vec<Vec<u8>> = [
        create("/a", CreateMode::EphemeralSequential),
        get("/a", true),
        set("/", b"data"),
        Request::Multi(ops.to_vec().into()),
        Request::SetWatches(watches),
        Request::WhoAmI,
        Request::Sync { path: "/".into() },
        Request::GetEphemerals { prefix: "/".into() },
        Request::AddWatch {
            path: "/".into(),
            mode: AddWatchMode::PERSISTENT,
        },
        Request::Auth {
            scheme: "digest".into(),
            data: Some(b"a:b"[..].into()),
        },
        Request::Reconfig {
            joining: None,
            leaving: Some("3".into()),
            new_members: None,
            from_config: -1,
        },
        Request::CloseSession,
    ]
    .iter()
    .map(|request| encode(1, request))
    .collect();
    for release in [Release::V3_8, Release::V3_9] {
        let mut dice = Dice(1);
        let mut rig = Rig::new(Options::new().release(release));
        let mut victim = rig.connect();
        for round in 0..4000 {
            let mut bytes = seeds[dice.roll(seeds.len() as u64) as usize].clone();
            for _ in 0..dice.roll(4) {
                let at = dice.roll(bytes.len() as u64) as usize;
                match dice.roll(4) {
                    0 => bytes[at] = dice.roll(256) as u8,
                    1 => bytes[at] ^= 1 << dice.roll(8),
                    2 => bytes[at] = 0xff,
                    _ if at > 12 => {
                        bytes.truncate(at);
                        let length = (at - 4) as u32;
                        bytes[..4].copy_from_slice(&length.to_be_bytes());
                    }
                    _ => {}
                }
            }
            let conn = if dice.roll(5) == 0 {
                rig.accept()
            } else {
                victim.conn
            };
            for piece in bytes.chunks(1 + dice.roll(40) as usize) {
                rig.send(conn, piece);
            }
            if conn != victim.conn || rig.closed(victim.conn).is_some() || round % 50 == 0 {
                rig.server.handle_closed(rig.now, conn);
                rig.server.handle_closed(rig.now, victim.conn);
                victim = rig.connect();
            }
            rig.advance(Duration::from_millis(50));
        }
        let client = rig.connect();
        rig.call(client, &Request::Ping).unwrap();
        rig.advance(Duration::from_secs(100));
        assert_eq!(rig.server.member().connections(), 0);
        assert!(rig.server.member().sessions().is_empty());
        assert_eq!(rig.server.tree().ephemeral_count(), 0);
    }
}

#[test]
fn calls_about_connections_that_are_not_there_do_nothing() {
    let mut rig = Rig::new(Options::new());
    let ghost = ConnId(99);
    rig.server.handle_data(rig.now, ghost, b"ruok");
    rig.server.handle_closed(rig.now, ghost);
    rig.server.cut(rig.now, ghost);
    rig.server.hold(ghost);
    assert_eq!(rig.server.poll_transmit(ghost, &mut Vec::new()), 0);
    assert!(!rig.server.wants_read(ghost));
    assert_eq!(rig.server.poll_output(), None);
    // A number that is used twice is the connection that has it.
    let client = rig.connect();
    rig.server
        .handle_accept(rig.now, client.conn, ([127, 0, 0, 1], 1).into());
    rig.call(client, &Request::Ping).unwrap();
    // Time that runs backwards stands still.
    rig.server.handle_timeout(rig.now - Duration::from_secs(1));
    rig.call(client, &Request::Ping).unwrap();
    let conn = rig.accept();
    rig.greet(conn, &new_session(i32::MIN)).unwrap();
}

/// Whoever wants something never to happen says so with the longest time there is.
#[test]
fn times_without_end_are_served() {
    let options = Options::new()
        .greeting_timeout(Duration::MAX)
        .reap_interval(Duration::MAX)
        .max_unused_container(Duration::MAX)
        .min_session_timeout(Duration::MAX)
        .tick(Duration::MAX)
        .sync_limit(u32::MAX);
    let mut rig = Rig::new(options);
    let client = rig.connect();
    rig.call(client, &Request::Ping).unwrap();
    rig.advance(Duration::from_secs(1000 * 86_400));
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly), "expired");
}
