//! Frames captured from real servers and clients, held against what this crate makes of them.
//!
//! `testdata/golden.json` has each frame as bytes and as fields, written down by another decoder.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod entries;
mod json;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use zk_proto::{
    Chroot, ConnectReply, ConnectRequest, DecodeError, ErrorCode, Frame, FrameDecoder, OpCode,
    Reader, Reply, ReplyHeader, Request, RequestHeader, WatcherEvent, Xid, frame, is_four_letter,
};

use entries::{Golden, frames, golden};
use json::hex;

const LIMIT: usize = 1 << 20;

fn opcode_named(name: &str) -> OpCode {
    (-20..200)
        .map(OpCode)
        .find(|opcode| opcode.name() == Some(name))
        .unwrap()
}

/// What this crate makes of the body of a frame: its description, and its bytes again.
fn redo(golden: &Golden, body: &Bytes) -> Result<(Value, Vec<u8>, usize), DecodeError> {
    let mut reader = Reader::new(body);
    let mut again = Vec::new();
    let value = match golden.frame.as_str() {
        "ConnectRequest" => {
            let request = ConnectRequest::decode(&mut reader)?;
            frame(&mut again, |out| request.encode(out));
            json::connect_request(&request)
        }
        "ConnectResponse" => match ConnectReply::decode(&mut reader)? {
            ConnectReply::Refused(err) => panic!("{}: refused by {err}", golden.name),
            ConnectReply::Response(response) => {
                frame(&mut again, |out| {
                    ConnectReply::Response(response.clone()).encode(out)
                });
                json::connect_response(&response)
            }
        },
        "Request" => {
            let header = RequestHeader::decode(&mut reader)?;
            let request = Request::decode(header.opcode, &mut reader)?;
            assert_eq!(request.opcode(), header.opcode);
            frame(&mut again, |out| {
                header.encode(out);
                request.encode(&Chroot::ROOT, out);
            });
            json!({
                "frame": "Request",
                "header": json::request_header(&header),
                "body": json::request(&request),
            })
        }
        "Reply" => {
            let op = golden.decoded["op"].as_str().unwrap();
            let header = ReplyHeader::decode(&mut reader)?;
            let mut value = json!({
                "frame": "Reply", "op": op, "header": json::reply_header(&header),
            });
            let reply = if header.err.is_ok() || op == "sasl" {
                let opcode = opcode_named(op);
                let reply = Reply::decode(opcode, &mut reader)?;
                value["body"] = json::reply(opcode, &reply);
                Some((opcode, reply))
            } else {
                None
            };
            frame(&mut again, |out| {
                header.encode(out);
                if let Some((opcode, reply)) = reply {
                    reply.encode(opcode, out);
                }
            });
            value
        }
        "WatcherEvent" => {
            let header = ReplyHeader::decode(&mut reader)?;
            let event = WatcherEvent::decode(&mut reader)?;
            assert_eq!(header.xid, Xid::WATCH);
            frame(&mut again, |out| {
                header.encode(out);
                event.encode(out);
            });
            json!({
                "frame": "WatcherEvent",
                "header": json::reply_header(&header),
                "body": json::event(&event),
            })
        }
        other => panic!("no frame {other}"),
    };
    Ok((value, again, reader.remaining()))
}

/// What a frame is described as, without what is not in its bytes.
fn expected(golden: &Golden) -> Value {
    let mut value = golden.decoded.clone();
    let fields = value.as_object_mut().unwrap();
    fields.remove("note");
    fields.remove("trailing");
    value
}

/// Requests whose bytes nobody can tell apart: they have a `note`.
const MALFORMED: [&str; 6] = [
    "create.err_truncated_body",
    "getData.err_truncated_body",
    "multi.err_truncated",
    "error.toplevel_unimplemented",
    "notification.toplevel_unimplemented",
    "unknown.toplevel_unimplemented",
];

