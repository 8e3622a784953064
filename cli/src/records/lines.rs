//! Lines of a file: records that are stored as they stand, or rows of an export.

use std::io::{BufRead as _, Read as _};
use std::path::Path;

use indicatif::ProgressBar;

use super::exported::{self, Row};
use super::fault::{Fault, Read};
use super::source::Source;
use super::{Content, Record, keyed};
use crate::failure::Result;

/// Longest line of a record: the largest value.
const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Longest line of an export: a page of members, each byte of it written as an escape.
const EXPORTED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a line is.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A JSON object; this field of it is the key.
    Keyed(String),
    /// A row as an export writes it.
    Exported,
}

/// Reads lines, in order.
pub(crate) struct Reader {
    source: Source,
    shape: Shape,
    number: u64,
}

impl Reader {
    /// Opens a file of records, or standard input for `-`; `progress` counts the bytes read.
    pub(crate) fn open(path: &Path, key_field: &str, progress: &ProgressBar) -> Result<Self> {
        let shape = Shape::Keyed(key_field.to_owned());
        Ok(Self::new(Source::open(path, progress)?, shape))
    }

    /// Reads what comes from `source`.
    pub(crate) fn new(source: Source, shape: Shape) -> Self {
        Self {
            source,
            shape,
            number: 0,
        }
    }

    /// The next record, as it stands; `None` at the end. Empty lines are passed over.
    pub(crate) fn next(&mut self) -> Read<Option<Record>> {
        let Some(line) = self.line(RECORD_BYTES_MAX)? else {
            return Ok(None);
        };
        let Shape::Keyed(field) = &self.shape else {
            return Err(self.bad("is a row of an export, no record"));
        };
        match keyed::key(&line, field) {
            Ok(key) => Ok(Some(Record {
                key,
                line: line.into(),
            })),
            Err(what) => Err(self.bad(&what)),
        }
    }

    /// The same as a row.
    pub(crate) fn next_row(&mut self) -> Read<Option<Row>> {
        if matches!(self.shape, Shape::Keyed(_)) {
            let record = self.next()?;
            return Ok(record.map(|record| Row {
                key: record.key,
                content: Content::Value(record.line),
                expires_at_ms: None,
            }));
        }
        let Some(line) = self.line(EXPORTED_BYTES_MAX)? else {
            return Ok(None);
        };
        exported::decode(&line)
            .map(Some)
            .map_err(|what| self.bad(&what))
    }

    /// The next line that is not empty, without its end.
    fn line(&mut self, bytes_max: usize) -> Read<Option<Vec<u8>>> {
        loop {
            let mut line = Vec::new();
            self.number += 1;
            // Room for the line's end.
            let limit = u64::try_from(bytes_max + 2).unwrap_or(u64::MAX);
            let read = (&mut self.source.bytes)
                .take(limit)
                .read_until(b'\n', &mut line);
            let read = read.map_err(|error| self.broken(&error))?;
            if read == 0 {
                return Ok(None);
            }
            let ended = line.last() == Some(&b'\n');
            while line.last().is_some_and(u8::is_ascii_whitespace) {
                line.pop();
            }
            if line.len() > bytes_max {
                if !ended {
                    let rest = self.source.bytes.skip_until(b'\n');
                    rest.map_err(|error| self.broken(&error))?;
                }
                return Err(self.bad(&format!("is longer than {bytes_max} bytes")));
            }
            if !line.is_empty() {
                return Ok(Some(line));
            }
        }
    }

    fn broken(&self, error: &std::io::Error) -> Fault {
        Fault::file(&self.source.name, self.number, &self.source.broken(error))
    }

    fn bad(&self, what: &str) -> Fault {
        Fault::record(&self.source.name, self.number, what)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write as _};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn reader(bytes: Vec<u8>) -> Reader {
        let bytes = io::Cursor::new(bytes);
        let source = Source::new("test.jsonl", bytes, &ProgressBar::hidden());
        Reader::new(source.expect("memory"), Shape::Keyed("name".to_owned()))
    }

    fn read(bytes: Vec<u8>) -> Read<Vec<Record>> {
        let mut reader = reader(bytes);
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        Ok(records)
    }

    fn message(bytes: &[u8]) -> String {
        let fault = read(bytes.to_vec()).expect_err("the line is bad");
        fault.failure().message().to_owned()
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(plain).expect("memory");
        gzip.finish().expect("memory")
    }

    #[test]
    fn lines_become_records_however_they_are_packed() {
        let plain = b"{\"name\":\"a\",\"n\":1}\n\n{\"name\": 7}\r\n{\"name\":\"c\"}".to_vec();
        let zstd = zstd::encode_all(plain.as_slice(), 3).expect("memory");
        for bytes in [gzip(&plain), zstd, plain] {
            let records = read(bytes).expect("all lines are good");
            let keys: Vec<_> = records.iter().map(|record| record.key.as_ref()).collect();
            assert_eq!(keys, [b"a".as_ref(), b"7", b"c"]);
            assert_eq!(
                records.first().map(|record| record.line.as_ref()),
                Some(b"{\"name\":\"a\",\"n\":1}".as_ref())
            );
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_next_can_be_read() {
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(3 * 1024 * 1024));
        let cases = [
            ("{\"name\":", "is no JSON"),
            ("[1]", "is no JSON object"),
            ("{\"other\":1}", "has no field 'name'"),
            (&long, "is longer than 1048576 bytes"),
        ];
        for (line, what) in cases {
            let text = format!("{{\"name\":\"a\"}}\n{line}\n{{\"name\":\"b\"}}\n");
            let mut reader = reader(text.into_bytes());
            reader.next().expect("good").expect("the first");
            let Err(Fault::Record(failure)) = reader.next() else {
                panic!("the second is bad: {what}");
            };
            let message = failure.message();
            assert!(message.starts_with("test.jsonl:2: "), "{message}");
            assert!(message.contains(what), "{message}");
            let third = reader.next().expect("good").expect("the third");
            assert_eq!(third.key, "b");
        }
    }

    #[test]
    fn the_longest_line_is_taken() {
        let line = |bytes: usize| {
            let mut line = format!("{{\"name\":\"a\",\"x\":\"{}\"}}", "x".repeat(bytes - 19));
            assert_eq!(line.len(), bytes);
            line.push_str("\r\n");
            line.into_bytes()
        };
        assert_eq!(read(line(RECORD_BYTES_MAX)).expect("it fits").len(), 1);
        assert!(message(&line(RECORD_BYTES_MAX + 1)).contains("is longer than"));
    }

    #[test]
    fn cut_and_damaged_files_are_told() {
        let lines: Vec<String> = (0..5_000)
            .map(|index| format!("{{\"name\":\"{}\"}}\n", index * 7919))
            .collect();
        let plain = lines.concat().into_bytes();
        let zstd = zstd::encode_all(plain.as_slice(), 3).expect("memory");
        for (name, whole) in [("gzip", gzip(&plain)), ("zstd", zstd)] {
            let mut cut = whole.clone();
            cut.truncate(cut.len() / 2);
            let told = message(&cut);
            assert!(
                told.contains(&format!("the {name} data ends here")),
                "{told}"
            );
            let mut flipped = whole;
            let middle = flipped.len() / 2;
            flipped[middle..middle + 64].fill(0x55);
            assert!(message(&flipped).contains("test.jsonl:"));
        }
    }
}
