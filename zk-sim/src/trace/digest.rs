//! A running hash of 128 bits: fast, stable over versions, and not meant to withstand forgers.

/// Two lanes, each mixed by a multiplication of 64 by 64 bits.
#[derive(Clone, Debug)]
pub(crate) struct Digest {
    high: u64,
    low: u64,
}

impl Default for Digest {
    fn default() -> Self {
        Self {
            high: 0x243f_6a88_85a3_08d3,
            low: 0x1319_8a2e_0370_7344,
        }
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Digest {
    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        self.high = fold(self.high ^ word, 0x9e37_79b9_7f4a_7c15).wrapping_add(self.low);
        self.low = fold(self.low ^ word.rotate_left(32), 0xa076_1d64_78bd_642f) ^ self.high;
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn value(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_length_and_content_count() {
        let of = |parts: &[&[u8]]| {
            let mut digest = Digest::default();
            parts.iter().for_each(|part| digest.bytes(part));
            digest.value()
        };
        let all = [
            of(&[]),
            of(&[b""]),
            of(&[b"a"]),
            of(&[b"a\0"]),
            of(&[b"a", b"b"]),
            of(&[b"b", b"a"]),
            of(&[b"ab"]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
        assert_eq!(of(&[b"zookeeper"]), of(&[b"zookeeper"]));
    }
}
