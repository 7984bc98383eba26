use super::*;

const LIMIT: usize = 4 << 20;

fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::frame(&mut out, |out| out.extend_from_slice(body));
    out
}

fn next(decoder: &mut FrameDecoder) -> Option<Vec<u8>> {
    decoder.next_frame().unwrap().map(|frame| match frame {
        Frame::Whole { chunk, range } => chunk[range].to_vec(),
        Frame::TooLarge { length, .. } => panic!("a frame of {length} bytes is too large"),
    })
}

fn too_large(head: &[u8], length: usize) -> Result<Option<Frame<'static>>, FrameError> {
    let mut bytes = [0; 16];
    bytes[..head.len()].copy_from_slice(head);
    Ok(Some(Frame::TooLarge {
        head: bytes,
        length,
    }))
}

/// Bytes that tell when they are at the wrong place.
fn large(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn complete_frames_are_one_chunk() {
    let mut decoder = FrameDecoder::new(LIMIT);
    decoder.push(
        &[
            framed(b"one"),
            framed(b""),
            framed(b"three"),
            framed(b"four")[..6].to_vec(),
        ]
        .concat(),
    );
    let mut chunks = Vec::new();
    for (expected, at) in [(&b"one"[..], 4), (b"", 11), (b"three", 15)] {
        let Ok(Some(Frame::Whole { chunk, range })) = decoder.next_frame() else {
            panic!()
        };
        assert_eq!((&chunk[range.clone()], range.start), (expected, at));
        chunks.push(chunk.clone());
    }
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.as_ptr() == chunks[0].as_ptr())
    );
    assert_eq!(next(&mut decoder), None);
    assert_eq!(
        (decoder.missing(), decoder.buffered(), decoder.peek()),
        (2, 6, &b"\0\0\0\x04fo"[..])
    );
    decoder.push(b"ur");
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"four"[..]));
    assert_eq!(
        (decoder.missing(), decoder.buffered(), decoder.peek()),
        (0, 0, &b""[..])
    );
}

#[test]
fn a_reader_reads_a_whole_frame() {
    let mut decoder = FrameDecoder::new(2);
    decoder.push(&[framed(b"\0\x07"), framed(b"abc")].concat());
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(frame.reader().unwrap().remaining(), 2);
    assert!(decoder.next_frame().unwrap().unwrap().reader().is_none());
}

#[test]
fn missing_counts_the_frame_under_way_only() {
    let mut decoder = FrameDecoder::new(LIMIT);
    for (byte, missing) in [(0, 0), (0, 0), (0, 0), (2, 2), (b'a', 1), (b'b', 0)] {
        decoder.push(&[byte]);
        assert_eq!(decoder.missing(), missing);
    }
    decoder.push(&[0, 0, 0, 9, 1]);
    assert_eq!(decoder.missing(), 8);
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"ab"[..]));
    assert_eq!(decoder.missing(), 8);
}

#[test]
fn a_negative_length_is_the_end() {
    let mut decoder = FrameDecoder::new(LIMIT);
    decoder.push(
        &[
            &framed(b"ok")[..],
            &[0xff, 0xff, 0xff, 0xff],
            &framed(b"never"),
        ]
        .concat(),
    );
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"ok"[..]));
    for _ in 0..3 {
        assert_eq!(decoder.next_frame(), Err(FrameError::NegativeLength(-1)));
        decoder.push(&framed(b"never"));
    }
}

#[test]
fn a_frame_that_is_too_large_is_reported_and_the_next_one_is_fine() {
    let body = large(100);
    let stream = [framed(b"before"), framed(&body), framed(b"after")].concat();
    for size in [1, 7, 13, 30, 200] {
        let mut decoder = FrameDecoder::new(99);
        let mut seen = Vec::new();
        for piece in stream.chunks(size) {
            decoder.push(piece);
            assert!(decoder.buffered() <= 30 + size, "it is not kept");
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push(match frame {
                    Frame::Whole { chunk, range } => chunk[range].to_vec(),
                    Frame::TooLarge { head, length } => {
                        assert_eq!((&head[..], length), (&body[..16], 100));
                        b"too large".to_vec()
                    }
                });
            }
        }
        assert_eq!(seen, [&b"before"[..], b"too large", b"after"]);
    }
}

