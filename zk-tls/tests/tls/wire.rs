//! Whatever the pieces in which bytes arrive, what was said is heard.

use proptest::collection::vec;
use proptest::prelude::*;
use zk_session::LayerErrorKind;
use zk_tls::Version;

use crate::pair::{Pair, SetUp, cases};

/// What happens next, if it can.
#[derive(Clone, Copy, Debug)]
enum Step {
    Up(usize),
    Down(usize),
    ClientSays(usize),
    ServerSays(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let piece = || prop_oneof![4 => 1..40_usize, 2 => 40..2000_usize, 1 => 2000..70_000_usize];
    let message = || prop_oneof![4 => 0..200_usize, 1 => 200..50_000_usize];
    let step = prop_oneof![
        5 => piece().prop_map(Step::Up),
        5 => piece().prop_map(Step::Down),
        2 => message().prop_map(Step::ClientSays),
        2 => message().prop_map(Step::ServerSays),
    ];
    vec(step, 0..200)
}

fn message(length: usize, seed: usize) -> Vec<u8> {
    let byte = |at: usize| u8::try_from((at * 7 + seed * 31) % 251).unwrap();
    (0..length).map(byte).collect()
}

fn run(pair: &mut Pair, steps: &[Step]) {
    for (seed, step) in steps.iter().enumerate() {
        match *step {
            Step::Up(count) => pair.up(count).unwrap(),
            Step::Down(count) => pair.down(count).unwrap(),
            Step::ClientSays(length) if pair.client.is_established() => {
                pair.client_says(&message(length, seed));
            }
            Step::ServerSays(length) if pair.server.is_established() => {
                pair.server_says(&message(length, seed));
            }
            Step::ClientSays(_) | Step::ServerSays(_) => {}
        }
        assert!(pair.up.said.starts_with(&pair.up.heard));
        assert!(pair.down.said.starts_with(&pair.down.heard));
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn what_is_said_is_heard(set_up in SetUp::any(), steps in steps()) {
        let mut pair = Pair::new(set_up);
        run(&mut pair, &steps);
        pair.settle();
        prop_assert!(pair.client.is_established() && pair.server.is_established());
        pair.client_says(b"last words");
        pair.server_says(b"and last answers");
        pair.settle();
        prop_assert_eq!(&pair.up.heard, &pair.up.said);
        prop_assert_eq!(&pair.down.heard, &pair.down.said);
        prop_assert_eq!(pair.server.client_certificates().is_some(), set_up.mutual);
        prop_assert_eq!(pair.client.closed(), None);
    }

    #[test]
    fn an_orderly_end_is_told_from_a_cut(
        set_up in SetUp::any(),
        steps in steps(),
        arrives in 0..60_usize,
        orderly in any::<bool>(),
    ) {
        let mut pair = Pair::new(set_up);
        run(&mut pair, &steps);
        pair.settle();
        pair.server_says(b"some thirty bytes of plain text");
        if orderly {
            pair.server.close(&mut pair.down.wire);
            pair.settle();
            prop_assert_eq!(pair.client.closed(), None);
            prop_assert_eq!(&pair.down.heard, &pair.down.said);
            // The other direction is open, and nothing more is heard.
            pair.client_says(b"still here");
            pair.down.wire.extend_from_slice(b"nonsense");
            pair.settle();
            prop_assert_eq!(&pair.up.heard, &pair.up.said);
            prop_assert_eq!(&pair.down.heard, &pair.down.said);
        } else {
            let whole = pair.down.wire.len();
            pair.down(arrives).unwrap();
            let closed = pair.client.closed().map(|error| error.kind);
            let cut = arrives > 0 && arrives < whole;
            prop_assert_eq!(closed, cut.then_some(LayerErrorKind::Truncated));
        }
    }

    #[test]
    fn a_handshake_that_is_cut_is_told(set_up in SetUp::any(), arrives in 0..2000_usize) {
        let mut pair = Pair::new(set_up);
        pair.up(usize::MAX).unwrap();
        // The last flight of the server in TLS 1.2 is a later one.
        let first = pair.down.wire.len();
        let arrives = arrives.min(first - 1);
        pair.down(arrives).unwrap();
        prop_assert!(!pair.client.is_established());
        let kind = pair.client.closed().unwrap().kind;
        let expected = if arrives == 0 { LayerErrorKind::Plaintext } else { LayerErrorKind::Truncated };
        prop_assert_eq!(kind, expected);
        prop_assert!(pair.client.encode(b"too early", &mut Vec::new()).is_err());
    }
}

#[test]
fn sessions_are_resumed_in_both_versions() {
    for version in [Version::V1_2, Version::V1_3] {
        let mutual = false;
        let set_up = SetUp { version, mutual };
        let (tls, acceptor) = (set_up.tls(), set_up.acceptor());
        for resumed in 0..3 {
            let mut pair = Pair::of(&tls, &acceptor);
            pair.settle();
            pair.server_says(b"tickets come with data");
            pair.settle();
            let handshakes = tls.handshakes();
            assert_eq!((handshakes.full, handshakes.resumed), (1, resumed));
        }
    }
}
