//! What holds for all values and for all bytes.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod values;

use std::borrow::Cow;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use zk_proto::{
    Chroot, ConnectReply, ConnectRequest, DecodeError, Frame, FrameDecoder, FrameError,
    MultiResult, OpCode, PathError, Reader, Reply, ReplyHeader, Request, RequestHeader, Sequence,
    WatcherEvent, WatcherEventRef, ZnodePath, frame, parse_hosts,
};

use values::{connect_request, connect_response, event, reply, request};

fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::new();
    encode(&mut out);
    Bytes::from(out)
}

/// Every operation that this crate knows, and some that it does not.
fn opcodes() -> impl Iterator<Item = OpCode> {
    (-12..=23).chain(99..=108).map(OpCode)
}

/// Reads the bytes as everything that they could be.
fn decode_all(bytes: &Bytes) {
    let reader = || Reader::new(bytes);
    for opcode in opcodes() {
        if let Ok(request) = Request::decode(opcode, &mut reader()) {
            let _ = format!("{request:?}");
            request.encode(&Chroot::ROOT, &mut Vec::new());
            if let Ok(request) = request.effective() {
                assert!(!matches!(request, Request::Raw(_)));
            }
        }
        if let Ok(mut reply) = Reply::decode(opcode, &mut reader()) {
            reply.strip_chroot(&Chroot::parse("/a").unwrap());
            let _ = format!("{reply:?}");
            reply.encode(opcode, &mut Vec::new());
        }
    }
    let _ = ConnectRequest::decode(&mut reader());
    let _ = ConnectReply::decode(&mut reader());
    let _ = RequestHeader::decode(&mut reader());
    let _ = ReplyHeader::decode(&mut reader());
    let _ = WatcherEvent::decode(&mut reader());
}

/// Frames as owned bytes, for comparison; `None` stands for one that is too large.
fn drain(decoder: &mut FrameDecoder, frames: &mut Vec<Option<Vec<u8>>>) -> Result<(), FrameError> {
    while let Some(frame) = decoder.next_frame()? {
        frames.push(match frame {
            Frame::Whole { chunk, range } => Some(chunk[range].to_vec()),
            Frame::TooLarge { .. } => None,
        });
    }
    Ok(())
}

/// Feeds a stream in pieces of the given sizes, over and over, by `push` or where possible by `lend`.
fn split(
    stream: &[u8],
    sizes: &[usize],
    limit: usize,
    lend: bool,
) -> Result<Vec<Option<Vec<u8>>>, FrameError> {
    let mut decoder = FrameDecoder::new(limit);
    let mut frames = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        rest = after;
        let mut left = piece;
        if let Some(mut lent) = lend.then(|| decoder.lend()).flatten() {
            let room = lent.unfilled();
            let count = room.len().min(left.len());
            room[..count].copy_from_slice(&left[..count]);
            lent.advance(count);
            decoder.give_back(lent);
            left = &left[count..];
        }
        decoder.push(left);
        drain(&mut decoder, &mut frames)?;
    }
    Ok(frames)
}

