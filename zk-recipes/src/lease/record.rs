//! The record of a lease: JSON as Python's dumper writes it, and a time of day in whole seconds.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::json::{self, Value};

/// The only version that there is.
pub(super) const VERSION: i64 = 1;

const DAY: u64 = 86_400;

/// Who has the lease, and until when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) version: i64,
    pub(super) holder: String,
    pub(super) end: SystemTime,
}

impl Record {
    /// A record whose end is in whole seconds, as it is written.
    pub(super) fn new(holder: &str, end: SystemTime) -> Self {
        let seconds = end.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self {
            version: VERSION,
            holder: holder.to_owned(),
            end: UNIX_EPOCH + Duration::from_secs(seconds),
        }
    }

    /// To the byte as `json.dumps` of kazoo.
    pub(super) fn write(&self) -> String {
        let holder = json::quote(&self.holder);
        let end = format_time(self.end);
        format!(
            r#"{{"version": {}, "holder": {holder}, "end": "{end}"}}"#,
            self.version
        )
    }

    /// Whatever else is in it, and in which order.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let fields = json::object(std::str::from_utf8(data).ok()?)?;
        let field = |name: &str| fields.iter().rev().find(|(key, _)| key == name);
        let Value::Number(version) = field("version")?.1 else {
            return None;
        };
        if version != VERSION {
            // The rest may be of another kind.
            return Some(Self {
                version,
                holder: String::new(),
                end: UNIX_EPOCH,
            });
        }
        match (&field("holder")?.1, &field("end")?.1) {
            (Value::Text(holder), Value::Text(end)) => Some(Self {
                version,
                holder: holder.clone(),
                end: parse_time(end)?,
            }),
            _ => None,
        }
    }
}

/// `%Y-%m-%dT%H:%M:%S`, in UTC.
fn format_time(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let (year, month, day) = civil(seconds / DAY);
    let of_day = seconds % DAY;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let mut text = String::new();
    // Writing into a text does not fail.
    let _ = write!(
        text,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
    );
    text
}

fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, time) = text.split_once('T')?;
    // A fraction of a second, or a zone that says UTC, is nothing that kazoo writes.
    let time = time.split(['.', 'Z', '+']).next()?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 || !(1970..=9999).contains(&year) {
        return None;
    }
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

fn numbers(text: &str, separator: char) -> Option<[u64; 3]> {
    let mut parts = text.split(separator).map(str::parse);
    let numbers = [
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    ];
    parts.next().is_none().then_some(numbers)
}

/// The days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that
/// leap days are at their end.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

/// The date so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    match month {
        0..=9 => (year, month + 3, day),
        _ => (year + 1, month - 9, day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_written_and_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_700_000_000, "2023-11-14T22:13:20"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
            (253_402_300_799, "9999-12-31T23:59:59"),
        ] {
            assert_eq!(format_time(at(seconds)), text);
            assert_eq!(parse_time(text), Some(at(seconds)), "{text}");
        }
        for day in 0..100_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        for wrong in [
            "",
            "2023-11-14",
            "2023-13-01T00:00:00",
            "2023-1T0:0:0",
            "x-1-1T0:0:0",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
        assert_eq!(
            parse_time("2023-11-14T22:13:20.5Z"),
            Some(at(1_700_000_000))
        );
    }

    #[test]
    fn records_are_written_as_python_writes_them() {
        let record = Record::new(
            "host é😀\"\\\n\u{7f}",
            at(1_700_000_000) + Duration::from_millis(900),
        );
        assert_eq!(
            record.write(),
            r#"{"version": 1, "holder": "host \u00e9\ud83d\ude00\"\\\n\u007f", "end": "2023-11-14T22:13:20"}"#
        );
        assert_eq!(Record::read(record.write().as_bytes()), Some(record));
    }

    #[test]
    fn records_are_read_whatever_else_is_in_them() {
        let text = r#" { "x" : [1, {"y": null}, -2.5e3, true] , "end":"2023-11-14T22:13:20",
            "holder":"a\/b", "version":1 } "#;
        let record = Record::read(text.as_bytes()).unwrap();
        assert_eq!(
            (record.holder.as_str(), record.end),
            ("a/b", at(1_700_000_000))
        );
        let newer = Record::read(br#"{"version": 2, "until": 7}"#).unwrap();
        assert_eq!(newer.version, 2);
        for wrong in [
            "",
            "7",
            "{}",
            r#"{"version": "1"}"#,
            r#"{"version": 1, "holder": 7, "end": "2023-11-14T22:13:20"}"#,
            r#"{"version": 1, "holder": "a", "end": "soon"}"#,
            r#"{"version": 1, "holder": "a"#,
        ] {
            assert_eq!(Record::read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
