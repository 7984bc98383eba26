use super::*;

fn reader(bytes: &Bytes) -> Reader<'_> {
    Reader::new(bytes)
}

#[test]
fn numbers_are_big_endian_and_any_byte_but_zero_is_true() {
    let mut out = Vec::new();
    put_int(&mut out, -2);
    put_long(&mut out, 0x0102_0304_0506_0708);
    put_boolean(&mut out, true);
    assert_eq!(out, [255, 255, 255, 254, 1, 2, 3, 4, 5, 6, 7, 8, 1]);
    out.push(7);
    out.push(0);
    let bytes = Bytes::from(out);
    let mut reader = reader(&bytes);
    assert_eq!(reader.int("a"), Ok(-2));
    assert_eq!(reader.long("b"), Ok(0x0102_0304_0506_0708));
    assert_eq!(
        (reader.boolean("c"), reader.boolean("d")),
        (Ok(true), Ok(true))
    );
    assert_eq!(reader.boolean("e"), Ok(false));
    assert_eq!(
        reader.boolean("f"),
        Err(DecodeError::Truncated {
            what: "f",
            needed: 1,
            left: 0
        })
    );
}

#[test]
fn null_is_not_empty() {
    let mut out = Vec::new();
    put_buffer(&mut out, None);
    put_buffer(&mut out, Some(b""));
    put_text_or_null(&mut out, None);
    put_text_or_null(&mut out, Some("x"));
    let bytes = Bytes::from(out);
    let mut reader = reader(&bytes);
    assert_eq!(
        reader.clone().payload("a").map(|payload| payload.is_null()),
        Ok(true)
    );
    assert_eq!(reader.buffer("a"), Ok(None));
    assert_eq!(
        reader.clone().payload("b").map(|payload| payload.is_null()),
        Ok(false)
    );
    assert_eq!(reader.buffer("b"), Ok(Some(&b""[..])));
    assert_eq!(reader.clone().text("c"), Ok("".into()));
    let mut noted = reader.clone();
    assert_eq!(noted.path(), Ok("".into()));
    assert_eq!(noted.path(), Ok("x".into()));
    assert_eq!(noted.take_nulls(), (true, false));
    assert_eq!(noted.take_nulls(), (false, false));
    assert_eq!(reader.text_or_null("c"), Ok(None));
    assert_eq!(reader.text_or_null("d"), Ok(Some("x".into())));
}

#[test]
fn lengths_are_held_against_the_frame() {
    for (length, error) in [
        (
            -2,
            DecodeError::NegativeLength {
                what: "x",
                length: -2,
            },
        ),
        (
            i32::MIN,
            DecodeError::NegativeLength {
                what: "x",
                length: i32::MIN,
            },
        ),
        (
            4,
            DecodeError::Truncated {
                what: "x",
                needed: 4,
                left: 3,
            },
        ),
        (
            i32::MAX,
            DecodeError::Truncated {
                what: "x",
                needed: i32::MAX as usize,
                left: 3,
            },
        ),
    ] {
        let bytes = Bytes::from([&length.to_be_bytes()[..], b"abc"].concat());
        assert_eq!(reader(&bytes).buffer("x"), Err(error.clone()));
        assert_eq!(reader(&bytes).text("x"), Err(error.clone()));
        assert_eq!(reader(&bytes).payload("x"), Err(error));
    }
}

#[test]
fn counts_are_held_against_the_frame() {
    for (count, least, expected) in [
        (-1, 4, Ok(0)),
        (0, 4, Ok(0)),
        (2, 4, Ok(2)),
        (
            3,
            4,
            Err(DecodeError::TooManyItems {
                what: "x",
                count: 3,
                left: 8,
            }),
        ),
        (8, 0, Ok(8)),
        (
            9,
            0,
            Err(DecodeError::TooManyItems {
                what: "x",
                count: 9,
                left: 8,
            }),
        ),
        (
            -2,
            4,
            Err(DecodeError::NegativeLength {
                what: "x",
                length: -2,
            }),
        ),
    ] {
        let bytes = Bytes::from([&i32::to_be_bytes(count)[..], &[0; 8]].concat());
        assert_eq!(reader(&bytes).vector_len("x", least), expected);
    }
}

#[test]
fn a_payload_is_a_slice_of_the_chunk() {
    let chunk = Bytes::from(b"..\x00\x00\x00\x03abc..".to_vec());
    let payload = Reader::within(&chunk, 2..9).payload("data").unwrap();
    assert_eq!(payload, "abc");
    assert_eq!(payload.as_ptr(), chunk[6..].as_ptr());
}

#[test]
fn a_reader_stays_within_its_range_and_the_chunk() {
    let chunk = Bytes::from_static(&[0, 0, 0, 1, 9]);
    assert_eq!(
        Reader::within(&chunk, 0..3).int("x"),
        Err(DecodeError::Truncated {
            what: "x",
            needed: 4,
            left: 3
        })
    );
    assert_eq!(Reader::within(&chunk, 0..100).remaining(), 5);
    assert_eq!(Reader::within(&chunk, 50..100).remaining(), 0);
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tested")]
    let backwards = 4..2;
    assert_eq!(Reader::within(&chunk, backwards).remaining(), 0);
}

#[test]
fn a_frame_has_its_length_in_front() {
    let mut out = vec![9];
    frame(&mut out, |out| put_text(out, "ab"));
    frame(&mut out, |_| {});
    assert_eq!(out, [9, 0, 0, 0, 6, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0]);
}

#[test]
fn text_is_never_written_as_surrogates() {
    let mut out = Vec::new();
    put_text(&mut out, "\u{1f600}");
    assert_eq!(out, [0, 0, 0, 4, 0xf0, 0x9f, 0x98, 0x80]);
}
