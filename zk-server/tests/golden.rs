//! The data of a server against what real servers answered: requests captured from them are held
//! against a bare tree, and the replies must be theirs, but for times and the order of names.

#![allow(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use zk_proto::{
    Children, ErrorCode, Id, MultiResult, ReadResult, Reader, Reply, ReplyHeader, Request,
    RequestHeader, SessionId, Stat, make_digest_acl_credential,
};
use zk_server::{
    Caller, Membership, Release, Settings, Standing, Tree, Txn, TxnKind, prepare, read,
};

/// One run of a server: a tree, and its connections.
struct Server {
    tree: Tree,
    settings: Settings,
    standing: Standing,
    ids: BTreeMap<i64, Vec<Id>>,
    sessions: BTreeMap<i64, SessionId>,
    compared: usize,
}

impl Server {
    fn new(release: Release) -> Self {
        Self {
            tree: Tree::new(Bytes::new()),
            settings: Settings {
                release,
                ..Settings::default()
            },
            standing: Standing::Global,
            ids: BTreeMap::new(),
            sessions: BTreeMap::new(),
            compared: 0,
        }
    }

    /// Answers every request on the tree, as far as its reply was captured.
    fn replay(&mut self, frames: &[Value], version: &str, scenario: &str) {
        let mut asked: BTreeMap<(i64, i32), Value> = BTreeMap::new();
        for frame in frames {
            if frame["server_version"] != version || frame["scenario"] != scenario {
                continue;
            }
            let conn = frame["conn"].as_i64().unwrap_or_default();
            let decoded = &frame["decoded"];
            match decoded["frame"].as_str().unwrap() {
                "ConnectResponse" => {
                    let session = SessionId(decoded["sessionId"].as_i64().unwrap());
                    self.sessions.insert(conn, session);
                    self.ids.insert(conn, vec![Id::new("ip", "127.0.0.1")]);
                }
                "Request" => {
                    let xid = decoded["header"]["xid"].as_i64().unwrap() as i32;
                    asked.insert((conn, xid), frame.clone());
                }
                "Reply" => {
                    let xid = decoded["header"]["xid"].as_i64().unwrap() as i32;
                    self.ids
                        .entry(conn)
                        .or_insert_with(|| vec![Id::new("ip", "127.0.0.1")]);
                    if let Some(request) = asked.remove(&(conn, xid)) {
                        self.compare(conn, &request, frame);
                    }
                }
                _ => {}
            }
        }
    }

    fn compare(&mut self, conn: i64, request: &Value, reply: &Value) {
        let name = reply["name"].as_str().unwrap();
        let bytes = unhex(request);
        let mut reader = Reader::new(&bytes);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let request = Request::decode(header.opcode, &mut reader).and_then(Request::effective);
        let Ok(request) = request else {
            return;
        };
        if let Request::Auth { scheme, data } = &request {
            self.authenticate(conn, scheme, data.as_deref().unwrap_or_default());
        }
        let bytes = unhex(reply);
        let mut reader = Reader::new(&bytes);
        let expected = ReplyHeader::decode(&mut reader).unwrap();
        let caller = Caller {
            session: self.sessions.get(&conn).copied().unwrap_or_default(),
            ids: &self.ids[&conn],
            standing: self.standing,
        };
        let mut out = Vec::new();
        let code = match &request {
            Request::Create { .. }
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::CloseSession => {
                let kind = prepare(&self.tree, &caller, &request, &self.settings);
                let txn = Txn {
                    zxid: expected.zxid,
                    time: 0,
                    session: caller.session,
                    kind: kind.unwrap_or_else(TxnKind::Error),
                };
                let applied = self.tree.apply(&txn, &mut Vec::new());
                applied.encode(&mut out);
                applied.code()
            }
            Request::Exists { .. }
            | Request::GetData { .. }
            | Request::GetAcl { .. }
            | Request::GetChildren { .. }
            | Request::MultiRead(_)
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. } => {
                read(&self.tree, &caller, &request, &self.settings, &mut out)
                    .err()
                    .unwrap_or(ErrorCode::OK)
            }
            _ => return,
        };
        assert_eq!(code, expected.err, "{name}: {request:?}");
        if code.is_ok() {
            let theirs = comparable(Reply::decode(header.opcode, &mut reader).unwrap());
            let out = Bytes::from(out);
            let ours = Reply::decode(header.opcode, &mut Reader::new(&out)).unwrap();
            assert_eq!(comparable(ours), theirs, "{name}: {request:?}");
        }
        self.compared += 1;
    }

    fn authenticate(&mut self, conn: i64, scheme: &str, data: &[u8]) {
        let ids = self.ids.get_mut(&conn).unwrap();
        if scheme == "digest" {
            let text = std::str::from_utf8(data).unwrap();
            if text == "super:adminsecret" {
                ids.push(Id::new("super", ""));
            }
            if let Some((user, password)) = text.split_once(':') {
                ids.push(Id::new(
                    "digest",
                    make_digest_acl_credential(user, password),
                ));
            }
        }
    }
}

