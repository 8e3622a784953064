//! Rows in CSV, under a header: records of any columns, or what an export wrote.
//!
//! ```text
//! key,kind,member,value,expires_at_ms,base64        what an export writes
//! order-17,value,,new,,
//! tags,set,a,,,                                     one line for each member
//! user,hash,name,Ada,1795000000000,
//! /w==,value,,AA==,,key value                       what is no UTF-8, and in which columns
//!
//! sku,price                                         a record; with --key sku its row is
//! 17,4.50                                           17 = {"sku":"17","price":"4.50"}
//! ```

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use csv::{ByteRecord, ErrorKind, ReaderBuilder, Terminator, WriterBuilder};

use super::exported::{Content, Row, base64, is_text, take};
use super::fault::{Fault, Read};
use super::source::{Source, broken};
use crate::failure::{Failure, Result};

/// The header of an export.
const COLUMNS: [&str; 6] = ["key", "kind", "member", "value", "expires_at_ms", "base64"];
/// Most bytes of one record: a quote that is never closed must not take the whole file. Above the
/// largest value of an export, all of it quotes or in base64.
const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// What a line is.
#[derive(Clone, Debug)]
pub(crate) enum TableShape {
    /// A record; this column is the key.
    Keyed(String),
    /// A row as an export writes it, or a member of one.
    Exported,
}

/// Reads records, in order.
pub(crate) struct TableReader {
    name: String,
    packed: Option<&'static str>,
    records: csv::Reader<Budget>,
    columns: Columns,
}

/// What the columns are for.
enum Columns {
    Exported,
    Keyed {
        /// Which one is the key.
        key: usize,
        /// Their names, as JSON.
        names: Vec<String>,
    },
}

impl TableReader {
    /// Reads the header.
    pub(crate) fn new(source: Source, shape: &TableShape) -> Result<Self> {
        let (name, packed) = (source.name.clone(), source.packed());
        let mut records = ReaderBuilder::new()
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(Budget {
                bytes: source.bytes,
                left: RECORD_BYTES_MAX,
            });
        let header = match records.byte_headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(fault(&name, packed, &error).failure()),
        };
        let columns =
            columns(&header, shape).map_err(|what| Fault::record(&name, 1, &what).failure())?;
        Ok(Self {
            name,
            packed,
            records,
            columns,
        })
    }

    /// The next row, or members of one; `None` at the end. Empty lines are passed over.
    pub(crate) fn next_row(&mut self) -> Read<Option<Row>> {
        self.records.get_mut().left = RECORD_BYTES_MAX;
        let mut record = ByteRecord::new();
        match self.records.read_byte_record(&mut record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(fault(&self.name, self.packed, &error)),
        }
        let line = record.position().map_or(0, csv::Position::line);
        let row = match &self.columns {
            Columns::Exported => exported(&record),
            Columns::Keyed { key, names } => keyed(&record, *key, names),
        };
        row.map(Some)
            .map_err(|what| Fault::record(&self.name, line, &what))
    }
}

fn columns(header: &ByteRecord, shape: &TableShape) -> Result<Columns, String> {
    let mut seen = BTreeSet::new();
    for (place, name) in header.iter().enumerate() {
        let name = std::str::from_utf8(name)
            .map_err(|_| format!("is the header, and its column {} is no UTF-8", place + 1))?;
        if !seen.insert(name) {
            return Err(format!("is the header, and names '{name}' twice"));
        }
    }
    let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    match shape {
        TableShape::Exported => {
            if header.iter().eq(COLUMNS.iter().map(|name| name.as_bytes())) {
                return Ok(Columns::Exported);
            }
            Err(format!(
                "is not the header of an export ({}); if these are records, name the column that \
                 holds their key with --key",
                COLUMNS.join(",")
            ))
        }
        TableShape::Keyed(wanted) => {
            let names: Vec<_> = header.iter().map(text).collect();
            let Some(key) = names.iter().position(|name| name == wanted) else {
                let names = names.join(", ");
                return Err(format!(
                    "is the header, and has no '{wanted}', only {names}"
                ));
            };
            let names = names.iter().map(|name| json(name)).collect();
            Ok(Columns::Keyed { key, names })
        }
    }
}

/// A record as a row: a JSON object of all its columns.
fn keyed(record: &ByteRecord, key: usize, names: &[String]) -> Result<Row, String> {
    let mut value = String::from("{");
    for (place, (name, field)) in names.iter().zip(record.iter()).enumerate() {
        if place > 0 {
            value.push(',');
        }
        value.push_str(name);
        value.push(':');
        value.push_str(&json(text(place, field)?));
    }
    value.push('}');
    let key = record.get(key).unwrap_or_default();
    if key.is_empty() {
        return Err("has an empty key".to_owned());
    }
    Ok(Row {
        key: Bytes::copy_from_slice(key),
        content: Content::Value(value.into()),
        expires_at_ms: None,
    })
}

