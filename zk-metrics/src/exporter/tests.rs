use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use zk_handler_threads::ThreadsHandler;
use zk_server::Server;

use super::*;

const SOON: Duration = Duration::from_secs(60);

/// What a recorder has, by name.
struct Read {
    snapshots: Snapshotter,
    /// Counters from the beginning; gauges if they were set since the snapshot before, which has
    /// put them to zero.
    values: BTreeMap<String, (f64, Vec<String>)>,
}

impl Read {
    fn refresh(&mut self) {
        for (key, _, _, value) in self.snapshots.snapshot().into_vec() {
            let (_, key) = key.into_parts();
            let labels = key
                .labels()
                .map(|it| format!("{}={}", it.key(), it.value()));
            let entry = self.values.entry(key.name().to_owned()).or_default();
            entry.1 = labels.collect();
            match value {
                // A snapshot takes what was counted since the one before.
                DebugValue::Counter(count) => entry.0 += count as f64,
                DebugValue::Gauge(value) => entry.0 = value.into_inner(),
                DebugValue::Histogram(_) => unreachable!("there is none"),
            }
        }
    }

    /// The value of a metric, of which there is one.
    fn value(&self, name: &str) -> f64 {
        self.values[name].0
    }

    /// Until all of these have these values at once.
    #[track_caller]
    fn until(&mut self, wanted: &[(&str, f64)]) {
        let start = Instant::now();
        loop {
            self.refresh();
            if wanted
                .iter()
                .all(|(name, value)| self.value(name) == *value)
            {
                return;
            }
            assert!(start.elapsed() < SOON, "not {wanted:?}: {:?}", self.values);
            thread::yield_now();
        }
    }
}

/// Makes something with a recorder of its own.
fn recorded<T>(make: impl FnOnce() -> T) -> (T, Read) {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let values = BTreeMap::new();
    let made = metrics::with_local_recorder(&recorder, make);
    (made, Read { snapshots, values })
}

fn connected() -> (Server, Client) {
    let server = Server::builder().quiet().start().unwrap();
    let handler = Arc::new(ThreadsHandler::new());
    let connect = Client::builder(server.hosts()).connect(handler);
    (server, connect.wait().unwrap())
}

#[test]
fn figures_are_those_of_the_client() {
    let (server, client) = connected();
    let (mut exporter, mut read) = recorded(|| Exporter::named(&client, "orders"));
    let (_, _watch) = client.exists("/").watched().wait().unwrap();
    client.create("/a", vec![7; 1000]).wait().unwrap();
    assert!(exporter.update());
    read.refresh();
    for (name, wanted) in [
        ("zk_client_requests_total", 2.0),
        ("zk_client_replies_total", 2.0),
        ("zk_client_connections_total", 1.0),
        ("zk_client_sessions_total", 1.0),
        ("zk_client_sessions_lost_total", 0.0),
        ("zk_client_connected", 1.0),
        ("zk_client_session_alive", 1.0),
        ("zk_client_watches", 1.0),
        ("zk_client_watched_paths", 1.0),
        ("zk_client_in_flight", 0.0),
    ] {
        assert_eq!(read.value(name), wanted, "{name}");
    }
    assert!(read.value("zk_client_sent_bytes_total") > 1000.0);
    assert!(read.value("zk_client_received_bytes_total") > 41.0);
    assert!(read.value("zk_client_round_trip_seconds") > 0.0);
    let all: Vec<_> = crate::names().collect();
    assert_eq!(read.values.len(), all.len());
    for name in all {
        assert_eq!(read.values[name].1, ["client=orders"], "{name}");
    }
    // Counted once.
    client.get("/a").wait().unwrap();
    assert!(exporter.update() && exporter.update());
    client.close().wait().unwrap();
    assert!(exporter.update());
    read.refresh();
    assert_eq!(read.value("zk_client_requests_total"), 3.0);
    for gauge in ["connected", "session_alive", "watches"] {
        assert_eq!(read.value(&format!("zk_client_{gauge}")), 0.0);
    }
    drop(server);
}

#[test]
fn every_change_of_state_is_exported_at_once() {
    let (server, client) = connected();
    let hour = Duration::from_secs(3600);
    let (export, mut read) = recorded(|| Exporter::new(&client).every(hour));
    read.until(&[
        ("zk_client_connected", 1.0),
        ("zk_client_session_alive", 1.0),
    ]);
    let label = format!("client={}", client.id().as_u64());
    assert_eq!(read.values["zk_client_connected"].1, [label]);
    server.refuse_connects();
    server.cut_all();
    read.until(&[
        ("zk_client_connections_lost_total", 1.0),
        ("zk_client_session_alive", 1.0),
        ("zk_client_connected", 0.0),
    ]);
    server.accept_connects();
    server.clear_faults();
    read.until(&[
        ("zk_client_connections_total", 2.0),
        ("zk_client_connected", 1.0),
    ]);
    assert_eq!(read.value("zk_client_connections_lost_total"), 1.0);
    assert!(!export.is_over());
    client.close().wait().unwrap();
    while !export.is_over() {
        thread::yield_now();
    }
}

#[test]
fn figures_are_exported_from_time_to_time() {
    let (_server, client) = connected();
    let soon = Duration::from_millis(5);
    let (export, mut read) = recorded(|| Exporter::new(&client).every(soon));
    client.get("/").wait().unwrap();
    read.until(&[("zk_client_requests_total", 1.0)]);
    client.get("/").wait().unwrap();
    read.until(&[("zk_client_requests_total", 2.0)]);
    drop(export);
    client.close().wait().unwrap();
}

/// An exporter keeps no client: the last one that is dropped closes it.
#[test]
fn a_client_that_is_dropped_is_exported_no_more() {
    let (server, client) = connected();
    let (export, mut read) = recorded(|| export(&client));
    let (mut exporter, mut other) = recorded(|| Exporter::new(&client));
    assert!(exporter.update());
    read.until(&[("zk_client_connected", 1.0)]);
    drop(client);
    assert!(!exporter.update());
    other.refresh();
    assert_eq!(other.value("zk_client_sessions_total"), 1.0);
    assert_eq!(other.value("zk_client_connected"), 0.0);
    let start = Instant::now();
    while !(export.is_over() && server.sessions().is_empty()) {
        assert!(start.elapsed() < SOON);
        thread::yield_now();
    }
    assert!(exporter.every(INTERVAL).is_over());
}

#[test]
fn a_restart_counts_on() {
    let (_server, client) = connected();
    let (mut exporter, mut read) = recorded(|| Exporter::new(&client));
    client.get("/").wait().unwrap();
    client.get("/").wait().unwrap();
    exporter.update();
    client.close().wait().unwrap();
    client.restart().wait().unwrap();
    client.get("/").wait().unwrap();
    exporter.update();
    read.refresh();
    assert_eq!(read.value("zk_client_requests_total"), 3.0);
    client.close().wait().unwrap();
}
