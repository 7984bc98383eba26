//! Where a fuzzer begins: frames captured from real servers and clients, and texts and calls that
//! are known to be of interest. The same every time.

use std::collections::BTreeMap;

use serde_json::Value;
use zk_proto::OpCode;

use crate::frames::Kind;
use crate::hostile::step;

mod clients;

/// The seeds of a target; none of a target that is not known.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "decode_frame" => frames(),
        "hosts_string" => TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect(),
        "server_bytes" => clients::seeds(),
        "session_bytes" => conversations(),
        "model" | "session_ops" | "session_watches" => chance(),
        _ => Vec::new(),
    }
}

/// A frame with its length, as it was captured.
struct Golden {
    frame: String,
    /// Of a request, and of what a reply answers.
    opcode: OpCode,
    err: i64,
    bytes: Vec<u8>,
}

/// What was captured, connection by connection.
fn golden() -> Vec<Vec<Golden>> {
    let text = include_str!("../../../zk-proto/testdata/golden.json");
    let entries: Vec<Value> = serde_json::from_str(text).expect("the file is sound");
    let mut conns: BTreeMap<String, Vec<Golden>> = BTreeMap::new();
    for entry in &entries {
        let decoded = &entry["decoded"];
        let hex = entry["hex"].as_str().unwrap_or_default();
        let bytes = unhex(hex);
        if bytes.len() < 4 {
            continue; // an observation, such as a connection that was closed
        }
        let header = &decoded["header"];
        let name = decoded["op"].as_str().or_else(|| header["op"].as_str());
        let conn = format!(
            "{} {} {}",
            entry["server_version"], entry["scenario"], entry["conn"]
        );
        conns.entry(conn).or_default().push(Golden {
            frame: decoded["frame"].as_str().unwrap_or_default().to_owned(),
            opcode: name.map_or(OpCode(0), named),
            err: header["err"].as_i64().unwrap_or_default(),
            bytes,
        });
    }
    conns.into_values().collect()
}

fn named(name: &str) -> OpCode {
    let mut all = (-20..200).map(OpCode);
    all.find(|opcode| opcode.name() == Some(name))
        .unwrap_or(OpCode(0))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(2);
    digits
        .filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// Each frame alone, and the first ones of each connection in a row.
fn frames() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for conn in golden() {
        let mut rows: BTreeMap<bool, Vec<u8>> = BTreeMap::new();
        for golden in conn {
            let kind = match golden.frame.as_str() {
                "ConnectRequest" => Kind::ConnectRequest,
                "ConnectResponse" => Kind::ConnectReply,
                "Reply" | "WatcherEvent" => Kind::Replies,
                _ => Kind::Requests,
            };
            let head = [kind as u8, golden.opcode.0 as u8];
            let ours = matches!(kind, Kind::ConnectRequest | Kind::Requests);
            let row = rows.entry(ours).or_insert_with(|| head.to_vec());
            if row.len() + golden.bytes.len() < 1000 {
                row.extend_from_slice(&golden.bytes);
            }
            // A frame alone, and its body without a length in front.
            if golden.bytes.len() < 2000 {
                seeds.push([&head, &golden.bytes[..]].concat());
                seeds.push([&head, &golden.bytes[4..]].concat());
            }
        }
        seeds.extend(rows.into_values());
    }
    seeds
}

/// What a real server said on each connection, with the calls that led to it.
fn conversations() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for conn in golden() {
        for config in [0, 0b10, 0b100, 0b1001_0000] {
            let mut seed = vec![config, 0, step::FORWARD, 0];
            for golden in &conn {
                say(golden, &mut seed);
                if seed.len() > 1500 {
                    break;
                }
            }
            seeds.push(seed);
        }
    }
    // What no connection that was captured has: each with the flags in front.
    let others: [(&[u8; 2], &[u8]); 9] = [
        // A long reply, of which little comes; and one that is lost with its loan.
        (
            &[0x40, 0],
            &[
                step::ATTACH,
                step::LONG,
                0x30,
                0,
                0,
                0x80,
                0,
                step::DUE,
                step::DUE,
            ],
        ),
        (
            &[0, 0],
            &[
                step::ATTACH,
                step::LONG,
                0x30,
                0,
                0,
                0,
                9,
                step::LOSE,
                step::RAW,
                1,
                0,
                0,
            ],
        ),
        // A read-only server, and a probe that finds a better one.
        (
            &[4, 0],
            &[
                step::FORWARD,
                0,
                step::GREET,
                0x14,
                step::DUE,
                step::FORWARD,
                0,
                step::RAW,
                2,
                b'r',
                b'w',
                0,
            ],
        ),
        (
            &[4, 0],
            &[
                step::FORWARD,
                0,
                step::GREET,
                0x14,
                step::DUE,
                step::FORWARD,
                0,
                step::CUT,
                1,
                step::DUE,
            ],
        ),
        (
            &[4, 1],
            &[
                step::FORWARD,
                0,
                step::GREET,
                0x14,
                step::DUE,
                step::FORWARD,
                0,
                step::RAW,
                1,
                b'!',
                0,
            ],
        ),
        // A session that is resumed, and news of its first connection.
        (
            &[1, 0],
            &[
                step::ATTACH,
                step::CUT,
                0,
                step::DUE,
                step::ATTACH,
                step::STALE,
                4,
                step::STALE,
                1,
            ],
        ),
        // SASL of several steps, and by somebody else.
        (
            &[0x80, 0x10],
            &[
                step::ATTACH,
                step::REPLY,
                0,
                5,
                0,
                0,
                0,
                1,
                b'x',
                step::FORWARD,
                0,
                step::REPLY,
                0,
                4,
                255,
                255,
                255,
                255,
            ],
        ),
        (
            &[0x81, 0x10],
            &[
                step::ATTACH,
                step::SASL,
                1,
                step::FORWARD,
                0,
                step::REPLY,
                0,
                5,
                0,
                0,
                0,
                1,
                b'x',
                step::DRAIN,
                step::SASL,
                0,
            ],
        ),
        // A layer that speaks first.
        (
            &[0, 3],
            &[
                step::FORWARD,
                0,
                step::RAW,
                1,
                0,
                0,
                step::ATTACH,
                step::SUBMIT,
                5,
                3,
                step::FORWARD,
                0,
            ],
        ),
    ];
    seeds.extend(others.map(|(flags, steps)| [&flags[..], steps].concat()));
    for end in [29, 30] {
        let steps = [
            step::ATTACH,
            step::SUBMIT,
            end,
            1,
            0,
            step::FORWARD,
            0,
            step::REPLY,
            2,
            0,
        ];
        seeds.push([&[0, 0], &steps[..]].concat());
    }
    // A queue that is mostly cancelled again.
    let mut seed = vec![0, 0];
    (0..100).for_each(|_| seed.extend_from_slice(&[step::SUBMIT, 0, 0]));
    (0..90).for_each(|n| seed.extend_from_slice(&[step::SUBMIT, 20, n]));
    seed.extend_from_slice(&[step::ATTACH, step::DUE]);
    seeds.push(seed);
    seeds
}

