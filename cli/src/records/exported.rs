//! A row as an export writes it, one JSON object on a line.
//!
//! ```text
//! {"key":"order-17","value":"new"}
//! {"key":"session-9","value":"alice","expires_at_ms":1795000000000}
//! {"key":"tags","set":["a","b"]}
//! {"key":"user","hash":{"name":"Ada"}}
//! {"key":"/w==","value":"AA==","base64":["key","value"]}
//! ```
//! What is no UTF-8 is written in base64, and `base64` names the fields so written. A set or hash
//! with many members takes several lines. Versions and revisions are not written: an import makes
//! new ones.

use std::collections::BTreeMap;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;

use super::keyed::parse;

/// A row, or some members of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Bytes,
    pub(crate) content: Content,
    /// When it ends, milliseconds since 1970.
    pub(crate) expires_at_ms: Option<u64>,
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Value(Bytes),
    /// Members, to be added.
    Set(Vec<Bytes>),
    /// Fields, to be set.
    Hash(Vec<(Bytes, Bytes)>),
}

impl Content {
    /// Bytes of values and members.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value(value) => value.len(),
            Self::Set(members) => members.iter().map(Bytes::len).sum(),
            Self::Hash(fields) => fields.iter().map(|(f, v)| f.len() + v.len()).sum(),
        }
    }

    /// What a commit counts it as: each member is an op.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Value(_) => 1,
            Self::Set(members) => members.len(),
            Self::Hash(fields) => fields.len(),
        }
    }
}

/// Adds a row as a line.
pub(crate) fn encode(row: &Row, out: &mut Vec<u8>) {
    let mut base64 = Vec::new();
    out.extend_from_slice(b"{\"key\":");
    put(&row.key, note("key", is_text(&row.key), &mut base64), out);
    match &row.content {
        Content::Value(value) => {
            out.extend_from_slice(b",\"value\":");
            put(value, note("value", is_text(value), &mut base64), out);
        }
        Content::Set(members) => {
            let text = note("set", members.iter().all(is_text), &mut base64);
            out.extend_from_slice(b",\"set\":[");
            for (place, member) in members.iter().enumerate() {
                comma(place, out);
                put(member, text, out);
            }
            out.push(b']');
        }
        Content::Hash(fields) => {
            let text = fields.iter().all(|(f, v)| is_text(f) && is_text(v));
            let text = note("hash", text, &mut base64);
            out.extend_from_slice(b",\"hash\":{");
            for (place, (field, value)) in fields.iter().enumerate() {
                comma(place, out);
                put(field, text, out);
                out.push(b':');
                put(value, text, out);
            }
            out.push(b'}');
        }
    }
    if let Some(ends) = row.expires_at_ms {
        // Writing to memory does not fail.
        let _ = write!(out, ",\"expires_at_ms\":{ends}");
    }
    if !base64.is_empty() {
        let _ = write!(out, ",\"base64\":[\"{}\"]", base64.join("\",\""));
    }
    out.extend_from_slice(b"}\n");
}

