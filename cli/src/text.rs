//! Bytes for people and for JSON: as text where they are text, else as hexadecimal digits.

use std::fmt::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Serialize, Serializer};

/// The last moment of the year 9999, behind which no time can be written.
const LAST_MS: u64 = 253_402_300_799_999;

/// Bytes that are usually text. In JSON a string, or `{"hex": "…"}` if they are not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Bytes);

impl Text {
    /// One line of at most `width` characters, for a table.
    pub(crate) fn short(&self, width: usize) -> String {
        let line = self.to_string().replace(['\n', '\r', '\t'], " ");
        if line.chars().count() <= width {
            return line;
        }
        let mut short: String = line.chars().take(width.saturating_sub(1)).collect();
        short.push('…');
        short
    }

    fn hex(&self) -> String {
        let mut hex = String::with_capacity(self.0.len() * 2);
        for byte in &self.0 {
            // Writing to a String does not fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) => f.write_str(text),
            Err(_) => write!(f, "0x{}", self.hex()),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_map([("hex", self.hex())]),
        }
    }
}

/// A time in milliseconds since 1970, as RFC 3339 writes it.
pub(crate) fn time(at_ms: u64) -> String {
    if at_ms > LAST_MS {
        return format!("{at_ms} ms");
    }
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    humantime::format_rfc3339_millis(at).to_string()
}

/// Numbers with a comma between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_hexadecimal() {
        let text = Text(Bytes::from_static("grüße".as_bytes()));
        let raw = Text(Bytes::from_static(&[0xff, 0x00]));
        assert_eq!(serde_json::to_string(&text).expect("JSON"), "\"grüße\"");
        assert_eq!(
            serde_json::to_string(&raw).expect("JSON"),
            r#"{"hex":"ff00"}"#
        );
        assert_eq!(raw.to_string(), "0xff00");
    }

    #[test]
    fn a_table_gets_one_short_line() {
        let text = Text(Bytes::from_static(b"one\ntwo three"));
        assert_eq!(text.short(20), "one two three");
        assert_eq!(text.short(8), "one two…");
    }

    #[test]
    fn thousands_are_grouped() {
        let grouped = [0, 999, 1_000, 63_465, 1_234_567].map(thousands);
        assert_eq!(grouped, ["0", "999", "1,000", "63,465", "1,234,567"]);
    }
}
