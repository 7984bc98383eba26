//! Lists of directives: `key=value` between commas, a value being a token or a quoted text.

use std::borrow::Cow;

use crate::Error;

/// The directives of one token, in their order. Keys are in lower case.
#[derive(Default)]
pub(crate) struct Directives<'a>(Vec<(String, Cow<'a, [u8]>)>);

impl<'a> Directives<'a> {
    /// Reads a token of at most `limit` bytes.
    pub(crate) fn parse(token: &'a [u8], limit: usize) -> Result<Self, Error> {
        if token.len() > limit {
            let length = token.len();
            return Err(Error::TooLong { length, limit });
        }
        let mut list = Self::default();
        let mut rest = token;
        loop {
            rest = skip(rest, |byte| is_space(byte) || byte == b',');
            if rest.is_empty() {
                return Ok(list);
            }
            let (key, behind) = split(rest, is_key);
            let behind = skip(behind, is_space);
            let (false, Some((b'=', value))) = (key.is_empty(), behind.split_first()) else {
                return Err(malformed("a directive is a key, \"=\", and a value"));
            };
            let value = skip(value, is_space);
            let (value, behind) = match value.split_first() {
                Some((b'"', quoted)) => unquote(quoted)?,
                _ => token_value(value)?,
            };
            rest = skip(behind, is_space);
            if !matches!(rest.first(), None | Some(b',')) {
                return Err(malformed("a comma goes behind each directive"));
            }
            let key = String::from_utf8_lossy(key).to_ascii_lowercase();
            list.0.push((key, value));
        }
    }

    /// The value of a directive that may be there once.
    pub(crate) fn once(&self, directive: &'static str) -> Result<Option<&[u8]>, Error> {
        let mut values = self.0.iter().filter(|(key, _)| key == directive);
        let first = values.next();
        if values.next().is_some() {
            return Err(Error::Repeated { directive });
        }
        Ok(first.map(|(_, value)| &**value))
    }

    /// The value of a directive that must be there once.
    pub(crate) fn required(&self, directive: &'static str) -> Result<&[u8], Error> {
        self.once(directive)?.ok_or(Error::Missing { directive })
    }

    /// The value of the first directive of this name.
    #[cfg(feature = "client")]
    pub(crate) fn first(&self, directive: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(key, _)| key == directive);
        found.map(|(_, value)| &**value)
    }

    /// Whether a directive of which there is one valid value is there.
    pub(crate) fn has(&self, directive: &'static str, value: &str) -> Result<bool, Error> {
        match self.once(directive)? {
            None => Ok(false),
            Some(found) if found.eq_ignore_ascii_case(value.as_bytes()) => Ok(true),
            Some(_) => Err(Error::Unsupported { directive }),
        }
    }
}

/// Appends a value in quotes.
pub(crate) fn put_quoted(out: &mut Vec<u8>, value: &[u8]) {
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// A value behind its opening quote, and what is behind the closing one.
fn unquote(quoted: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Error> {
    let special = |byte| matches!(byte, b'"' | b'\\');
    let (plain, mut rest) = split(quoted, |byte| !special(byte));
    let mut value = Cow::Borrowed(plain);
    loop {
        match rest {
            [b'"', behind @ ..] => return Ok((value, behind)),
            [b'\\', escaped, behind @ ..] => {
                value.to_mut().push(*escaped);
                let (plain, behind) = split(behind, |byte| !special(byte));
                value.to_mut().extend_from_slice(plain);
                rest = behind;
            }
            _ => return Err(malformed("a quoted text ends with a quote")),
        }
    }
}

/// A value without quotes, and what is behind it.
fn token_value(value: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Error> {
    let (token, behind) = split(value, is_token);
    if token.is_empty() {
        return Err(malformed("a value is a token or in quotes"));
    }
    Ok((Cow::Borrowed(token), behind))
}

fn skip(bytes: &[u8], what: impl Fn(u8) -> bool) -> &[u8] {
    split(bytes, what).1
}

fn split(bytes: &[u8], first: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| !first(*byte));
    bytes.split_at(end.unwrap_or(bytes.len()))
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// What RFC 2616 permits in a token.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte)
}

fn malformed(what: &'static str) -> Error {
    Error::Malformed { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, Error> {
        let list = Directives::parse(text.as_bytes(), 100)?.0.into_iter();
        Ok(list
            .map(|(key, value)| (key, String::from_utf8(value.into_owned()).unwrap()))
            .collect())
    }

    #[test]
    fn values_are_tokens_or_quoted() {
        let list = parse(" A=b,, c-d = \"e, \\\"f\\\\\" ,g=\"\"\t").unwrap();
        let expected = [("a", "b"), ("c-d", "e, \"f\\"), ("g", "")];
        assert_eq!(
            list,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        assert_eq!(parse(" , "), Ok(Vec::new()));
    }

    #[test]
    fn anything_else_is_malformed() {
        for text in [
            "a", "=b", "a=", "a=,b=c", "a=\"b", "a=\"b\\", "a=b c=d", "a=\"b\"c", "a b=c",
            "a=\u{e9}", "a=b=c", "\0",
        ] {
            assert!(
                matches!(parse(text), Err(Error::Malformed { .. })),
                "{text:?}"
            );
        }
        let limit = 100;
        let long = format!("a={}", "b".repeat(99));
        assert_eq!(parse(&long), Err(Error::TooLong { length: 101, limit }));
    }

    #[test]
    fn what_may_be_there_once_is_there_once() {
        let list = Directives::parse(b"a=1,b=2,A=3", 100).unwrap();
        assert_eq!(list.required("b"), Ok(&b"2"[..]));
        assert_eq!(list.once("a"), Err(Error::Repeated { directive: "a" }));
        assert_eq!(list.once("c"), Ok(None));
        assert_eq!(list.required("c"), Err(Error::Missing { directive: "c" }));
        assert_eq!(
            (list.has("b", "2"), list.has("c", "2")),
            (Ok(true), Ok(false))
        );
        assert_eq!(
            list.has("b", "3"),
            Err(Error::Unsupported { directive: "b" })
        );
    }
}
