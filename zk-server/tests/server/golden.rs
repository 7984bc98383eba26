//! What real servers answered, held against what this one answers to the same frames.
//!
//! Each connection of a scenario is replayed in the order in which it was recorded. Values that
//! differ on every run are mapped: session ids, passwords, times; children and other unordered lists
//! are compared as sets.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use zk_proto::{
    ConnectReply, ConnectRequest, CreateMode, ErrorCode, OpCode, Password, Reader, Reply,
    ReplyHeader, SessionId, WatcherEvent, frame,
};
use zk_server::{ConnId, Options, Release, Settings};

use crate::rig::{Rig, create};

#[path = "../../../zk-proto/tests/golden/json.rs"]
#[expect(dead_code, reason = "requests are sent as they were captured")]
mod json_of;

use json_of::unhex;

const SCENARIOS: [&str; 10] = [
    "connect",
    "crud",
    "create-modes",
    "crud-errors",
    "multi",
    "auth-acl",
    "watches-standard",
    "watches-persistent",
    "set-watches",
    "pipelining",
];

/// Requests before which a session that nobody used any more expired.
const EXPIRED_BEFORE: [(&str, &str, &str); 4] = [
    ("3.8.0", "multi", "ping.after_multi.request"),
    ("3.8.0", "watches-standard", "exists.watch_present.request"),
    ("3.9.5", "multi", "ping.after_multi.request"),
    ("3.9.5", "watches-persistent", "create.request"),
];

struct Entry {
    name: String,
    conn: String,
    bytes: Vec<u8>,
    decoded: Value,
}

impl Entry {
    fn frame(&self) -> &str {
        self.decoded["frame"].as_str().unwrap()
    }
}

fn entries(version: &str, scenario: &str) -> Vec<Entry> {
    let text = include_str!("../../../zk-proto/testdata/golden.json");
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    all.into_iter()
        .filter(|entry| entry["server_version"] == version && entry["scenario"] == scenario)
        .map(|entry| Entry {
            name: entry["name"].as_str().unwrap().to_owned(),
            conn: entry["conn"].to_string(),
            bytes: unhex(entry["hex"].as_str().unwrap()),
            decoded: entry["decoded"].clone(),
        })
        .collect()
}

struct Replay {
    rig: Rig,
    conns: BTreeMap<String, ConnId>,
    sessions: BTreeMap<i64, (SessionId, Password)>,
    compared: usize,
    deviations: Vec<String>,
    /// Whether the numbers of transactions count: not where other scenarios went before.
    numbered: bool,
}

impl Replay {
    fn new(options: Options) -> Self {
        Self {
            rig: Rig::new(options),
            conns: BTreeMap::new(),
            sessions: BTreeMap::new(),
            compared: 0,
            deviations: Vec::new(),
            numbered: true,
        }
    }

    fn conn(&mut self, entry: &Entry) -> ConnId {
        if let Some(conn) = self.conns.get(&entry.conn) {
            return *conn;
        }
        let conn = self.rig.accept();
        self.conns.insert(entry.conn.clone(), conn);
        conn
    }

    /// Lets time pass until it is so, or not much longer than a session lasts.
    fn wait(&mut self, is_so: impl Fn(&Rig) -> bool) {
        for _ in 0..30 {
            if self.numbered || is_so(&self.rig) {
                return;
            }
            self.rig.advance(Duration::from_millis(500));
        }
    }

