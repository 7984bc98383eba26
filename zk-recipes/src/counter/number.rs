//! [`Number`]: what a counter counts in, and how that is written on servers.

use std::fmt;

use private::Format;

/// What a [`Counter`](super::Counter) counts in. Implemented by `i64`, `f64`, and for Curator's
/// format by `i32`.
pub trait Number: Copy + fmt::Debug + PartialEq + Send + Sync + Format + 'static {}

impl Number for i64 {}
impl Number for f64 {}
impl Number for i32 {}

pub(crate) mod private {
    #[expect(unnameable_types, reason = "only this crate implements it")]
    pub trait Format: Sized {
        /// What the data of a counter is, in words.
        const EXPECTED: &'static str;
        /// The bounds of a sum, in words.
        const BOUNDS: &'static str;
        const ZERO: Self;

        fn read(data: &[u8]) -> Option<Self>;
        fn write(self) -> Vec<u8>;
        fn plus(self, other: Self) -> Option<Self>;
        fn minus(self, other: Self) -> Option<Self>;
    }
}

/// The text, without the space around it that Python's `int` and `float` ignore.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok().map(str::trim)
}

/// In decimal, as `repr(int)`.
impl Format for i64 {
    const EXPECTED: &'static str = "a whole number in decimal that fits into 64 bits";
    const BOUNDS: &'static str = "64 bits, signed";
    const ZERO: Self = 0;

    fn read(data: &[u8]) -> Option<Self> {
        text(data)?.parse().ok()
    }

    fn write(self) -> Vec<u8> {
        self.to_string().into_bytes()
    }

    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn minus(self, other: Self) -> Option<Self> {
        self.checked_sub(other)
    }
}

/// In decimal, as `repr(float)`.
impl Format for f64 {
    const EXPECTED: &'static str = "a number in decimal";
    const BOUNDS: &'static str = "finite numbers";
    const ZERO: Self = 0.0;

    fn read(data: &[u8]) -> Option<Self> {
        text(data)?.parse().ok()
    }

    fn write(self) -> Vec<u8> {
        repr(self).into_bytes()
    }

    fn plus(self, other: Self) -> Option<Self> {
        Some(self + other).filter(|sum| sum.is_finite())
    }

    fn minus(self, other: Self) -> Option<Self> {
        Some(self - other).filter(|sum| sum.is_finite())
    }
}

/// Four bytes, most significant first, as Curator's `SharedCount`.
impl Format for i32 {
    const EXPECTED: &'static str = "four bytes";
    const BOUNDS: &'static str = "32 bits, signed";
    const ZERO: Self = 0;

    fn read(data: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(data.try_into().ok()?))
    }

    fn write(self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn minus(self, other: Self) -> Option<Self> {
        self.checked_sub(other)
    }
}

/// A number as Python writes it: the shortest digits that give it back, with an exponent only
/// below 1e-4 and from 1e16.
fn repr(number: f64) -> String {
    if !number.is_finite() {
        return format!("{number}").to_lowercase();
    }
    let scientific = format!("{number:e}");
    let exponent = scientific
        .split_once('e')
        .and_then(|(mantissa, exponent)| Some((mantissa, exponent.parse::<i32>().ok()?)));
    match exponent {
        Some((mantissa, exponent)) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, python) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (2.0, "2.0"),
            (3.25, "3.25"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000012, "1.2e-05"),
            (-1e-7, "-1e-07"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (9007199254740993.0, "9007199254740992.0"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(String::from_utf8(number.write()).unwrap(), python);
            assert_eq!(
                f64::read(python.as_bytes()).map(f64::write),
                Some(number.write())
            );
        }
    }

    #[test]
    fn whole_numbers_are_read_as_python_reads_them() {
        for (text, number) in [
            ("12", Some(12)),
            ("-7", Some(-7)),
            ("+7", Some(7)),
            (" 007\n", Some(7)),
            ("3.25", None),
            ("x", None),
            ("9223372036854775808", None),
        ] {
            assert_eq!(i64::read(text.as_bytes()), number, "{text}");
        }
        assert_eq!(i64::read(&[0xff]), None);
    }

    #[test]
    fn curators_numbers_are_four_bytes() {
        for number in [0, 1, -1, i32::MAX, i32::MIN + 1] {
            assert_eq!(i32::read(&number.write()), Some(number));
        }
        assert_eq!(1_i32.write(), [0, 0, 0, 1]);
        assert_eq!(i32::read(b"12"), None);
    }

    #[test]
    fn sums_out_of_bounds_are_none() {
        assert_eq!(i64::MAX.plus(1), None);
        assert_eq!(i32::MIN.minus(1), None);
        assert_eq!(f64::MAX.plus(f64::MAX), None);
        assert_eq!(1_i64.minus(2), Some(-1));
    }
}
