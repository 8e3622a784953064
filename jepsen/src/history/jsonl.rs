//! Histories as lines of JSON: written as they are, and checked line by line when they are read.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use thiserror::Error;

use super::{Act, History, Op, Phase};

/// Why a text is no history; every reason names its line, from 1.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The reader failed.
    #[error("read line {line} of a history")]
    Io {
        /// The line that could not be read.
        line: usize,
        /// Why.
        source: io::Error,
    },
    /// The text ends inside an operation: its writer was stopped.
    #[error("line {line}: the history ends in the middle of an operation")]
    Truncated {
        /// The last line.
        line: usize,
    },
    /// A line is no operation.
    #[error("line {line}: not an operation: {source}")]
    Malformed {
        /// The line.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A line is an operation that cannot stand here.
    #[error("line {line}: {reason}")]
    Misplaced {
        /// The line.
        line: usize,
        /// Why not.
        reason: String,
    },
}

impl History {
    /// Writes one JSON object a line.
    pub fn write_jsonl(&self, mut to: impl Write) -> io::Result<()> {
        for op in &self.ops {
            serde_json::to_writer(&mut to, op)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }

    /// Reads what [`write_jsonl`](Self::write_jsonl) wrote, and holds it against the invariants
    /// of a history. Empty lines are passed over.
    pub fn read_jsonl(from: impl BufRead) -> Result<Self, ReadError> {
        let mut history = Self::default();
        let mut open: BTreeMap<u64, Act> = BTreeMap::new();
        let mut last_us = 0;
        let mut lines = from.lines().zip(1..).peekable();
        while let Some((text, line)) = lines.next() {
            let text = text.map_err(|source| ReadError::Io { line, source })?;
            if text.trim().is_empty() {
                continue;
            }
            let op: Op = serde_json::from_str(&text).map_err(|source| {
                // A sound writer ends every line, so only the last one can be cut short.
                if source.is_eof() && lines.peek().is_none() {
                    ReadError::Truncated { line }
                } else {
                    ReadError::Malformed { line, source }
                }
            })?;
            if let Some(reason) = misplaced(&op, last_us, &mut open) {
                return Err(ReadError::Misplaced { line, reason });
            }
            last_us = op.time_us;
            history.ops.push(op);
        }
        Ok(history)
    }
}

/// Why an operation cannot follow the lines before it, if it cannot.
fn misplaced(op: &Op, last_us: u64, open: &mut BTreeMap<u64, Act>) -> Option<String> {
    let process = op.process;
    if op.time_us < last_us {
        return Some(format!(
            "time goes back from {last_us} us to {} us",
            op.time_us
        ));
    }
    if op.phase == Phase::Invoke {
        let before = open.insert(process, op.act.clone());
        return before.map(|_| format!("process {process} has an open operation already"));
    }
    match open.remove(&process) {
        None => Some(format!("process {process} ends what it never began")),
        Some(begun) if begun != op.act => Some(format!(
            "process {process} ends another operation than it began"
        )),
        Some(_) if op.phase == Phase::Ok && op.answer.is_none() => Some(format!(
            "process {process} ends with `ok` and no answer (a `revision` is missing)"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::notation;
    use super::*;

    fn lines(history: &History) -> String {
        let mut text = Vec::new();
        history.write_jsonl(&mut text).expect("memory takes it");
        String::from_utf8(text).expect("JSON is text")
    }

    fn error(text: &str) -> String {
        History::read_jsonl(text.as_bytes())
            .expect_err("the text is no history")
            .to_string()
    }

    #[test]
    fn every_kind_of_operation_survives_as_lines_of_json() {
        let history = notation::parse(notation::EVERYTHING);
        let text = lines(&history);
        assert_eq!(text.lines().count(), history.ops.len());
        assert!(text.contains(r#""function":"produce""#), "{text}");
        let read = History::read_jsonl(text.as_bytes()).expect("it was just written");
        assert_eq!(read, history);
    }

    #[test]
    fn an_older_line_without_the_newer_fields_is_read() {
        let text = r#"{"process":3,"time_us":1,"phase":"invoke","function":"put","key":"a","value":"1"}
{"process":3,"time_us":2,"phase":"ok","function":"put","key":"a","value":"1","revision":88,"version":4}
"#;
        let history = History::read_jsonl(text.as_bytes()).expect("the format has only grown");
        assert_eq!(history.calls().len(), 1);
        assert_eq!(lines(&history), text);
    }

    #[test]
    fn a_text_that_is_cut_anywhere_is_refused_with_its_line_or_ends_between_two_lines() {
        let whole = lines(&notation::parse("1 put a 1; 2 read a -> nil; 1 -> ok @3"));
        for length in 0..whole.len() {
            let cut = &whole[..length];
            let count = cut.lines().count();
            match History::read_jsonl(cut.as_bytes()) {
                Ok(history) => assert_eq!(history.ops.len(), count, "{cut}"),
                Err(error) => assert_eq!(
                    error.to_string(),
                    format!("line {count}: the history ends in the middle of an operation")
                ),
            }
        }
    }

    #[test]
    fn what_is_no_history_is_refused_with_its_line() {
        let whole = lines(&notation::parse("1 put a 1; 2 read a -> nil; 1 -> ok @3"));
        let rows: Vec<&str> = whole.lines().collect();
        let damaged = whole.replacen("\"phase\"", "phase", 2);
        assert!(error(&damaged).starts_with("line 1: not an operation"));
        let broken_inside = format!("{}\n{{\"process\":\n{}", rows[0], rows[1]);
        assert!(error(&broken_inside).starts_with("line 2: not an operation"));
        assert!(error(&format!("{}\n\n{}", rows[0], rows[0])).starts_with("line 3: process 1 has"));
        assert!(error(rows[3]).starts_with("line 1: process 1 ends what it never began"));
        let other = rows[3].replace("\"1\"", "\"2\"");
        assert!(error(&format!("{}\n{other}", rows[0])).starts_with("line 2: process 1 ends ano"));
        let silent = rows[3].replace(",\"revision\":3", "");
        assert!(error(&format!("{}\n{silent}", rows[0])).contains("no answer"));
        let early = rows[3].replace("\"time_us\":", "\"time_us\":0,\"was\":");
        let late = rows[0].replace("\"time_us\":", "\"time_us\":9,\"was\":");
        assert!(error(&format!("{late}\n{early}")).starts_with("line 2: time goes back"));
        let word = whole.replacen("\"put\"", "\"pat\"", 1);
        assert!(error(&word).contains("unknown variant `pat`"));
    }
}
