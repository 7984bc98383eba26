//! What real clients sent, and steps of hostile ones.

use super::{Golden, chance, golden};
use crate::clients::step;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for conn in golden() {
        let sent: Vec<&Golden> = conn.iter().filter(|golden| is_sent(golden)).collect();
        for options in [0, 1, 0b1000_0010] {
            // Every other one is run twice, and cut.
            let mut seed = vec![options, 3 * (seeds.len() % 2) as u8];
            for golden in &sent {
                let length = golden.bytes.len();
                if seed.len() + length > 1500 {
                    break;
                }
                let long = u16::try_from(length).unwrap_or_default().to_be_bytes();
                seed.extend_from_slice(&[step::LONG, 0, long[0], long[1]]);
                seed.extend_from_slice(&golden.bytes);
            }
            seeds.push(seed);
        }
    }
    // Every request, after all that it may need.
    for which in 0..32 {
        for flags in [0, 1, 2, 5, 15, 31, 0x23, 0x47] {
            let mut seed = vec![which % 8 * 32, flags, step::OPEN, 0, step::OPEN, 1];
            let create = [step::REQUEST, 0, 0, 0, 0, step::REQUEST, 0, 0, 1, 1];
            seed.extend_from_slice(&create);
            seed.extend_from_slice(&[step::REQUEST, 0, 11, 4, 1, step::FULL, 0]);
            for at in [0, 1, 4, 7, 10, 0x30] {
                seed.extend_from_slice(&[step::REQUEST, 1, which, at, flags]);
            }
            seed.extend_from_slice(&[step::FLOOD, 1, 9, 8, 0, 1]);
            seeds.push(seed);
        }
    }
    // Every word, fault and call, with clients in between.
    for which in 0..60 {
        let mut seed = vec![which, which, step::OPEN, 0, step::OPEN, 1];
        seed.extend_from_slice(&[step::WORD, (which % 16) * 5 + 2, step::CALL, which]);
        seed.extend_from_slice(&[step::FAULT, which, which, step::REQUEST, 0, 0, 0, 0]);
        seed.extend_from_slice(&[
            step::GREET,
            3,
            which.wrapping_mul(4),
            step::REQUEST,
            1,
            8,
            0,
            1,
        ]);
        seed.extend_from_slice(&[step::DUE, step::CALL, 4, step::WAIT, 40, 0, step::DUE]);
        seeds.push(seed);
    }
    seeds.extend(chance());
    seeds
}

fn is_sent(golden: &Golden) -> bool {
    matches!(golden.frame.as_str(), "ConnectRequest" | "Request")
}
