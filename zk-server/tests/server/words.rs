//! Four-letter words.

use zk_proto::{AddWatchMode, CreateMode, Request};
use zk_server::{Options, Release};

use crate::rig::{Closed, Rig, create, get};

#[test]
fn a_fresh_server_describes_itself() {
    let mut rig = Rig::new(Options::new().release(Release::V3_8));
    assert_eq!(rig.word("ruok"), "imok");
    assert_eq!(rig.word("isro"), "rw");
    let lines = rig.word("srvr");
    for line in [
        "Zookeeper version: 3.8.0-in-memory, built on 01/01/1970 00:00 UTC",
        "Latency min/avg/max: 0/0.0/0",
        "Connections: 1",
        "Outstanding: 0",
        "Zxid: 0x0",
        "Mode: standalone",
        "Node count: 5",
    ] {
        assert!(
            lines.lines().any(|found| found == line),
            "{line:?} is not in {lines}"
        );
    }
    assert!(rig.word("conf").contains("tickTime=2000\n"));
    assert!(
        rig.word("envi")
            .starts_with("Environment:\nzookeeper.version=3.8.0")
    );
    assert_eq!(rig.server.member().connections(), 0);
}

#[test]
fn clients_and_sessions_are_listed() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/e", CreateMode::Ephemeral))
        .unwrap();
    rig.call(client, &get("/e", true)).unwrap();
    let add = Request::AddWatch {
        path: "/p".into(),
        mode: AddWatchMode::PERSISTENT,
    };
    rig.call(client, &add).unwrap();
    let id = client.id;

    assert!(
        rig.word("stat")
            .contains("\n /127.0.0.1:40000[1](queued=0,recved=4,sent=4)\n")
    );
    let cons = rig.word("cons");
    assert!(cons.contains(&format!("sid={id},lop=ADDW,est=")), "{cons}");
    assert!(cons.contains(",to=10000,lcxid=0x4d,lzxid=0x2,"), "{cons}");
    assert_eq!(
        cons.lines().filter(|line| line.starts_with(" /")).count(),
        2
    );

    assert_eq!(
        rig.word("wchs"),
        "1 connections watching 2 paths\nTotal watches:2\n"
    );
    assert_eq!(rig.word("wchc"), format!("{id}\n\t/e\n\t/p\n\n"));
    assert_eq!(rig.word("wchp"), format!("/e\n\t{id}\n/p\n\t{id}\n\n"));

    let dump = rig.word("dump");
    assert!(
        dump.contains(&format!("Sessions with Ephemerals (1):\n{id}:\n\t/e\n")),
        "{dump}"
    );
    assert!(
        dump.contains("Session Sets (1)/(1):\n1 expire at 12000 ms after the start:"),
        "{dump}"
    );
}

#[test]
fn figures_are_keys_and_values() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &create("/e", CreateMode::Ephemeral))
        .unwrap();
    let mntr = rig.word("mntr");
    for line in [
        "zk_server_state\tstandalone",
        "zk_znode_count\t6",
        "zk_ephemerals_count\t1",
        "zk_watch_count\t0",
        "zk_num_alive_connections\t2",
        "zk_packets_received\t2",
        "zk_packets_sent\t2",
        "zk_global_sessions\t1",
        "zk_local_sessions\t0",
    ] {
        assert!(
            mntr.lines().any(|found| found == line),
            "{line:?} is not in {mntr}"
        );
    }
}

#[test]
fn what_is_not_on_the_whitelist_is_not_executed() {
    let mut rig = Rig::new(Options::new().whitelist("srvr").read_only_mode());
    assert_eq!(
        rig.word("ruok"),
        "ruok is not executed because it is not in the whitelist.\n"
    );
    assert!(rig.word("srvr").contains("Mode: standalone"));
    assert_eq!(rig.word("isro"), "rw", "read-only mode needs it");
}

#[test]
fn a_word_is_one_at_the_beginning_only() {
    let mut rig = Rig::new(Options::new());
    let conn = rig.accept();
    rig.send(conn, b"what");
    assert_eq!(rig.closed(conn), Some(Closed::Orderly));
    assert!(rig.peers[&conn].raw.is_empty());

    let client = rig.connect();
    rig.send(client.conn, b"ruok");
    assert_eq!(rig.closed(client.conn), Some(Closed::Orderly));
    assert!(rig.frame(client.conn).is_none());

    let conn = rig.accept();
    rig.send(conn, b"ru");
    rig.send(conn, b"ok\n");
    assert_eq!(rig.peers[&conn].raw, b"imok");
}

#[test]
fn figures_are_reset() {
    let mut rig = Rig::new(Options::new());
    let client = rig.connect();
    rig.call(client, &get("/", false)).unwrap();
    assert!(!rig.word("srvr").contains("Sent: 0\n"));
    assert_eq!(rig.word("srst"), "Server stats reset.\n");
    assert!(rig.word("srvr").contains("Sent: 0\n"));
    assert_eq!(rig.word("crst"), "Connection stats reset.\n");
}