#[test]
fn too_large_is_reported_as_soon_as_the_head_is_there() {
    let mut decoder = FrameDecoder::new(1 << 20);
    decoder.push(b"HTTP/1.1 400 Bad Re");
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.peek(), b"HTTP/1.1 400 Bad Re");
    decoder.push(b"quest\r\n");
    assert_eq!(
        decoder.next_frame(),
        too_large(b"/1.1 400 Bad Req", 0x4854_5450)
    );
    assert_eq!(decoder.missing(), 0x4854_5450 - 22);
    decoder.push(&[0; 1000]);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.buffered(), 0);
    assert!(decoder.lend().is_none());
}

#[test]
fn a_limit_below_the_size_of_a_head() {
    let mut decoder = FrameDecoder::new(2);
    decoder.push(&[framed(b"abc"), framed(b"de")].concat());
    assert_eq!(decoder.next_frame(), too_large(b"abc", 3));
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"de"[..]));
    let mut decoder = FrameDecoder::new(0);
    decoder.push(&[framed(b""), framed(b"x"), framed(b"")].concat());
    assert_eq!(next(&mut decoder).as_deref(), Some(&b""[..]));
    assert_eq!(decoder.next_frame(), too_large(b"x", 1));
    assert_eq!(next(&mut decoder).as_deref(), Some(&b""[..]));
}

#[test]
fn the_limit_can_change_between_frames() {
    let mut decoder = FrameDecoder::new(2);
    decoder.set_limit(3);
    decoder.push(&framed(b"abc"));
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"abc"[..]));
    decoder.set_limit(2);
    decoder.push(&framed(b"abc"));
    assert_eq!(decoder.next_frame(), too_large(b"abc", 3));
}

/// Reads a stream as a handler does: into the loan if there is one, else into a buffer of its own.
fn read_with_loans(stream: &[u8], sizes: impl Iterator<Item = usize>) -> (Vec<Vec<u8>>, usize) {
    let mut decoder = FrameDecoder::new(LIMIT);
    let (mut frames, mut loans, mut rest) = (Vec::new(), 0, stream);
    for size in sizes {
        if rest.is_empty() {
            break;
        }
        let size = size.min(rest.len());
        let taken = match decoder.lend() {
            Some(mut lent) => {
                let room = lent.unfilled();
                let taken = size.min(room.len());
                room[..taken].copy_from_slice(&rest[..taken]);
                lent.advance(taken);
                decoder.give_back(lent);
                loans += 1;
                taken
            }
            None => {
                decoder.push(&rest[..size]);
                size
            }
        };
        rest = &rest[taken..];
        while let Some(frame) = next(&mut decoder) {
            frames.push(frame);
        }
    }
    assert_eq!((decoder.buffered(), decoder.missing()), (0, 0));
    (frames, loans)
}

#[test]
fn a_loan_in_odd_pieces_is_as_good_as_a_push() {
    let bodies = [
        large(10),
        large(1 << 20),
        large(0),
        large(300_000),
        large(70_000),
        large(5),
    ];
    let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
    for sizes in [
        &[500_000][..],
        &[7],
        &[1, 65_537, 3, 4096, 99_991],
        &[5, 9, 65_536],
        &[1 << 19, 1],
    ] {
        let (frames, loans) = read_with_loans(&stream, sizes.iter().copied().cycle());
        assert_eq!(frames.len(), bodies.len());
        assert!(
            frames.iter().eq(&bodies),
            "the frames are not the ones sent in pieces of {sizes:?}"
        );
        assert!(loans > 0, "no loan in pieces of {sizes:?}");
    }
}

/// A decoder that has lent the buffer for this body.
fn lent_for(body: &[u8]) -> (FrameDecoder, Lent) {
    let mut decoder = FrameDecoder::new(LIMIT);
    decoder.push(&framed(body)[..10]);
    let lent = decoder.lend().unwrap();
    (decoder, lent)
}

#[test]
fn small_frames_are_not_lent() {
    let mut decoder = FrameDecoder::new(LIMIT);
    assert!(decoder.lend().is_none());
    decoder.push(&65_535_u32.to_be_bytes());
    assert!(decoder.lend().is_none());
    let mut decoder = FrameDecoder::new(LIMIT);
    decoder.push(&65_536_u32.to_be_bytes());
    assert_eq!(
        decoder.lend().unwrap().unfilled().len(),
        FrameDecoder::LEND_THRESHOLD
    );
}