fn say(golden: &Golden, seed: &mut Vec<u8>) {
    let body = |from: usize| {
        let bytes = golden.bytes.get(from..).unwrap_or_default();
        let length = bytes.len().min(255);
        [&[length as u8], &bytes[..length]].concat()
    };
    match golden.frame.as_str() {
        "Request" => {
            if let Some(number) = call(golden.opcode) {
                // On a shared path, and with a watch.
                seed.extend_from_slice(&[step::SUBMIT, number, 0b11, step::FORWARD, 0]);
            }
        }
        "Reply" => {
            let flags = if golden.err == 0 { 2 } else { 0x82 };
            seed.extend_from_slice(&[step::REPLY, flags]);
            seed.extend(body(20));
            seed.push(step::DRAIN);
        }
        "WatcherEvent" | "ConnectResponse" => {
            seed.push(step::FRAME);
            seed.extend(body(4));
            seed.extend_from_slice(&[0, step::FORWARD, 0]);
        }
        _ => {}
    }
}

/// The number by which `hostile` asks for an operation.
fn call(opcode: OpCode) -> Option<u8> {
    Some(match opcode {
        OpCode::CREATE | OpCode::CREATE2 => 0,
        OpCode::DELETE => 1,
        OpCode::SET_DATA => 2,
        OpCode::EXISTS => 3,
        OpCode::GET_DATA => 5,
        OpCode::GET_CHILDREN | OpCode::GET_CHILDREN2 => 7,
        OpCode::ADD_WATCH => 9,
        OpCode::MULTI => 10,
        OpCode::MULTI_READ => 11,
        OpCode::AUTH => 12,
        OpCode::SYNC => 13,
        OpCode::RECONFIG => 14,
        OpCode::REMOVE_WATCHES => 15,
        OpCode::GET_ACL => 16,
        OpCode::GET_EPHEMERALS => 17,
        OpCode::GET_ALL_CHILDREN_NUMBER => 18,
        OpCode::WHO_AM_I => 19,
        _ => return None,
    })
}

/// Bytes without a meaning are steps all the same.
fn chance() -> Vec<Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (1..=240)
        .map(|n| (0..n * 6).map(|_| next()).collect())
        .collect()
}

/// Connect strings, paths, names, configurations, credentials.
const TEXTS: [&str; 40] = [
    "zk1:2181,zk2,[::1]:2183/app/a",
    "localhost",
    " ZK1 : 2182 , [fe80::1%eth0] / app / b ",
    "127.0.0.1:65535/",
    "[::1",
    "[::1]x",
    "a]:1",
    "::1:2181",
    "a b:1",
    "host:0",
    "host:65536",
    "host:+1",
    "a,,b",
    "/only/a/path",
    "h/a/../b",
    "h/a/./b",
    "//a//b//",
    "/a/\u{1}",
    "/a/\u{e000}",
    "/a/\u{10ffff}",
    "/\u{65e5}\u{672c}/\u{1f600}",
    "\u{130}stanbul:2181",
    "lock-0000000007",
    "lock--000000007",
    "lock--2147483648",
    "lock-2147483647",
    "lock-2000000000",
    "lock-9999999999",
    "seq-\u{65e5}0000000001",
    "server.1=zk1:2888:3888:participant;0.0.0.0:2181\nversion=100000000",
    "server.2=zk2:2888:3888:observer;[::]:2181;2281\nserver.3=[::1]:1:2|[::2]:3:4;\nversion=-1",
    "server.1=zk1:2888\n",
    "server.x=zk1:1:2",
    "server.1=zk1:1:2;host:99999",
    "version=zz",
    "group.1=1:2\nweight.1=1\nversion=1",
    "user:password",
    "super:",
    "ruok",
    "mntr",
];
