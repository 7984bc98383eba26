//! Whom a certificate is for, as ZooKeeper's servers have it: `X500Principal.getName()` of the JDK, which
//! is RFC 2253 with some choices of its own.
//!
//! | part | written as |
//! |---|---|
//! | the order | the last name first |
//! | types of RFC 2253 and 1779 | their keyword, such as `CN` |
//! | other types | the dotted number, and the value as `#` and its DER in hexadecimal digits |
//! | `,=+<>#;"\` anywhere, blanks at either end | behind a backslash |

use std::fmt::Write;

/// Where a name begins in what is signed, counted from the number of the certificate.
const SUBJECT: usize = 4;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// The version of a certificate, which the oldest do not have.
const VERSION: u8 = 0xa0;

/// UTF8, Printable, T61, IA5, General, Universal and BMP strings.
const STRINGS: [u8; 7] = [0x0c, 0x13, 0x14, 0x16, 0x1b, 0x1c, 0x1e];

/// The subject of a certificate in DER; `None` if it is not one.
pub(super) fn subject(certificate: &[u8]) -> Option<String> {
    let mut signed = Der(Der(Der(certificate).open(SEQUENCE)?).open(SEQUENCE)?);
    let mut item = signed.next()?;
    if item.tag == VERSION {
        item = signed.next()?;
    }
    for _ in 0..SUBJECT {
        item = signed.next()?;
    }
    (item.tag == SEQUENCE).then_some(())?;
    name(item.content)
}

fn name(content: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = Der(content);
    while !rest.is_empty() {
        parts.push(relative(rest.open(SET)?)?);
    }
    parts.reverse();
    Some(parts.join(","))
}

/// One level of a name: a value, or several.
fn relative(content: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = Der(content);
    while !rest.is_empty() {
        let mut pair = Der(rest.open(SEQUENCE)?);
        let kind = pair.open(OBJECT_IDENTIFIER)?;
        parts.push(attribute(&dotted(kind)?, &pair.next()?));
    }
    Some(parts.join("+"))
}

fn attribute(kind: &str, value: &Item<'_>) -> String {
    let keyword = match kind {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        other => return format!("{other}={}", hexadecimal(value.whole)),
    };
    if !STRINGS.contains(&value.tag) {
        return format!("{keyword}={}", hexadecimal(value.whole));
    }
    // Whatever its type is: that is how the JDK reads it.
    format!(
        "{keyword}={}",
        escaped(&String::from_utf8_lossy(value.content))
    )
}

fn hexadecimal(der: &[u8]) -> String {
    let mut text = "#".to_owned();
    for byte in der {
        // A string takes whatever there is room for in memory.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn escaped(value: &str) -> String {
    let is_blank = |c| matches!(c, ' ' | '\r');
    let inner = value.trim_matches(is_blank);
    let start = value.len() - value.trim_start_matches(is_blank).len();
    let mut text = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let is_outside = at < start || at >= start + inner.len();
        match c {
            '\0' => text.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => text.extend(['\\', c]),
            _ if is_outside => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    text
}

/// An object identifier by its numbers.
fn dotted(content: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut number = 0_u64;
    for (at, byte) in content.iter().enumerate() {
        number = number.checked_mul(128)? + u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            (at + 1 < content.len()).then_some(())?;
            continue;
        }
        if text.is_empty() {
            // The first two are in one.
            let first = (number / 40).min(2);
            text = format!("{first}.{}", number - first * 40);
        } else {
            text = format!("{text}.{number}");
        }
        number = 0;
    }
    (!text.is_empty()).then_some(text)
}

/// What is left of some DER.
struct Der<'a>(&'a [u8]);

struct Item<'a> {
    tag: u8,
    content: &'a [u8],
    /// With tag and length.
    whole: &'a [u8],
}

impl<'a> Der<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next item, if it is one of these.
    fn open(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|item| item.tag == tag)
            .map(|item| item.content)
    }

    fn next(&mut self) -> Option<Item<'a>> {
        let (&[tag, first], _) = self.0.split_first_chunk()?;
        let mut head = 2;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let count = usize::from(first & 0x7f);
            // Nothing is of four gigabytes, or of a length that is told by its end.
            let bytes = self
                .0
                .get(2..2 + count)
                .filter(|b| (1..4).contains(&b.len()))?;
            head += count;
            bytes
                .iter()
                .fold(0, |sum, byte| sum * 256 + usize::from(*byte))
        };
        // In certificates no tag has more than one byte.
        (tag & 0x1f != 0x1f).then_some(())?;
        let (whole, rest) = self.0.split_at_checked(head + length)?;
        self.0 = rest;
        let content = &whole[head..];
        Some(Item {
            tag,
            content,
            whole,
        })
    }
}

#[cfg(test)]
mod tests;
