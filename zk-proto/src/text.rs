//! Strings as servers write them: UTF-8, or CESU-8 for characters above U+FFFF.

use std::borrow::Cow;

/// The text that `bytes` stand for. Never fails, and copies only what is not UTF-8.
#[inline]
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_cesu(bytes)),
    }
}

/// Java's `BinaryOutputArchive.writeString` encodes each UTF-16 unit on its own, so a character
/// above U+FFFF arrives as two surrogates of three bytes each.
#[cold]
fn decode_cesu(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest
        .windows(6)
        .position(|window| surrogate_pair(window).is_some())
    {
        text.push_str(&String::from_utf8_lossy(&rest[..at]));
        text.extend(surrogate_pair(&rest[at..at + 6]));
        rest = &rest[at + 6..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

/// The character of two surrogates: `ed a0..af xx` (high), then `ed b0..bf xx` (low).
fn surrogate_pair(bytes: &[u8]) -> Option<char> {
    match *bytes {
        [
            0xed,
            a @ 0xa0..=0xaf,
            b @ 0x80..=0xbf,
            0xed,
            c @ 0xb0..=0xbf,
            d @ 0x80..=0xbf,
        ] => {
            let [a, b, c, d] = [a & 0x0f, b & 0x3f, c & 0x0f, d & 0x3f].map(u32::from);
            char::from_u32(0x1_0000 + (a << 16 | b << 10 | c << 6 | d))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_java_writes() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            ("\u{65e5}\u{672c}".as_bytes(), "\u{65e5}\u{672c}"),
            (b"\xed\xa0\xbd\xed\xb8\x80", "\u{1f600}"),
            (
                b"a\xed\xa0\xbd\xed\xb8\x80b\xed\xaf\xbf\xed\xbf\xbf",
                "a\u{1f600}b\u{10ffff}",
            ),
            (b"\xed\xa0\x80\xed\xb0\x80", "\u{10000}"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(decode(bytes), text);
        }
    }

    #[test]
    fn valid_text_is_borrowed() {
        assert!(matches!(decode("\u{1f600}".as_bytes()), Cow::Borrowed(_)));
    }
}