#[test]
fn nothing_is_lent_before_earlier_frames_are_taken_or_above_the_limit() {
    let mut decoder = FrameDecoder::new(LIMIT);
    decoder.push(&[&framed(b"a")[..], &framed(b"b"), &100_000_u32.to_be_bytes()].concat());
    assert!(decoder.lend().is_none());
    assert!(next(&mut decoder).is_some());
    assert!(decoder.lend().is_none());
    assert!(next(&mut decoder).is_some());
    assert!(decoder.lend().is_some());
    let mut decoder = FrameDecoder::new(99_999);
    decoder.push(&100_000_u32.to_be_bytes());
    assert!(decoder.lend().is_none());
}

#[test]
fn a_loan_that_is_dropped_is_a_lost_connection() {
    let (mut decoder, lent) = lent_for(&large(100_000));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.lend().is_none());
    drop(lent);
    for _ in 0..3 {
        assert_eq!(decoder.next_frame(), Err(FrameError::LentLost));
        decoder.push(b"more");
        assert!(decoder.lend().is_none());
    }
}

#[test]
fn what_is_pushed_meanwhile_follows_the_loan() {
    let body = large(100_000);
    let (mut decoder, mut lent) = lent_for(&body);
    lent.unfilled()[..40_000].copy_from_slice(&body[6..40_006]);
    lent.advance(40_000);
    decoder.push(&body[40_006..90_000]);
    decoder.push(&[&body[90_000..], &framed(b"next")].concat());
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.give_back(lent);
    assert_eq!(next(&mut decoder), Some(body));
    assert_eq!(next(&mut decoder).as_deref(), Some(&b"next"[..]));
}

#[test]
fn a_loan_can_be_given_back_untouched_and_advance_saturates() {
    let body = large(100_000);
    let (mut decoder, mut lent) = lent_for(&body);
    decoder.give_back(lent);
    assert_eq!((decoder.buffered(), decoder.missing()), (10, 99_994));
    assert_eq!(decoder.peek(), &framed(&body)[..10]);
    lent = decoder.lend().unwrap();
    assert_eq!(decoder.buffered(), 0);
    lent.unfilled().copy_from_slice(&body[6..]);
    lent.advance(usize::MAX);
    lent.advance(1);
    assert!(lent.unfilled().is_empty());
    decoder.give_back(lent);
    assert_eq!(next(&mut decoder), Some(body));
}

#[test]
fn a_foreign_loan_is_not_taken() {
    let (mut decoder, lent) = lent_for(&large(100_000));
    let (mut other, foreign) = lent_for(&large(200_000));
    decoder.give_back(foreign);
    assert_eq!(decoder.next_frame(), Ok(None));
    decoder.give_back(lent);
    assert_eq!(decoder.missing(), 99_994);
    assert_eq!(other.next_frame(), Err(FrameError::LentLost));
}

#[test]
fn memory_is_used_again_when_nobody_holds_on_to_it() {
    let mut decoder = FrameDecoder::new(LIMIT);
    let stream = framed(&large(1000)).repeat(4);
    for _ in 0..1000 {
        decoder.push(&stream);
        while next(&mut decoder).is_some() {}
    }
    assert!(
        decoder.buffer.capacity() < 64 * 1024,
        "{}",
        decoder.buffer.capacity()
    );
}

#[test]
fn debug_shows_lengths_only() {
    let mut decoder = FrameDecoder::new(100_000);
    let secret = [b's'; 99_999];
    decoder.push(&[framed(b"sss"), framed(b"ss"), framed(&secret)[..9].to_vec()].concat());
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(
        format!("{frame:?} {:?}", frame.reader().unwrap()),
        "Whole(3 bytes) Reader(3 bytes left)"
    );
    assert_eq!(
        format!("{decoder:?}"),
        "FrameDecoder { limit: 100000, buffered: 9, ready: 6, under_way: Nothing }"
    );
    assert!(next(&mut decoder).is_some());
    let lent = decoder.lend().unwrap();
    assert_eq!(format!("{lent:?}"), "Lent(9 of 100003 bytes)");
    decoder.give_back(lent);
    assert!(format!("{decoder:?}").contains("under_way: Held(Lent(9 of 100003 bytes))"));
}