/// Requests that have fields, though servers do not take them: they are raw.
const RAW: [&str; 5] = [
    "create.err_null_acl",
    "exists.null_path",
    "multi.err_invalid_subop",
    "multi.err_mixed_kinds",
    "multiRead.err_exists_not_allowed",
];

fn is_one_of(golden: &Golden, names: &[&str]) -> bool {
    golden
        .name
        .strip_suffix(".request")
        .is_some_and(|name| names.contains(&name))
}

fn is_malformed(golden: &Golden) -> bool {
    is_one_of(golden, &MALFORMED)
}

#[test]
fn every_kind_of_frame_is_there() {
    let mut counts = BTreeMap::new();
    for golden in golden() {
        let op = match golden.frame.as_str() {
            "Request" => golden.decoded["header"]["op"].as_str().unwrap(),
            "Reply" => golden.decoded["op"].as_str().unwrap(),
            _ => "",
        };
        *counts
            .entry(format!("{} {op}", golden.frame).trim().to_owned())
            .or_insert(0) += 1;
        assert_eq!(
            golden.bytes.is_empty(),
            ["ConnectionClosed", "ConnectionKeptOpen", "NoReply"].contains(&&*golden.frame)
        );
    }
    let expected: BTreeMap<_, _> = [
        ("ConnectRequest", 152),
        ("ConnectResponse", 137),
        ("ConnectionClosed", 71),
        ("ConnectionKeptOpen", 2),
        ("FourLetterReply", 6),
        ("FourLetterWord", 2),
        ("NoReply", 1),
        ("WatcherEvent", 147),
        ("Reply addWatch", 24),
        ("Reply auth", 30),
        ("Reply check", 3),
        ("Reply checkWatches", 15),
        ("Reply closeSession", 10),
        ("Reply create", 200),
        ("Reply create2", 11),
        ("Reply createContainer", 8),
        ("Reply createSession", 1),
        ("Reply createTTL", 15),
        ("Reply delete", 51),
        ("Reply error", 2),
        ("Reply exists", 53),
        ("Reply getACL", 20),
        ("Reply getAllChildrenNumber", 8),
        ("Reply getChildren", 34),
        ("Reply getChildren2", 13),
        ("Reply getData", 75),
        ("Reply getEphemerals", 7),
        ("Reply multi", 30),
        ("Reply multiRead", 8),
        ("Reply notification", 2),
        ("Reply ping", 43),
        ("Reply reconfig", 15),
        ("Reply removeWatches", 24),
        ("Reply sasl", 31),
        ("Reply setACL", 18),
        ("Reply setData", 68),
        ("Reply setWatches", 12),
        ("Reply setWatches2", 4),
        ("Reply sync", 9),
        ("Reply unknown", 2),
        ("Reply whoAmI", 13),
        ("Request ?", 2),
        ("Request addWatch", 24),
        ("Request auth", 30),
        ("Request check", 4),
        ("Request checkWatches", 15),
        ("Request closeSession", 11),
        ("Request create", 201),
        ("Request create2", 11),
        ("Request createContainer", 8),
        ("Request createTTL", 15),
        ("Request delete", 51),
        ("Request error", 2),
        ("Request exists", 53),
        ("Request getACL", 20),
        ("Request getAllChildrenNumber", 8),
        ("Request getChildren", 34),
        ("Request getChildren2", 13),
        ("Request getData", 75),
        ("Request getEphemerals", 7),
        ("Request multi", 32),
        ("Request multiRead", 8),
        ("Request notification", 2),
        ("Request ping", 46),
        ("Request reconfig", 15),
        ("Request removeWatches", 24),
        ("Request sasl", 31),
        ("Request setACL", 18),
        ("Request setData", 68),
        ("Request setWatches", 12),
        ("Request setWatches2", 4),
        ("Request sync", 9),
        ("Request whoAmI", 13),
    ]
    .into_iter()
    .map(|(kind, count)| (kind.to_owned(), count))
    .collect();
    assert_eq!(counts, expected);
}