proptest! {
    #[test]
    fn requests_round_trip(request in request()) {
        // Compared with a request that borrows from the bytes, for which they have to live as long.
        let bytes = Box::leak(Box::new(encoded(|out| request.encode(&Chroot::ROOT, out))));
        let mut reader = Reader::new(bytes);
        prop_assert_eq!(Request::decode(request.opcode(), &mut reader), Ok(request));
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn replies_round_trip((opcode, reply) in reply()) {
        let bytes = encoded(|out| reply.encode(opcode, out));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(Reply::decode(opcode, &mut reader), Ok(reply));
        prop_assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn events_round_trip(event in event()) {
        let bytes = encoded(|out| event.encode(out));
        let borrowed = WatcherEventRef::decode(&mut Reader::new(&bytes)).unwrap();
        prop_assert_eq!(borrowed.into_owned(), event);
    }

    #[test]
    fn connects_round_trip(request in connect_request(), response in connect_response()) {
        let bytes = encoded(|out| request.encode(out));
        prop_assert_eq!(ConnectRequest::decode(&mut Reader::new(&bytes)), Ok(request));
        let reply = ConnectReply::Response(response);
        let bytes = encoded(|out| reply.encode(out));
        prop_assert_eq!(ConnectReply::decode(&mut Reader::new(&bytes)), Ok(reply));
    }

    #[test]
    fn a_request_cut_short_is_an_error(request in request(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(|out| request.encode(&Chroot::ROOT, out));
        if !bytes.is_empty() {
            let cut = bytes.slice(..cut.index(bytes.len()));
            prop_assert!(Request::decode(request.opcode(), &mut Reader::new(&cut)).is_err());
        }
    }

    #[test]
    fn a_reply_cut_short_is_an_error((opcode, reply) in reply(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(|out| reply.encode(opcode, out));
        if !bytes.is_empty() {
            let cut = bytes.slice(..cut.index(bytes.len()));
            prop_assert!(Reply::decode(opcode, &mut Reader::new(&cut)).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        decode_all(&Bytes::from(bytes));
    }

    #[test]
    fn plausible_bytes_never_panic(words in vec(prop_oneof![-2..6_i32, any::<i32>()], 0..60), end in vec(any::<u8>(), 0..4)) {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.extend(end);
        decode_all(&Bytes::from(bytes));
    }

    #[test]
    fn a_changed_record_never_panics(
        (opcode, reply) in reply(),
        request in request(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        for bytes in [encoded(|out| reply.encode(opcode, out)), encoded(|out| request.encode(&Chroot::ROOT, out))] {
            let mut bytes = bytes.to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                decode_all(&Bytes::from(bytes));
            }
        }
    }

    #[test]
    fn arbitrary_streams_never_panic(
        stream in vec(any::<u8>(), 0..400),
        sizes in vec(1_usize..50, 1..5),
        limit in 0_usize..300,
    ) {
        let _ = split(&stream, &sizes, limit, true);
    }

    #[test]
    fn frames_do_not_depend_on_where_the_stream_is_cut(
        bodies in vec(vec(any::<u8>(), 0..60), 0..12),
        sizes in vec(1_usize..90, 1..6),
        limit in 0_usize..80,
    ) {
        let mut stream = Vec::new();
        for body in &bodies {
            frame(&mut stream, |out| out.extend_from_slice(body));
        }
        let expected: Vec<_> = bodies.into_iter().map(|body| (body.len() <= limit).then_some(body)).collect();
        prop_assert_eq!(split(&stream, &sizes, limit, false), Ok(expected.clone()));
        prop_assert_eq!(split(&stream, &sizes, limit, true), Ok(expected));
    }

    #[test]
    fn a_normal_path_is_its_own_normal_form(text in "[/a.\u{e9} \u{7f}]{0,12}") {
        fn check<'a>(text: &'a str, again: impl Fn(&str) -> String, parse: impl Fn(&'a str) -> Result<ZnodePath<'a>, PathError>) {
            if let Ok(path) = parse(text) {
                assert!(path.as_str().starts_with('/') && !path.as_str().contains("//"));
                assert_eq!(again(path.as_str()), path.as_str());
            }
        }
        fn borrowed(path: ZnodePath<'_>) -> String {
            let Cow::Borrowed(path) = path.into_cow() else { panic!("a normal path was copied") };
            path.to_owned()
        }
        check(&text, |path| borrowed(ZnodePath::parse(path).unwrap()), ZnodePath::parse);
        check(&text, |path| borrowed(ZnodePath::parse_sequential(path).unwrap()), ZnodePath::parse_sequential);
    }

    #[test]
    fn a_chroot_goes_on_and_off(chroot in "(/[a-c]{1,2}){0,3}", path in "(/[a-c]{1,2}){1,3}|/") {
        let chroot = Chroot::parse(&chroot).unwrap();
        let full = chroot.full(&path).into_owned();
        prop_assert_eq!(chroot.strip(&full), Some(path.as_str()));
        let bytes = encoded(|out| chroot.put_path(&path, out));
        prop_assert_eq!(&Reader::new(&bytes).text("path").unwrap(), full.as_str());
        let mut reply = Reply::Multi(vec![MultiResult::Created { path: full, stat: None }]);
        reply.strip_chroot(&chroot);
        prop_assert_eq!(reply, Reply::Multi(vec![MultiResult::Created { path, stat: None }]));
    }

    #[test]
    fn a_sequence_reads_as_it_prints(number in any::<i32>(), prefix in "[a-z/]{0,8}[a-z/]") {
        let name = format!("{prefix}{}", Sequence(number));
        prop_assert_eq!(Sequence::parse_after(&prefix, &name), Some(Sequence(number)));
        if number > -1_000_000_000 {
            prop_assert_eq!(Sequence::parse_suffix(&name), Some((prefix.as_str(), Sequence(number))));
        }
    }

    #[test]
    fn texts_never_panic(text in "\\PC{0,20}|[0-9\\-]{0,14}|[a-c:,/\\[\\] 0-9.]{0,20}") {
        let _ = Sequence::parse_suffix(&text);
        let _ = ZnodePath::parse(&text);
        if let Ok((servers, chroot)) = parse_hosts(&text) {
            let again: Vec<_> = servers.iter().map(ToString::to_string).collect();
            prop_assert_eq!(parse_hosts(&format!("{}{chroot}", again.join(","))).unwrap(), (servers, chroot));
        }
        let _ = zk_proto::EnsembleConfig::parse(&text);
    }
}

/// If these counts were believed before the frame was looked at, this test would not end well.
#[test]
fn hostile_counts_are_errors() {
    let count = |opcode: OpCode, before: &[u8], reply: bool| {
        let bytes = Bytes::from([before, &i32::MAX.to_be_bytes(), &[0; 64]].concat());
        let mut reader = Reader::new(&bytes);
        let error = if reply {
            Reply::decode(opcode, &mut reader).unwrap_err()
        } else {
            Request::decode(opcode, &mut reader).unwrap_err()
        };
        assert!(
            matches!(error, DecodeError::TooManyItems { left: 64, .. }),
            "{opcode}: {error}"
        );
    };
    for opcode in [
        OpCode::GET_CHILDREN,
        OpCode::GET_CHILDREN2,
        OpCode::GET_ACL,
        OpCode::GET_EPHEMERALS,
        OpCode::WHO_AM_I,
    ] {
        count(opcode, &[], true);
    }
    for opcode in [OpCode::CREATE, OpCode::CREATE2, OpCode::CREATE_TTL] {
        count(opcode, &[0; 8], false);
    }
    count(OpCode::SET_ACL, &[0; 4], false);
    count(OpCode::SET_WATCHES, &[0; 8], false);
    count(OpCode::SET_WATCHES2, &[0; 20], false);
    // A multi has no count, but lists within its results.
    count(OpCode::MULTI_READ, &[0, 0, 0, 8, 0, 0, 0, 0, 0], true);
}

#[test]
fn hostile_lengths_take_no_memory() {
    for length in [0x7fff_ffff_u32, 0x7fff_0000, 100 << 20] {
        let mut decoder = FrameDecoder::new(usize::MAX);
        decoder.push(&length.to_be_bytes());
        for _ in 0..100 {
            assert_eq!(decoder.next_frame(), Ok(None));
            assert!(decoder.lend().is_none());
            decoder.push(&[1; 10]);
        }
        assert_eq!(decoder.buffered(), 4 + 1000);
        assert_eq!(decoder.missing(), length as usize - 1000);
    }
}