    fn play(&mut self, entry: &Entry) {
        if entry.frame() == "FourLetterReply" {
            let word = entry.name.strip_prefix("4lw.").unwrap()[..4].to_owned();
            let text = self.rig.word(&word);
            return self.compare(entry, &entry.decoded["text"], &json!(text));
        }
        let conn = match entry.name.as_str() {
            // It was seen on the connection of the session that expired.
            "expired.own_connection.closed" => self.conns["35"],
            _ => self.conn(entry),
        };
        match entry.frame() {
            "ConnectRequest" => {
                let bytes = self.connect_request(entry);
                self.rig.send(conn, &bytes);
            }
            "Request" => self.rig.send(conn, &entry.bytes),
            "ConnectionClosed" => {
                if entry.name.starts_with("frame.") && self.rig.closed(conn).is_none() {
                    let bytes: &[u8] = match entry.name.as_str() {
                        "frame.negative_length.closed" => &[0xff; 4],
                        _ => &[0, 0x10, 0, 0],
                    };
                    self.rig.send(conn, bytes);
                }
                self.wait(|rig| rig.closed(conn).is_some());
                let closed = self.rig.closed(conn).is_some();
                self.compare(entry, &json!(true), &json!(closed));
            }
            "NoReply" => {
                let next = self.rig.frame(conn);
                self.compare(entry, &json!(true), &json!(next.is_none()));
            }
            "ConnectionKeptOpen" => {
                let open = self.rig.closed(conn).is_none();
                self.compare(entry, &json!(true), &json!(open));
            }
            _ => {
                self.wait(|rig| !rig.peers[&conn].frames.is_empty());
                let Some(ours) = self.rig.frame(conn) else {
                    return self.compare(entry, &entry.decoded, &Value::Null);
                };
                let ours = self.describe(entry, &ours);
                let mut theirs = entry.decoded.clone();
                theirs.as_object_mut().unwrap().remove("note");
                let numbered = self.numbered;
                self.compare(entry, &normal(theirs, numbered), &normal(ours, numbered));
            }
        }
    }

    /// Ends the session with the shortest timeout, which is the first to expire.
    fn expire_one(&mut self) {
        let sessions = self.rig.server.member().sessions().iter();
        let (session, _) = sessions.min_by_key(|(_, timeout)| **timeout).unwrap();
        let session = *session;
        self.rig.server.expire(self.rig.now, session);
        self.rig.drain();
    }

    fn connect_request(&self, entry: &Entry) -> Vec<u8> {
        let body = Bytes::copy_from_slice(&entry.bytes[4..]);
        let mut request = ConnectRequest::decode(&mut Reader::new(&body)).unwrap();
        if let Some((session, password)) = self.sessions.get(&request.session_id.0) {
            request.session_id = *session;
            if !entry.name.contains("wrong_password") {
                request.password = *password;
            }
        }
        let mut bytes = Vec::new();
        frame(&mut bytes, |out| request.encode(out));
        bytes
    }

    fn describe(&mut self, entry: &Entry, ours: &Bytes) -> Value {
        let mut reader = Reader::new(ours);
        if entry.frame() == "ConnectResponse" {
            let ConnectReply::Response(mut response) = ConnectReply::decode(&mut reader).unwrap()
            else {
                return Value::Null;
            };
            let theirs = entry.decoded["sessionId"].as_i64().unwrap();
            if theirs != 0 && !response.session_id.is_none() {
                let ours = (response.session_id, response.password);
                let known = self.sessions.entry(theirs).or_insert(ours);
                assert_eq!(*known, ours, "{}", entry.name);
                response.session_id = SessionId(theirs);
                let theirs = unhex(entry.decoded["passwd_hex"].as_str().unwrap());
                response.password = Password::from_slice(&theirs).unwrap();
            }
            return json_of::connect_response(&response);
        }
        let header = ReplyHeader::decode(&mut reader).unwrap();
        if header.xid.0 == -1 {
            let event = WatcherEvent::decode(&mut reader).unwrap();
            return json!({
                "frame": "WatcherEvent",
                "header": json_of::reply_header(&header),
                "body": json_of::event(&event),
            });
        }
        let op = entry.decoded["op"].as_str().unwrap_or("?");
        let mut value = json!({
            "frame": "Reply", "op": op, "header": json_of::reply_header(&header),
        });
        let opcode = (-20..200)
            .map(OpCode)
            .find(|opcode| opcode.name() == Some(op));
        if let Some(opcode) = opcode
            && header.err == ErrorCode::OK
        {
            match Reply::decode(opcode, &mut reader) {
                Ok(reply) => value["body"] = json_of::reply(opcode, &reply),
                Err(error) => value["body"] = error.to_string().into(),
            }
        }
        if reader.remaining() > 0 {
            value["left"] = reader.remaining().into();
        }
        value
    }

    /// Frames that the real server did not send.
    fn nothing_left(&mut self) {
        for (name, conn) in &self.conns {
            if let Some(frame) = self.rig.frame(*conn) {
                let line = format!("more on {name}: {} bytes", frame.len());
                self.deviations.push(line);
            }
        }
    }

    fn check(&self, compared: usize) {
        assert_eq!(self.deviations, Vec::<String>::new());
        assert_eq!(self.compared, compared);
    }