#[test]
fn every_frame_decodes_to_its_fields_and_encodes_to_its_bytes() {
    let (mut exact, mut trailing, mut malformed) = (0, 0, 0);
    for golden in frames() {
        let result = redo(&golden, &golden.body());
        if is_malformed(&golden) {
            assert!(golden.decoded.get("note").is_some(), "{}", golden.name);
            assert!(result.is_err(), "{}: {result:?}", golden.name);
            malformed += 1;
            continue;
        }
        let (value, again, left) = result.unwrap_or_else(|e| panic!("{}: {e}", golden.name));
        let junk = golden.decoded["trailing"].as_u64().unwrap_or_default();
        assert_eq!(
            (value, left as u64),
            (expected(&golden), junk),
            "{}",
            golden.name
        );
        let without_junk = &golden.bytes[4..golden.bytes.len() - left];
        assert_eq!(hex(&again[4..]), hex(without_junk), "{}", golden.name);
        if junk == 0 {
            assert_eq!(hex(&again), hex(&golden.bytes), "{}", golden.name);
            exact += 1;
        } else {
            assert!(golden.decoded.get("note").is_some(), "{}", golden.name);
            trailing += 1;
        }
    }
    assert_eq!((exact, trailing, malformed), (2161 - 14, 2, 12));
}

/// What a server answers to a request that it does not take, as this crate tells it.
fn refusal(golden: &Golden) -> Option<ErrorCode> {
    let body = golden.body();
    let mut reader = Reader::new(&body);
    let header = RequestHeader::decode(&mut reader).unwrap();
    match Request::decode(header.opcode, &mut reader).and_then(Request::effective) {
        Ok(_) => None,
        Err(DecodeError::UnknownOpcode(_)) => Some(ErrorCode::UNIMPLEMENTED),
        Err(_) => Some(ErrorCode::MARSHALLING_ERROR),
    }
}

#[test]
fn requests_that_servers_do_not_take_are_malformed_or_raw() {
    let frames = frames();
    let (mut refused, mut null_acls) = (BTreeMap::new(), 0);
    for golden in frames.iter().filter(|golden| golden.is("Request")) {
        let body = golden.body();
        let mut reader = Reader::new(&body);
        let header = RequestHeader::decode(&mut reader).unwrap();
        let is_raw = matches!(
            Request::decode(header.opcode, &mut reader),
            Ok(Request::Raw(_))
        );
        assert_eq!(is_raw, is_one_of(golden, &RAW), "{}", golden.name);
        let answer = || {
            let name = golden.name.strip_suffix("request").unwrap();
            let reply = frames
                .iter()
                .find(|reply| reply.name == format!("{name}reply") && reply.same_connection(golden))
                .unwrap_or_else(|| panic!("{} has no answer", golden.name));
            ErrorCode(reply.decoded["header"]["err"].as_i64().unwrap() as i32)
        };
        match refusal(golden) {
            Some(code) => {
                assert!(is_raw || is_malformed(golden), "{}", golden.name);
                assert_eq!(answer(), code, "{}", golden.name);
                *refused.entry(golden.name.clone()).or_insert(0) += 1;
            }
            None if is_raw => {
                assert_eq!(golden.name, "create.err_null_acl.request");
                assert_eq!(answer(), ErrorCode::INVALID_ACL);
                null_acls += 1;
            }
            None => {}
        }
    }
    assert_eq!((refused.len(), null_acls), (10, 2));
    assert!(refused.values().all(|count| *count == 2), "{refused:?}");
}

#[test]
fn a_header_in_place_of_a_connect_response_is_a_refusal() {
    let found: Vec<_> = frames()
        .into_iter()
        .filter(|golden| golden.decoded["op"] == "createSession")
        .collect();
    assert_eq!(found.len(), 1);
    let reply = ConnectReply::decode(&mut Reader::new(&found[0].body())).unwrap();
    assert_eq!(reply, ConnectReply::Refused(ErrorCode::NOT_READ_ONLY));
}

