//! Watches of a session on honest servers that keep them as 3.8 does, or as 3.9 does.
//!
//! The first byte of an input says which, and how much is sent at once; each pair of bytes after it
//! is a step.

use zk_rig::registry::Flavour;
use zk_rig::watches::{KINDS, Op, PATHS, run};

use crate::cursor::Cursor;

/// No case has more steps.
const MOST: usize = 100;

/// Watchers, writers, and a connection that breaks.
///
/// # Panics
/// If anybody is not told what they are entitled to, or twice, or if the server keeps too much.
pub fn session_watches(input: &[u8]) {
    let (flavour, chunk, ops) = watches_case(input);
    run(flavour, chunk, &ops);
}

/// What an input of [`session_watches`] stands for, to be written down as a test: how servers keep
/// watches, about how much is sent at once, and the steps.
pub fn watches_case(input: &[u8]) -> (Flavour, usize, Vec<Op>) {
    let mut cursor = Cursor::new(input);
    let first = cursor.byte();
    let flavour = if first & 1 == 0 {
        Flavour::Coexisting
    } else {
        Flavour::Replacing
    };
    let chunk = if first & 2 == 0 { 65_536 } else { 1 };
    let mut ops = Vec::new();
    while !cursor.is_empty() && ops.len() < MOST {
        ops.push(op(cursor.byte(), cursor.byte()));
    }
    (flavour, chunk, ops)
}

fn op(what: u8, with: u8) -> Op {
    let which = usize::from(with);
    // Few paths are common, so that watchers meet.
    let path = [0, 0, 0, 1, 1, 2, 3, 4, 5][which / 16 % 9] % PATHS.len();
    let few = 1 + which % 4;
    match what % 32 {
        0..10 => Op::Watch {
            kind: usize::from(what % 32 / 2) % KINDS.len(),
            path,
            chroot: with & 1 != 0,
            impatient: with & 6 == 6,
        },
        10..14 => Op::Unwatch(which % 20),
        14 => Op::Cancel(which % 20),
        15..20 => Op::Write(which % 3, path),
        20 => Op::Own(which % 3, path),
        21 => Op::Transmit(few),
        22 => Op::Serve(few),
        23 => Op::Deliver(few),
        24..28 => Op::Turn,
        28 => Op::Wait(1 + u64::from(with) * 6),
        29 => Op::Cut(with & 1 != 0),
        30 => Op::Rest,
        _ if with < 32 => Op::Kill,
        _ => Op::Turn,
    }
}
