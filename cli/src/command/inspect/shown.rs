//! The beginning of a long list, and bytes that are read by people.

use std::fmt;

use bytes::Bytes;
use comfy_table::Table;
use serde::{Serialize, Serializer};

use crate::output::lines;
use crate::text::thousands;

/// The first items of a list; the rest is counted.
#[derive(Debug)]
pub(super) struct Shown<T> {
    limit: usize,
    pub(super) items: Vec<T>,
    pub(super) left_out: u64,
}

impl<T> Shown<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            items: Vec::new(),
            left_out: 0,
        }
    }

    pub(super) fn push(&mut self, item: impl Into<T>) {
        if self.items.len() < self.limit {
            self.items.push(item.into());
        } else {
            self.left_out += 1;
        }
    }

    /// The items as lines of a table; empty if there is none.
    pub(super) fn human(
        &self,
        mut table: Table,
        what: &str,
        row: impl Fn(&T) -> Vec<String>,
    ) -> String {
        if self.items.is_empty() && self.left_out == 0 {
            return String::new();
        }
        for item in &self.items {
            table.add_row(row(item));
        }
        let mut text = format!("{}\n", lines(&table));
        if self.left_out > 0 {
            let more = thousands(self.left_out);
            text = format!("{text}… and {more} more {what}: see --limit\n");
        }
        text + "\n"
    }
}

/// In JSON a list like any other; what was left out stands beside it.
pub(super) fn items<T: Serialize, S: Serializer>(
    shown: &Shown<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    shown.items.serialize(serializer)
}

/// Bytes as text in which whatever is not plain is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Escaped(pub(super) Bytes);

impl fmt::Display for Escaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for sign in chunk.valid().chars() {
                match sign {
                    '\\' => f.write_str("\\\\")?,
                    sign if sign.is_control() => write!(f, "{}", sign.escape_default())?,
                    sign => write!(f, "{sign}")?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Escaped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Escaped {
    /// One line of at most `width` characters, for a table.
    pub(super) fn short(&self, width: usize) -> String {
        let line = self.to_string();
        if line.chars().count() <= width {
            return line;
        }
        line.chars()
            .take(width.saturating_sub(1))
            .chain(['…'])
            .collect()
    }
}

/// A user key of the store: its keyspace, and the row's key.
#[derive(Clone, Debug, Serialize)]
pub(super) struct RowKey {
    keyspace: Option<u32>,
    key: Escaped,
}

impl From<Bytes> for RowKey {
    fn from(mut key: Bytes) -> Self {
        let keyspace = key.first_chunk::<4>().map(|id| u32::from_be_bytes(*id));
        let row = key.split_off(if keyspace.is_some() { 4 } else { 0 });
        Self {
            keyspace,
            key: Escaped(row),
        }
    }
}

impl RowKey {
    /// `keyspace/key` in at most so many characters.
    pub(super) fn short(&self, width: usize) -> String {
        match self.keyspace {
            Some(keyspace) => format!("{keyspace}/{}", self.key.short(width)),
            None => self.key.short(width),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_escaped_so_that_they_can_be_told_apart() {
        let shown = |bytes: &'static [u8]| Escaped(Bytes::from_static(bytes)).to_string();
        assert_eq!(shown("grün/1".as_bytes()), "grün/1");
        assert_eq!(shown(b"a\x00\n\xff\\"), "a\\u{0}\\n\\xff\\\\");
    }

    #[test]
    fn a_key_is_shown_behind_its_keyspace() {
        let key = RowKey::from(Bytes::from_static(b"\0\0\0\x02order-1"));
        assert_eq!(key.short(20), "2/order-1");
        assert_eq!(key.short(4), "2/ord…");
        assert_eq!(RowKey::from(Bytes::from_static(b"a")).short(9), "a");
    }

    #[test]
    fn what_is_beyond_the_limit_is_counted() {
        let mut shown: Shown<u64> = Shown::new(2);
        for number in 0..5u64 {
            shown.push(number);
        }
        assert_eq!(
            (shown.items.as_slice(), shown.left_out),
            ([0, 1].as_slice(), 3)
        );
    }
}