fn unhex(frame: &Value) -> Bytes {
    let hex = frame["hex"].as_str().unwrap();
    let bytes = (8..hex.len()).step_by(2);
    bytes
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

/// Without times, and with names in order.
fn comparable(mut reply: Reply) -> Reply {
    let sorted = |children: &mut Children| *children = children.sorted().into_iter().collect();
    let timeless = |stat: &mut Stat| (stat.ctime, stat.mtime) = (0, 0);
    match &mut reply {
        Reply::Created { stat, .. }
        | Reply::Stat(stat)
        | Reply::Data { stat, .. }
        | Reply::Acl { stat, .. } => timeless(stat),
        Reply::Children(children) => sorted(children),
        Reply::ChildrenStat { children, stat } => {
            sorted(children);
            timeless(stat);
        }
        Reply::Ephemerals(paths) => paths.sort(),
        Reply::Multi(results) => {
            for result in results {
                if let MultiResult::Created {
                    stat: Some(stat), ..
                }
                | MultiResult::Set(stat) = result
                {
                    timeless(stat);
                }
            }
        }
        Reply::MultiRead(results) => {
            for result in results {
                match result {
                    ReadResult::Data { stat, .. } => timeless(stat),
                    ReadResult::Children(children) => sorted(children),
                    ReadResult::Error(_) => {}
                }
            }
        }
        _ => {}
    }
    reply
}

fn frames() -> Vec<Value> {
    serde_json::from_str(include_str!("../../zk-proto/testdata/golden.json")).unwrap()
}

#[test]
fn one_run_after_the_other() {
    let frames = frames();
    for (version, release) in [("3.8.0", Release::V3_8), ("3.9.5", Release::V3_9)] {
        let mut server = Server::new(release);
        for scenario in [
            "crud",
            "create-modes",
            "crud-errors",
            "multi",
            "auth-acl",
            "watches-standard",
            "watches-persistent",
            "set-watches",
            "pipelining",
        ] {
            server.replay(&frames, version, scenario);
        }
        assert_eq!(server.compared, 213, "{version}");
    }
}

#[test]
fn servers_with_other_settings() {
    let frames = frames();
    for (version, scenario, compared) in [
        ("3.8.0", "quota", 12),
        ("3.8.0", "features-disabled", 7),
        ("3.8.0", "local-sessions", 4),
        ("3.8.0", "ensemble-config", 9),
        ("3.9.5", "ensemble-config", 9),
    ] {
        let mut server = Server::new(match version {
            "3.8.0" => Release::V3_8,
            _ => Release::V3_9,
        });
        server.settings.enforce_quota = scenario == "quota";
        server.settings.extended_types = scenario != "features-disabled";
        server.settings.reconfig_enabled = true;
        if scenario == "local-sessions" {
            server.standing = Standing::Local;
        }
        if scenario == "ensemble-config" {
            let synced = vec![1, 2, 3];
            server.settings.membership = Membership::Ensemble { synced };
            server.tree = Tree::new(first_configuration(&frames, version));
        }
        server.replay(&frames, version, scenario);
        assert_eq!(server.compared, compared, "{version} {scenario}");
    }
}

fn first_configuration(frames: &[Value], version: &str) -> Bytes {
    let name = "getData.config_watch.reply";
    let mut frames = frames.iter();
    let reply = frames.find(|frame| frame["server_version"] == version && frame["name"] == name);
    let bytes = unhex(reply.unwrap());
    let mut reader = Reader::new(&bytes);
    ReplyHeader::decode(&mut reader).unwrap();
    reader.payload("data").unwrap().into_bytes()
}