    fn compare(&mut self, entry: &Entry, theirs: &Value, ours: &Value) {
        self.compared += 1;
        if theirs != ours {
            let line = format!("{} on {}: {theirs} is {ours} here", entry.name, entry.conn);
            self.deviations.push(line);
        }
    }
}

/// Without what differs on every run.
fn normal(mut value: Value, numbered: bool) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                match key.as_str() {
                    "ctime" | "mtime" => *field = json!("a time"),
                    "ephemeralOwner" if *field != json!(0) => *field = json!("a session"),
                    "zxid" | "czxid" | "mzxid" | "pzxid" if !numbered => {
                        *field = json!(field.as_i64().unwrap().signum());
                    }
                    _ => *field = normal(field.take(), numbered),
                }
                if let ("children" | "ephemerals" | "clientInfo", Value::Array(items)) =
                    (key.as_str(), field)
                {
                    items.sort_by_key(Value::to_string);
                }
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = normal(item.take(), numbered)),
        _ => {}
    }
    value
}

fn replay(release: Release, version: &str) -> Replay {
    let options = Options::new()
        .release(release)
        .super_digest("super:GcMT0ijsx21yLyTWAWMqFV/azZE=");
    let mut replay = Replay::new(options);
    for scenario in SCENARIOS {
        // One session was opened without being recorded.
        if scenario == "crud" {
            replay.rig.connect();
        }
        let mut expired = false;
        for entry in entries(version, scenario) {
            if !expired && EXPIRED_BEFORE.contains(&(version, scenario, &entry.name)) {
                expired = true;
                replay.expire_one();
            }
            replay.play(&entry);
        }
    }
    replay.numbered = false;
    for entry in entries(version, "expiry") {
        replay.play(&entry);
    }
    replay.nothing_left();
    replay
}

#[test]
fn scenarios_of_3_8_replay() {
    let replay = replay(Release::V3_8, "3.8.0");
    replay.check(379);
}

#[test]
fn scenarios_of_3_9_replay() {
    let replay = replay(Release::V3_9, "3.9.5");
    replay.check(379);
}

/// Scenarios on a server of their own. Other scenarios went before on the real one, so the numbers
/// of transactions do not count, and time passes until what is expected happens.
fn alone(options: Options, version: &str, scenarios: &[&str]) -> Replay {
    let mut replay = Replay::new(options);
    replay.numbered = false;
    for scenario in scenarios {
        if *scenario == "acl-filtered-events" {
            // Someone who was not recorded has been here.
            let client = replay.rig.connect();
            let big = create("/big", CreateMode::Persistent);
            replay.rig.call(client, &big).unwrap();
        }
        for entry in entries(version, scenario) {
            if entry.name == "exists.ttl_node_reaped_after_child_gone.request" {
                replay.rig.advance(Duration::from_secs(5));
            }
            replay.play(&entry);
        }
    }
    replay.nothing_left();
    replay
}

#[test]
fn quotas_reaping_and_filtered_events_replay() {
    let options = Options::new()
        .release(Release::V3_8)
        .enforce_quota()
        .reap_interval(Duration::from_secs(1))
        .max_unused_container(Duration::from_secs(3));
    let scenarios = [
        "container-ttl-reaping",
        "quota",
        "acl-filtered-events",
        "close-pipelined",
    ];
    alone(options, "3.8.0", &scenarios).check(49);
}

#[test]
fn servers_with_special_options_replay() {
    let without_features = Settings {
        extended_types: false,
        reconfig_enabled: true,
        ..Settings::default()
    };
    for (scenario, version, compared, options) in [
        (
            "enforce-auth",
            "3.8.0",
            9,
            Options::new().enforce_scheme("digest"),
        ),
        ("sasl-not-configured", "3.8.0", 4, Options::new()),
        ("sasl-not-configured", "3.9.5", 4, Options::new()),
        (
            "features-disabled",
            "3.8.0",
            10,
            Options::new().settings(without_features).whitelist("srvr"),
        ),
        (
            "zxid-ahead",
            "3.8.0",
            3,
            Options::new().tick(Duration::from_secs(1)),
        ),
        (
            "zxid-ahead",
            "3.9.5",
            3,
            Options::new().tick(Duration::from_secs(1)),
        ),
    ] {
        let release = if version == "3.8.0" {
            Release::V3_8
        } else {
            Release::V3_9
        };
        alone(options.release(release), version, &[scenario]).check(compared);
    }
}