fn exported(record: &ByteRecord) -> Result<Row, String> {
    let mut fields = [""; COLUMNS.len()];
    for (place, (slot, field)) in fields.iter_mut().zip(record.iter()).enumerate() {
        *slot = text(place, field)?;
    }
    let [key, kind, member, value, ends, base64] = fields;
    for field in base64.split_ascii_whitespace() {
        if !["key", "member", "value"].contains(&field) {
            return Err(format!(
                "says that '{field}' is base64: there is no such column"
            ));
        }
    }
    let bytes = |field: &str, written: &str| {
        let is_base64 = base64.split_ascii_whitespace().any(|named| named == field);
        take(field, written.to_owned(), is_base64)
    };
    let content = match kind {
        "value" => Content::Value(bytes("value", value)?),
        "set" => Content::Set(vec![bytes("member", member)?]),
        "hash" => Content::Hash(vec![(bytes("member", member)?, bytes("value", value)?)]),
        _ => {
            return Err(format!(
                "has the kind '{kind}', not 'value', 'set' or 'hash'"
            ));
        }
    };
    let expires_at_ms = match ends {
        "" => None,
        ends => match ends.parse() {
            Ok(ends) => Some(ends),
            Err(_) => return Err(format!("has '{ends}' as expires_at_ms, which is no number")),
        },
    };
    let key = bytes("key", key)?;
    if key.is_empty() {
        return Err("has an empty key".to_owned());
    }
    Ok(Row {
        key,
        content,
        expires_at_ms,
    })
}

fn text(place: usize, field: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(field).map_err(|_| format!("is no UTF-8 in its column {}", place + 1))
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn fault(name: &str, packed: Option<&str>, error: &csv::Error) -> Fault {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            let what = format!("has {len} columns, and the header {expected_len}");
            Fault::record(name, line, &what)
        }
        ErrorKind::Io(error) if TooLong::is(error) => {
            let what = format!(
                "{name}: a record is longer than {RECORD_BYTES_MAX} bytes; is there a quote that \
                 is not closed?"
            );
            Fault::File(Failure::usage(what))
        }
        ErrorKind::Io(error) => {
            let what = format!("{name}: the file {}", broken(packed, error));
            Fault::File(Failure::usage(what))
        }
        _ => Fault::file(name, line, &format!("is no CSV: {error}")),
    }
}

/// Bytes that end when one record takes too many of them.
struct Budget {
    bytes: Box<dyn io::BufRead + Send>,
    left: usize,
}

