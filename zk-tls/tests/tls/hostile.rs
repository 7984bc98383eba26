//! Whatever arrives: nothing panics, nothing is heard that was not said, and a failure is final.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use zk_session::LayerErrorKind as Kind;
use zk_tls::Version;

use crate::pair::{Pair, SetUp, cases};

/// What becomes of bytes on their way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Drop(Index, usize),
    Repeat(Index, usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let at = any::<Index>;
        prop_oneof![
            (at(), 1..=255_u8).prop_map(|(at, bits)| Self::Flip(at, bits)),
            (at(), vec(any::<u8>(), 1..80)).prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (at(), 1..200_usize).prop_map(|(at, count)| Self::Drop(at, count)),
            (at(), 1..600_usize).prop_map(|(at, count)| Self::Repeat(at, count)),
        ]
    }

    fn to(&self, wire: &mut Vec<u8>) {
        if wire.is_empty() {
            return;
        }
        let length = wire.len();
        match self {
            Self::Flip(at, bits) => wire[at.index(length)] ^= bits,
            Self::Insert(at, bytes) => {
                let at = at.index(length);
                wire.splice(at..at, bytes.iter().copied());
            }
            Self::Drop(at, count) => {
                let at = at.index(length);
                wire.drain(at..length.min(at + count));
            }
            Self::Repeat(at, count) => {
                let at = at.index(length);
                let again = wire[at..length.min(at + count)].to_vec();
                wire.splice(at..at, again);
            }
        }
    }
}

/// Goes on, in pieces, until nothing is on the way or one of the two has failed.
fn go_on(pair: &mut Pair, piece: usize) {
    for _ in 0..200_000 {
        if pair.up.wire.is_empty() && pair.down.wire.is_empty() {
            return;
        }
        if pair.up(piece).is_err() || pair.down(piece).is_err() {
            return;
        }
    }
    panic!("they talk without an end");
}

/// What was not said is not heard, and after a failure nothing is.
fn is_final(pair: &mut Pair) {
    pair.down.wire.extend_from_slice(&[0x17, 3, 3, 0, 1, 0]);
    let result = pair.down(usize::MAX);
    assert!(pair.up.said.starts_with(&pair.up.heard));
    assert!(pair.down.said.starts_with(&pair.down.heard));
    let Err(error) = result else { return };
    let heard = pair.down.heard.len();
    pair.down.wire.extend_from_slice(b"more");
    assert_eq!(pair.down(usize::MAX), Err(error.clone()));
    assert_eq!(pair.client.encode(b"x", &mut Vec::new()), Err(error));
    assert!(!pair.client.is_established());
    assert_eq!(pair.down.heard.len(), heard);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_damaged_handshake_comes_to_an_end(
        set_up in SetUp::any(),
        flight in 0..4_usize,
        damage in vec(Damage::any(), 1..4),
        piece in 1..3000_usize,
    ) {
        let mut pair = Pair::new(set_up);
        for number in 0..4 {
            let wire = if number % 2 == 0 { &mut pair.up.wire } else { &mut pair.down.wire };
            if number == flight {
                damage.iter().for_each(|damage| damage.to(wire));
            }
            let failed = if number % 2 == 0 {
                pair.up(usize::MAX).is_err()
            } else {
                pair.down(usize::MAX).is_err()
            };
            if failed || number == flight {
                break;
            }
        }
        go_on(&mut pair, piece);
        is_final(&mut pair);
    }

    #[test]
    fn damaged_data_is_not_heard(
        set_up in SetUp::any(),
        damage in vec(Damage::any(), 1..4),
        length in 1..40_000_usize,
        piece in 1..3000_usize,
    ) {
        let mut pair = Pair::new(set_up);
        pair.settle();
        pair.server_says(&vec![7; length]);
        pair.client_says(&vec![9; length]);
        for damage in &damage {
            damage.to(&mut pair.down.wire);
            damage.to(&mut pair.up.wire);
        }
        go_on(&mut pair, piece);
        is_final(&mut pair);
    }

    #[test]
    fn strangers_are_told(bytes in vec(any::<u8>(), 1..4000), piece in 1..500_usize) {
        let set_up = SetUp { version: Version::V1_3, mutual: false };
        let mut pair = Pair::new(set_up);
        pair.down.wire.clone_from(&bytes);
        pair.up.wire.clone_from(&bytes);
        go_on(&mut pair, piece);
        is_final(&mut pair);
        prop_assert!(!pair.client.is_established() && !pair.server.is_established());
    }
}

#[test]
fn what_is_no_tls_is_told_by_its_first_bytes() {
    let set_up = SetUp {
        version: Version::V1_3,
        mutual: false,
    };
    for (answer, word) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"\0\0\0\x29\0\0\0\0\0\0\x75\x30", "secureClientPort"),
    ] {
        let mut pair = Pair::new(set_up);
        pair.down.wire.extend_from_slice(answer);
        let error = pair.down(usize::MAX).unwrap_err();
        assert_eq!(error.kind, Kind::Plaintext);
        assert!(error.message.contains(word), "{error}");
    }
}

#[test]
fn a_handshake_without_an_end_is_given_up() {
    let set_up = SetUp {
        version: Version::V1_3,
        mutual: false,
    };
    let mut pair = Pair::new(set_up);
    // A message of 16 MiB, in records that each are in order.
    let mut record = vec![0x16, 3, 3, 0x40, 0];
    record.resize(5 + 0x4000, 0);
    let mut first = record.clone();
    first[5..9].copy_from_slice(&[2, 0xff, 0xff, 0xff]);
    pair.down.wire = first;
    for _ in 0..8 {
        if let Err(error) = pair.down(usize::MAX) {
            assert!(
                matches!(error.kind, Kind::Plaintext | Kind::Violation),
                "{error}"
            );
            return;
        }
        pair.down.wire.clone_from(&record);
    }
    panic!("all of it was kept");
}
