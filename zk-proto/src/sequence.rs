//! The counters at the end of sequential names.

use std::{cmp::Ordering, fmt};

/// The counter that a server appends to the name of a sequential node.
///
/// It is `%010d` of a signed number that counts the creations below the parent. After 2147483647
/// servers up to 3.5 go on with `-2147483648`; so names must not be compared as text, and counters
/// are not ordered as numbers but [around the wrap](Self::wrapping_cmp).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sequence(pub i32);

impl Sequence {
    /// Splits a name into what the client chose and the counter.
    ///
    /// ```
    /// # use zk_proto::Sequence;
    /// assert_eq!(Sequence::parse_suffix("lock-0000000007"), Some(("lock-", Sequence(7))));
    /// ```
    ///
    /// A hyphen before ten digits is taken for the end of the client's part as long as the digits
    /// are a number without it: `lock-2000000000` is 2000000000 after `lock-`, although it could be
    /// -2000000000 after `lock`. With a known prefix [`parse_after`](Self::parse_after) is exact.
    pub fn parse_suffix(name: &str) -> Option<(&str, Self)> {
        [10, 11].into_iter().find_map(|length| {
            let (prefix, suffix) = name.split_at_checked(name.len().checked_sub(length)?)?;
            Some((prefix, Self::parse(suffix)?))
        })
    }

    /// The counter that follows `prefix` in `name`.
    pub fn parse_after(prefix: &str, name: &str) -> Option<Self> {
        name.strip_prefix(prefix).and_then(Self::parse)
    }

    /// The counter of which `suffix` is the text.
    fn parse(suffix: &str) -> Option<Self> {
        let digits = suffix.strip_prefix('-').unwrap_or(suffix);
        let number = suffix
            .parse()
            .ok()
            .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
        let padded = match suffix.len() {
            10 => number >= 0 || number > -1_000_000_000,
            11 => number <= -1_000_000_000,
            _ => false,
        };
        (padded && (suffix != "-000000000")).then_some(Self(number))
    }

    /// The number of creations from `earlier` to this one, across the wrap. Negative if it is not
    /// the earlier one.
    #[inline]
    pub const fn distance_from(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Which of two counters came first, across the wrap. Right as long as fewer than 2^31 creations
    /// lie between them, therefore no [`Ord`]: it is no order on all counters.
    #[inline]
    pub fn wrapping_cmp(self, other: Self) -> Ordering {
        match self.distance_from(other) {
            i32::MIN => self.0.cmp(&other.0),
            distance => distance.cmp(&0),
        }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:010}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_servers_do() {
        for (number, text) in [
            (0, "0000000000"),
            (42, "0000000042"),
            (i32::MAX, "2147483647"),
            (i32::MIN, "-2147483648"),
            (-1_000_000_000, "-1000000000"),
            (-999_999_999, "-999999999"),
            (-1, "-000000001"),
        ] {
            assert_eq!(Sequence(number).to_string(), text);
            assert_eq!(
                Sequence::parse_after("x-", &format!("x-{text}")),
                Some(Sequence(number))
            );
            // The one that reads as a positive number after a hyphen.
            if number != -1_000_000_000 {
                assert_eq!(
                    Sequence::parse_suffix(text),
                    Some(("", Sequence(number))),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn splits_names() {
        for (name, expected) in [
            ("lock-0000000007", Some(("lock-", 7))),
            ("seq-9990000000008", Some(("seq-999", 8))),
            ("lock--000000007", Some(("lock-", -7))),
            ("lock--2147483648", Some(("lock-", i32::MIN))),
            ("lock-2147483648", Some(("lock", i32::MIN))),
            ("lock-2000000000", Some(("lock-", 2_000_000_000))),
            ("\u{65e5}0000000001", Some(("\u{65e5}", 1))),
            ("lock-2147483649", None),
            ("lock-000000000", None),
            ("lock-9999999999", None),
            ("lock-00000x0007", None),
            ("lock-+000000007", None),
            ("000000000", None),
            ("", None),
            ("\u{65e5}\u{65e5}\u{65e5}\u{65e5}", None),
        ] {
            let found = Sequence::parse_suffix(name).map(|(prefix, s)| (prefix, s.0));
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(
            Sequence::parse_after("lock", "lock-2000000000"),
            Some(Sequence(-2_000_000_000))
        );
        assert_eq!(
            Sequence::parse_after("lock-", "lock-2000000000"),
            Some(Sequence(2_000_000_000))
        );
        assert_eq!(Sequence::parse_after("other-", "lock-2000000000"), None);
    }

    #[test]
    fn order_goes_around_the_wrap() {
        let around = [2_147_483_646, i32::MAX, i32::MIN, i32::MIN + 1].map(Sequence);
        for pair in around.windows(2) {
            assert_eq!(pair[0].wrapping_cmp(pair[1]), Ordering::Less);
            assert_eq!(pair[1].wrapping_cmp(pair[0]), Ordering::Greater);
            assert_eq!(pair[1].distance_from(pair[0]), 1);
        }
        assert_eq!(Sequence(-1).wrapping_cmp(Sequence(0)), Ordering::Less);
        assert_eq!(Sequence(5).wrapping_cmp(Sequence(5)), Ordering::Equal);
        assert_eq!(
            Sequence(0).wrapping_cmp(Sequence(i32::MIN)),
            Ordering::Greater
        );
        assert_eq!(Sequence(i32::MIN).wrapping_cmp(Sequence(0)), Ordering::Less);
    }
}