/// The row of a line.
pub(super) fn decode(line: &[u8]) -> Result<Row, String> {
    let line: Line = parse(line).map_err(|error| {
        format!("is no row of an export: {error}; if it is a record, name the field that holds its key with --key")
    })?;
    for field in &line.base64 {
        if !["key", "value", "set", "hash"].contains(&field.as_str()) {
            return Err(format!(
                "says that '{field}' is base64: there is no such field"
            ));
        }
    }
    let is_base64 = |field: &str| line.base64.iter().any(|named| named == field);
    let key = take("key", line.key, is_base64("key"))?;
    if key.is_empty() {
        return Err("has an empty 'key'".to_owned());
    }
    let content = match (line.value, line.set, line.hash) {
        (Some(value), None, None) => Content::Value(take("value", value, is_base64("value"))?),
        (None, Some(members), None) if !members.is_empty() => Content::Set(
            members
                .into_iter()
                .map(|member| take("set", member, is_base64("set")))
                .collect::<Result<_, _>>()?,
        ),
        (None, None, Some(fields)) if !fields.is_empty() => Content::Hash(
            fields
                .into_iter()
                .map(|(field, value)| {
                    let base64 = is_base64("hash");
                    Ok((take("hash", field, base64)?, take("hash", value, base64)?))
                })
                .collect::<Result<_, String>>()?,
        ),
        _ => return Err("needs one of 'value', 'set' and 'hash', with something in it".to_owned()),
    };
    Ok(Row {
        key,
        content,
        expires_at_ms: line.expires_at_ms,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    value: Option<String>,
    set: Option<Vec<String>>,
    hash: Option<BTreeMap<String, String>>,
    expires_at_ms: Option<u64>,
    #[serde(default)]
    base64: Vec<String>,
}

/// Bytes as they were written.
pub(super) fn take(field: &str, written: String, base64: bool) -> Result<Bytes, String> {
    if !base64 {
        return Ok(written.into());
    }
    match STANDARD.decode(written) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(format!("has a '{field}' that is no base64: {error}")),
    }
}

/// Whether bytes can be written as they are.
pub(super) fn is_text(bytes: &Bytes) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Bytes in base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn note(field: &'static str, text: bool, base64: &mut Vec<&'static str>) -> bool {
    if !text {
        base64.push(field);
    }
    text
}

fn put(bytes: &Bytes, text: bool, out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        // Writing to memory does not fail.
        Ok(written) if text => drop(serde_json::to_writer(out, written)),
        _ => {
            out.push(b'"');
            out.extend_from_slice(base64(bytes).as_bytes());
            out.push(b'"');
        }
    }
}

fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Rows of all kinds, with text and without.
    pub(crate) fn rows() -> Vec<Row> {
        let row = |key: &'static [u8], content| Row {
            key: Bytes::from_static(key),
            content,
            expires_at_ms: None,
        };
        let raw = Bytes::from_static(&[0xff, 0, b'"', b'\n']);
        let text = Bytes::from_static("gr\u{fc}\u{df}e, \"quoted\",\r\n\u{1}".as_bytes());
        vec![
            row(b"a", Content::Value(text.clone())),
            row(b"b", Content::Value(Bytes::new())),
            row(b"c\xff", Content::Value(raw.clone())),
            Row {
                expires_at_ms: Some(1_795_000_000_000),
                ..row(b"d", Content::Set(vec![Bytes::new(), text.clone()]))
            },
            row(b"e", Content::Set(vec![raw.clone()])),
            row(b"f", Content::Hash(vec![(text.clone(), text.clone())])),
            row(b"g", Content::Hash(vec![(text, raw)])),
        ]
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        for row in rows() {
            let mut line = Vec::new();
            encode(&row, &mut line);
            assert_eq!(line.split_last(), Some((&b'\n', line.trim_ascii_end())));
            assert!(!line.trim_ascii_end().contains(&b'\n'), "one line");
            assert_eq!(decode(&line), Ok(row));
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        let mut line = Vec::new();
        for row in rows().iter().skip(2).take(1) {
            encode(row, &mut line);
        }
        let line = String::from_utf8(line).expect("text");
        assert_eq!(
            line,
            "{\"key\":\"Y/8=\",\"value\":\"/wAiCg==\",\"base64\":[\"key\",\"value\"]}\n"
        );
    }

    #[test]
    fn what_no_export_wrote_is_refused() {
        let cases = [
            ("{\"key\":\"a\"}", "needs one of"),
            ("{\"key\":\"\",\"value\":\"\"}", "empty 'key'"),
            (
                "{\"key\":\"a\",\"value\":\"b\",\"set\":[\"c\"]}",
                "needs one of",
            ),
            ("{\"key\":\"a\",\"set\":[]}", "needs one of"),
            (
                "{\"key\":\"a\",\"value\":\"?\",\"base64\":[\"value\"]}",
                "no base64",
            ),
            (
                "{\"key\":\"a\",\"value\":\"\",\"base64\":[\"valu\"]}",
                "no such field",
            ),
            ("{\"name\":\"a\"}", "--key"),
            ("{\"key\":\"a\",\"value\":{}}", "is no row of an export"),
            ("[", "is no row of an export"),
        ];
        for (line, what) in cases {
            let told = decode(line.as_bytes()).expect_err("it is bad");
            assert!(told.contains(what), "{line}: {told}");
        }
    }
}
