//! Rule: what is longer than the house likes may shrink and may not grow.
//!
//! `xtask/ratchet.toml` records each crate's longest file and function. A crate is free up to
//! the house's size; beyond it the record is the limit, and `cargo xtask fix` writes the record
//! anew, so that growth is a line in a change that somebody reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Complaint;
use super::lengths::{Lengths, Longest, Measure};

/// Where the record stands, from the workspace's folder.
const FILE: &str = "xtask/ratchet.toml";

/// A file of this many lines needs no excuse.
const FILE_LINES: usize = 350;

/// A function of this many lines fits a screen.
const FUNCTION_LINES: usize = 70;

/// The recorded lengths, by crate folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ratchet {
    crates: BTreeMap<String, Limits>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Limits {
    file_lines: usize,
    function_lines: usize,
}

impl Ratchet {
    /// Today's lengths as a record.
    pub(crate) fn of(lengths: &Lengths) -> Self {
        let limits = |longest: &Longest| Limits {
            file_lines: longest.file.lines,
            function_lines: longest.function.lines,
        };
        let crates = lengths.crates.iter();
        Self {
            crates: crates
                .map(|(name, longest)| (name.clone(), limits(longest)))
                .collect(),
        }
    }

    /// Reads the record; a missing file records nothing.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {FILE}"))?;
        Self::parse(&text)
    }

    /// Writes the record.
    pub(crate) fn write(&self, root: &Path) -> Result<()> {
        fs::write(root.join(FILE), self.print()).with_context(|| format!("write {FILE}"))
    }

    /// Complains about everything that grew beyond both the house's size and the record.
    pub(crate) fn judge(&self, lengths: &Lengths) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        for (name, longest) in &lengths.crates {
            let limits = self.crates.get(name).copied().unwrap_or_default();
            let file = limits.file_lines.max(FILE_LINES);
            let function = limits.function_lines.max(FUNCTION_LINES);
            complaints.extend(grown(&longest.file, file));
            complaints.extend(grown(&longest.function, function));
        }
        complaints
    }

    fn parse(text: &str) -> Result<Self> {
        let mut ratchet = Self::default();
        let mut name = String::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if let Some(header) = line.strip_prefix('[') {
                header.trim_end_matches(']').clone_into(&mut name);
                continue;
            }
            let limits = ratchet.crates.entry(name.clone()).or_default();
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            let value = value
                .trim()
                .parse()
                .with_context(|| format!("{FILE} line {}: a number is missing", number + 1))?;
            match key.trim() {
                "file_lines" => limits.file_lines = value,
                "function_lines" => limits.function_lines = value,
                other => bail!("{FILE} line {}: unknown word `{other}`", number + 1),
            }
        }
        Ok(ratchet)
    }

    fn print(&self) -> String {
        let mut text = format!(
            "# The longest file and function of each crate, tests not counted. Up to {FILE_LINES} and\n\
             # {FUNCTION_LINES} lines a crate is free; beyond, these figures may shrink and not grow.\n\
             # Written by `cargo xtask fix`.\n"
        );
        for (name, limits) in &self.crates {
            let (file, function) = (limits.file_lines, limits.function_lines);
            write!(
                text,
                "\n[{name}]\nfile_lines = {file}\nfunction_lines = {function}\n"
            )
            .expect("a string takes every write");
        }
        text
    }
}

fn grown(measure: &Measure, limit: usize) -> Option<Complaint> {
    let what = match measure.name.as_str() {
        "" => "the file".to_owned(),
        name => format!("function `{name}`"),
    };
    (measure.lines > limit).then(|| Complaint {
        path: measure.path.clone(),
        line: measure.line,
        text: format!(
            "{what} has {} lines, {limit} is the limit: split it along its data",
            measure.lines
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(file: usize, function: usize) -> Lengths {
        let measure = |lines| Measure {
            lines,
            ..Measure::default()
        };
        let longest = Longest {
            file: measure(file),
            function: measure(function),
        };
        Lengths {
            crates: BTreeMap::from([("engine".to_owned(), longest)]),
        }
    }

    #[test]
    fn a_crate_is_free_up_to_the_houses_size() {
        let nothing = Ratchet::default();
        assert!(
            nothing
                .judge(&lengths(FILE_LINES, FUNCTION_LINES))
                .is_empty()
        );
        assert_eq!(nothing.judge(&lengths(FILE_LINES + 1, 1)).len(), 1);
        assert_eq!(nothing.judge(&lengths(1, FUNCTION_LINES + 1)).len(), 1);
    }

    #[test]
    fn beyond_it_the_record_is_the_limit() {
        let record = Ratchet::of(&lengths(500, 90));
        assert!(record.judge(&lengths(500, 90)).is_empty());
        assert!(record.judge(&lengths(400, 80)).is_empty());
        assert_eq!(record.judge(&lengths(501, 91)).len(), 2);
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<()> {
        let record = Ratchet::of(&lengths(500, 90));
        assert_eq!(Ratchet::parse(&record.print())?, record);
        assert!(Ratchet::parse("[engine]\nfile_lines = many\n").is_err());
        assert!(Ratchet::parse("[engine]\nwords = 3\n").is_err());
        Ok(())
    }
}
