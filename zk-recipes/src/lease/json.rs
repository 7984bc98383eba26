//! As much of JSON as a small record takes: every text that is JSON is read, numbers as far as they
//! are whole. A dependency would be larger than this.

use std::fmt::Write;

/// How deep a value may be nested. Records are flat.
const DEPTH: usize = 32;

/// A value, as far as it matters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Other,
}

/// A text as Python's dumper quotes it: all but printable ASCII is escaped.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from('"');
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some('"') => quoted.push_str("\\\""),
            Some('\\') => quoted.push_str("\\\\"),
            Some('\n') => quoted.push_str("\\n"),
            Some('\r') => quoted.push_str("\\r"),
            Some('\t') => quoted.push_str("\\t"),
            Some('\u{8}') => quoted.push_str("\\b"),
            Some('\u{c}') => quoted.push_str("\\f"),
            Some(plain @ ' '..='~') => quoted.push(plain),
            _ => {
                // Writing into a text does not fail.
                let _ = write!(quoted, "\\u{unit:04x}");
            }
        }
    }
    quoted.push('"');
    quoted
}

/// The fields of an object that is all there is.
pub(super) fn object(text: &str) -> Option<Vec<(String, Value)>> {
    let mut reader = Reader(text);
    reader.space();
    let fields = reader.object(DEPTH)?;
    reader.space();
    reader.0.is_empty().then_some(fields)
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    fn next(&mut self) -> Option<char> {
        let next = self.0.chars().next()?;
        self.0 = &self.0[next.len_utf8()..];
        Some(next)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.space();
        match self.0.chars().next()? {
            '"' => self.text().map(Value::Text),
            '{' => self.object(depth).map(|_| Value::Other),
            '[' => {
                self.eat("[")?;
                self.list("]", |reader| reader.value(depth).map(drop))?;
                Some(Value::Other)
            }
            '-' | '0'..='9' => self.number(),
            _ => ["true", "false", "null"]
                .into_iter()
                .find_map(|word| self.eat(word))
                .map(|()| Value::Other),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Vec<(String, Value)>> {
        let mut fields = Vec::new();
        self.eat("{")?;
        self.list("}", |reader| {
            let name = reader.text()?;
            reader.space();
            reader.eat(":")?;
            fields.push((name, reader.value(depth)?));
            Some(())
        })?;
        Some(fields)
    }

    /// What is between commas, up to the end.
    fn list(&mut self, end: &str, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.space();
        if self.eat(end).is_some() {
            return Some(());
        }
        loop {
            self.space();
            item(self)?;
            self.space();
            if self.eat(end).is_some() {
                return Some(());
            }
            self.eat(",")?;
        }
    }

    fn number(&mut self) -> Option<Value> {
        let is_part = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let length = self.0.find(|c| !is_part(c)).unwrap_or(self.0.len());
        let (number, rest) = self.0.split_at(length);
        self.0 = rest;
        match number.parse() {
            Ok(whole) => Some(Value::Number(whole)),
            Err(_) => number.parse::<f64>().ok().map(|_| Value::Other),
        }
    }

    fn text(&mut self) -> Option<String> {
        self.eat("\"")?;
        let mut units = Vec::new();
        loop {
            let next = self.next()?;
            let plain = match next {
                '"' => return Some(String::from_utf16_lossy(&units)),
                '\\' => match self.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'u' => {
                        let (digits, rest) = self.0.split_at_checked(4)?;
                        units.push(u16::from_str_radix(digits, 16).ok()?);
                        self.0 = rest;
                        continue;
                    }
                    same @ ('"' | '\\' | '/') => same,
                    _ => return None,
                },
                plain => plain,
            };
            units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_makes_it_panic() {
        let deep = "[".repeat(100_000);
        for text in [
            "{",
            "{\"",
            "{\"a",
            "{\"a\\",
            "{\"a\\u12",
            "{\"a\":",
            "{\"a\":1,",
            "é",
            &deep,
        ] {
            assert_eq!(object(text), None);
        }
        assert_eq!(object(&format!("{{\"a\":{deep}")), None);
        let text = r#"{"a": "\ud83d\ude00\ud83d", "b": 1.5}"#;
        let fields = object(text).unwrap();
        assert_eq!(fields[0].1, Value::Text("😀\u{fffd}".to_owned()));
        assert_eq!(fields[1].1, Value::Other);
    }
}