#[test]
fn a_frame_cut_short_is_incomplete_or_an_error() {
    let mut cuts = 0;
    for golden in frames() {
        let mut decoder = FrameDecoder::new(LIMIT);
        for byte in &golden.bytes[..golden.bytes.len() - 1] {
            decoder.push(&[*byte]);
            assert_eq!(decoder.next_frame(), Ok(None));
        }
        if golden.decoded.get("note").is_some() || golden.is("ConnectResponse") {
            continue;
        }
        let body = golden.body();
        for end in 0..body.len() {
            let result = redo(&golden, &body.slice(..end));
            let complete_without =
                golden.decoded.get("readOnly").is_some() && end == body.len() - 1;
            assert_eq!(
                result.is_ok(),
                complete_without,
                "{} cut to {end}: {result:?}",
                golden.name
            );
            cuts += 1;
        }
    }
    assert!(cuts > 50_000, "{cuts}");
}

#[test]
fn a_connect_response_cut_short_is_an_error_or_a_refusal() {
    for golden in frames()
        .into_iter()
        .filter(|golden| golden.is("ConnectResponse"))
    {
        let body = golden.body();
        for end in 0..body.len() {
            let reply = ConnectReply::decode(&mut Reader::new(&body.slice(..end)));
            match end {
                16 => assert!(matches!(reply, Ok(ConnectReply::Refused(_)))),
                36 => assert!(matches!(reply, Ok(ConnectReply::Response(_)))),
                _ => assert!(reply.is_err(), "{} cut to {end}", golden.name),
            }
        }
    }
}

#[test]
fn bytes_behind_a_record_are_left_unread() {
    let mut extended = 0;
    for golden in frames() {
        let is_connect = golden.frame.starts_with("Connect");
        if golden.decoded.get("note").is_some()
            || is_connect && golden.decoded.get("readOnly").is_none()
        {
            continue;
        }
        let body = golden.body();
        let junk = Bytes::from([&body[..], b"\xff\xff\xff\xffjunk"].concat());
        match (redo(&golden, &body), redo(&golden, &junk)) {
            (Ok((value, again, 0)), Ok((value2, again2, 8))) => {
                assert_eq!((value, again), (value2, again2), "{}", golden.name);
                extended += 1;
            }
            other => panic!("{}: {other:?}", golden.name),
        }
    }
    assert_eq!(extended, 2161 - 15 - 9);
}

#[test]
fn the_stream_of_all_frames_splits_at_any_place() {
    let frames = frames();
    let stream: Vec<u8> = frames
        .iter()
        .flat_map(|golden| golden.bytes.clone())
        .collect();
    for size in [1, 2, 3, 5, 7, 16, 61, 1000, 4096, 65_536, stream.len()] {
        let mut decoder = FrameDecoder::new(LIMIT);
        let mut expected = frames.iter();
        for piece in stream.chunks(size) {
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                let Frame::Whole { chunk, range } = frame else {
                    panic!("{frame:?}")
                };
                assert_eq!(chunk[range], expected.next().unwrap().bytes[4..]);
            }
        }
        assert!(expected.next().is_none());
        assert_eq!((decoder.buffered(), decoder.missing()), (0, 0));
    }
}

#[test]
fn four_letter_words_are_not_lengths() {
    let golden = golden();
    let words: Vec<_> = golden
        .iter()
        .filter(|golden| golden.is("FourLetterWord"))
        .collect();
    assert_eq!(words.len(), 2);
    for word in words {
        assert!(is_four_letter(word.bytes[..].try_into().unwrap()));
    }
    for frame in frames() {
        assert!(!is_four_letter(frame.bytes[..4].try_into().unwrap()));
    }
}