impl io::Read for Budget {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let wanted = into.len().min(self.left);
        let into = into.get_mut(..wanted).unwrap_or_default();
        let read = self.bytes.read(into)?;
        self.left -= read;
        Ok(read)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the record is too long")]
struct TooLong;

impl TooLong {
    fn is(error: &io::Error) -> bool {
        let source = error.get_ref();
        source
            .and_then(|source| source.downcast_ref::<Self>())
            .is_some()
    }
}

/// Writes rows as an export does.
#[derive(Debug, Default)]
pub(crate) struct TableWriter {
    begun: bool,
}

impl TableWriter {
    /// Adds rows as lines, the first ones under the header.
    pub(crate) fn encode(&mut self, rows: &[Row], out: &mut Vec<u8>) -> io::Result<()> {
        let mut table = WriterBuilder::new()
            .terminator(Terminator::Any(b'\n'))
            .from_writer(out);
        if !self.begun {
            table.write_record(COLUMNS)?;
            self.begun = true;
        }
        for row in rows {
            let mut line = |kind: &str, member: &Bytes, value: &Bytes| {
                write(&mut table, row, kind, member, value)
            };
            let nothing = Bytes::new();
            match &row.content {
                Content::Value(value) => line("value", &nothing, value)?,
                Content::Set(members) => {
                    for member in members {
                        line("set", member, &nothing)?;
                    }
                }
                Content::Hash(fields) => {
                    for (field, value) in fields {
                        line("hash", field, value)?;
                    }
                }
            }
        }
        table.flush()
    }
}

fn write<W: io::Write>(
    table: &mut csv::Writer<W>,
    row: &Row,
    kind: &str,
    member: &Bytes,
    value: &Bytes,
) -> csv::Result<()> {
    let named = [("key", &row.key), ("member", member), ("value", value)];
    let packed: Vec<&str> = named
        .iter()
        .filter(|(_, bytes)| !is_text(bytes))
        .map(|(name, _)| *name)
        .collect();
    let field = |bytes: &Bytes| {
        if is_text(bytes) {
            bytes.clone()
        } else {
            Bytes::from(base64(bytes))
        }
    };
    let ends = row
        .expires_at_ms
        .map_or_else(String::new, |ends| ends.to_string());
    table.write_record([
        field(&row.key).as_ref(),
        kind.as_bytes(),
        field(member).as_ref(),
        field(value).as_ref(),
        ends.as_bytes(),
        packed.join(" ").as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::super::exported::tests::rows;
    use super::*;

    fn reader(text: &[u8], shape: &TableShape) -> Result<TableReader> {
        let bytes = io::Cursor::new(text.to_vec());
        let source = Source::new("test.csv", bytes, &ProgressBar::hidden())?;
        TableReader::new(source, shape)
    }

    fn keyed_by(field: &str) -> TableShape {
        TableShape::Keyed(field.to_owned())
    }

    fn read(text: &str, shape: &TableShape) -> Result<Vec<Row>> {
        let mut reader = reader(text.as_bytes(), shape)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row().map_err(Fault::failure)? {
            rows.push(row);
        }
        Ok(rows)
    }

    fn told(text: &str, shape: &TableShape) -> String {
        let failure = read(text, shape).expect_err("it is bad");
        failure.message().to_owned()
    }

    #[test]
    fn rows_come_back_as_they_were_written() {
        let (mut table, mut out) = (TableWriter::default(), Vec::new());
        for row in rows() {
            table.encode(&[row], &mut out).expect("memory");
        }
        let text = String::from_utf8(out).expect("text");
        let seen = read(&text, &TableShape::Exported).expect("good");
        let mut expected = rows();
        // A set of two members is two lines.
        let two = expected.remove(3);
        let Content::Set(members) = two.content.clone() else {
            panic!("it is a set");
        };
        for (place, member) in members.into_iter().enumerate() {
            let one = Row {
                content: Content::Set(vec![member]),
                ..two.clone()
            };
            expected.insert(3 + place, one);
        }
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_record_becomes_an_object_of_its_columns() {
        let rows = read("a,\"b \"\"c\"\"\"\n1,\"x,\ny\"\n\n2,\n", &keyed_by("a")).expect("good");
        let shown: Vec<_> = rows
            .iter()
            .map(|row| match &row.content {
                Content::Value(value) => (row.key.as_ref(), value.as_ref()),
                other => panic!("{other:?}"),
            })
            .collect();
        let first = br#"{"a":"1","b \"c\"":"x,\ny"}"#.as_ref();
        let second = br#"{"a":"2","b \"c\"":""}"#.as_ref();
        assert_eq!(shown, [(b"1".as_ref(), first), (b"2", second)]);
    }

    #[test]
    fn a_bad_header_is_told() {
        let by_a = keyed_by("a");
        assert!(
            told("b,a,b\n", &by_a)
                .contains("test.csv:1: the line is the header, and names 'b' twice")
        );
        assert!(told("b,c\n", &by_a).contains("has no 'a', only b, c"));
        assert!(told("", &by_a).contains("has no 'a'"));
        assert!(told("a,b\n1,2\n", &TableShape::Exported).contains("--key"));
        let packed = reader(b"a,\xff\n", &by_a).err().expect("no UTF-8");
        assert!(packed.message().contains("column 2 is no UTF-8"));
    }

    #[test]
    fn a_bad_record_is_named_and_the_next_can_be_read() {
        let by_a = keyed_by("a");
        let mut reader = reader(b"a,b\n1,2\n3\n\xff,1\n,1\n5,6\n", &by_a).expect("good");
        reader.next_row().expect("good").expect("the first");
        let cases = [
            "test.csv:3: the line has 1 columns, and the header 2",
            "test.csv:4: the line is no UTF-8 in its column 1",
            "test.csv:5: the line has an empty key",
        ];
        for expected in cases {
            let Err(Fault::Record(failure)) = reader.next_row() else {
                panic!("bad: {expected}");
            };
            assert_eq!(failure.message(), expected);
        }
        let last = reader.next_row().expect("good").expect("the last");
        assert_eq!(last.key, "5");
    }

    #[test]
    fn a_quote_that_is_never_closed_takes_a_bounded_part_of_the_file() {
        let mut text = String::from("a,b\n1,\"");
        text.push_str(&"x".repeat(3 * RECORD_BYTES_MAX));
        assert!(told(&text, &keyed_by("a")).contains("is there a quote"));
        // Many records may be longer together.
        let line = format!("1,{}\n", "x".repeat(1024 * 1024));
        let text = format!("a,b\n{}", line.repeat(10));
        assert_eq!(read(&text, &keyed_by("a")).expect("good").len(), 10);
    }

    #[test]
    fn what_no_export_wrote_is_refused() {
        let cases = [
            ("a,list,,x,,", "the kind 'list'"),
            ("a,value,,x,soon,", "no number"),
            ("a,value,,x,,valu", "no such column"),
            ("a,value,,?,,value", "no base64"),
            (",value,,x,,", "an empty key"),
        ];
        for (line, what) in cases {
            let text = format!("{}\n{line}\n", COLUMNS.join(","));
            let told = told(&text, &TableShape::Exported);
            assert!(
                told.starts_with("test.csv:2: ") && told.contains(what),
                "{told}"
            );
        }
    }
}
