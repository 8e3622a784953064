//! Records from a JSON Lines file: one JSON object per line, plain or gzip, from disk or stdin.
//!
//! A [`Reader`] lives in a thread of its own and hands over one [`Record`] at a time; it never
//! holds more than one line. What is wrong with a line is told as `file:line: what`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::failure::{Failure, Result};

/// Longest accepted line: the largest value, and its key.
const LINE_BYTES_MAX: u64 = 1024 * 1024 + 32 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One line: its key, and itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Bytes,
    /// The line as it stands in the file.
    pub(crate) line: Bytes,
}

/// Reads records from a file, in order.
pub(crate) struct Reader {
    name: String,
    key_field: String,
    lines: Box<dyn BufRead + Send>,
    number: u64,
}

impl Reader {
    /// Opens a file, or standard input for `-`; `progress` counts the bytes read from it.
    pub(crate) fn open(path: &Path, key_field: &str, progress: &ProgressBar) -> Result<Self> {
        if path == Path::new("-") {
            return Self::new("stdin", io::stdin(), key_field, progress);
        }
        let file = File::open(path).map_err(|error| {
            Failure::file("open", path, &error).hint("check the path, or use '-' for stdin")
        })?;
        let bytes = file
            .metadata()
            .map_err(|error| Failure::file("look at", path, &error))?
            .len();
        progress.set_length(bytes);
        Self::new(path.display().to_string(), file, key_field, progress)
    }

    fn new(
        name: impl Into<String>,
        source: impl Read + Send + 'static,
        key_field: &str,
        progress: &ProgressBar,
    ) -> Result<Self> {
        let name = name.into();
        let mut source = BufReader::with_capacity(128 * 1024, progress.wrap_read(source));
        let start = source
            .fill_buf()
            .map_err(|error| Failure::io(format!("read {name}"), &error))?;
        // By content, not by name: stdin has none.
        let lines: Box<dyn BufRead + Send> = if start.starts_with(&GZIP_MAGIC) {
            Box::new(BufReader::with_capacity(
                128 * 1024,
                MultiGzDecoder::new(source),
            ))
        } else {
            Box::new(source)
        };
        Ok(Self {
            name,
            key_field: key_field.to_owned(),
            lines,
            number: 0,
        })
    }

    /// The next record; `None` at the end. Empty lines are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        loop {
            let mut line = Vec::new();
            let read = (&mut self.lines)
                .take(LINE_BYTES_MAX + 1)
                .read_until(b'\n', &mut line);
            self.number += 1;
            match read {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => return Err(self.bad(&format!("cannot be read: {error}"))),
            }
            let ended = line.last() == Some(&b'\n');
            if !ended && u64::try_from(line.len()).is_ok_and(|len| len > LINE_BYTES_MAX) {
                return Err(self.bad(&format!("is longer than {LINE_BYTES_MAX} bytes")));
            }
            while line.last().is_some_and(u8::is_ascii_whitespace) {
                line.pop();
            }
            if !line.is_empty() {
                return self.record(line).map(Some);
            }
        }
    }

    fn record(&self, line: Vec<u8>) -> Result<Record> {
        let value: Value = serde_json::from_slice(&line)
            .map_err(|error| self.bad(&format!("is no JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(self.bad("is no JSON object"));
        };
        let field = &self.key_field;
        let key = match fields.get(field) {
            Some(Value::String(key)) if !key.is_empty() => key.clone(),
            Some(Value::String(_)) => return Err(self.bad(&format!("has an empty '{field}'"))),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => {
                return Err(self.bad(&format!("has a '{field}' that is no text and no number")));
            }
            None => return Err(self.bad(&format!("has no field '{field}', which is the key"))),
        };
        Ok(Record {
            key: key.into(),
            line: line.into(),
        })
    }

    fn bad(&self, what: &str) -> Failure {
        Failure::usage(format!("{}:{}: the line {what}", self.name, self.number))
            .hint("mend the line and run the command again")
    }
}

/// A bar over the bytes of a file, on standard error; hidden if that is no terminal.
pub(crate) fn progress_bar(quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template(
        "{spinner} {wide_bar} {bytes}/{total_bytes} {msg} {elapsed} (eta {eta})",
    ) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn read(bytes: Vec<u8>) -> Result<Vec<Record>> {
        let mut reader = Reader::new(
            "test.jsonl",
            io::Cursor::new(bytes),
            "name",
            &ProgressBar::hidden(),
        )?;
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        Ok(records)
    }

    fn message(bytes: &[u8]) -> String {
        read(bytes.to_vec())
            .expect_err("the line is bad")
            .message()
            .to_owned()
    }

    #[test]
    fn lines_become_records_plain_or_gzip() {
        let plain = b"{\"name\":\"a\",\"n\":1}\n\n{\"name\": 7}\r\n{\"name\":\"c\"}".to_vec();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&plain).expect("memory");
        let gzip = gzip.finish().expect("memory");
        for bytes in [plain, gzip] {
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
    fn a_bad_line_is_named_with_what_is_wrong() {
        let good = "{\"name\":\"a\"}\n";
        let cases = [
            ("{\"name\":", "is no JSON"),
            ("[1]", "is no JSON object"),
            ("{\"other\":1}", "has no field 'name'"),
            ("{\"name\":null}", "no text and no number"),
            ("{\"name\":\"\"}", "empty 'name'"),
        ];
        for (line, what) in cases {
            let message = message(format!("{good}{line}\n").as_bytes());
            assert!(message.starts_with("test.jsonl:2: "), "{message}");
            assert!(message.contains(what), "{message}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_read_into_memory() {
        let bytes = vec![b'x'; 3 * 1024 * 1024];
        assert!(message(&bytes).contains("is longer than"));
    }

    #[test]
    fn a_cut_gzip_file_is_told() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        for index in 0..1_000 {
            writeln!(gzip, "{{\"name\":\"{index}\"}}").expect("memory");
        }
        let mut bytes = gzip.finish().expect("memory");
        bytes.truncate(bytes.len() / 2);
        assert!(message(&bytes).contains("cannot be read"));
    }
}
