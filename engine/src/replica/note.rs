//! The note that a repair is due: which state is damaged, and where.
//!
//! ```text
//! damage-note 1          one line each, UTF-8
//! state's number
//! file, below the group's folder; empty if it is not known
//! offset
//! what is wrong there
//! crc-32 of the lines before, eight hexadecimal digits
//! ```
//!
//! A note that cannot be read still says that a repair is due.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::Vfs;
use crate::env::vfs::{OpenMode, replace_durable};
use crate::error::Damage;

/// The note's name in a group's folder.
pub(super) const NOTE: &str = "damaged";

const HEAD: &str = "damage-note 1";

/// More bytes than any note has.
const BYTES_MAX: u64 = 64 * 1024;

/// What is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The number of the state's folder.
    pub(super) state: u64,
    /// Its path is relative to the group's folder.
    pub(super) damage: Damage,
}

impl Note {
    /// Makes the note durable, whole or not at all.
    pub(super) fn write(&self, vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
        replace_durable(vfs, &dir.join(NOTE), self.encode().as_bytes())
    }

    /// Reads the note; one that is damaged itself is about `newest`, the newest state.
    pub(super) fn read(vfs: &dyn Vfs, dir: &Path, newest: u64) -> io::Result<Self> {
        let file = vfs.open(&dir.join(NOTE), OpenMode::Read)?;
        let len = file.len()?.min(BYTES_MAX);
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        file.read_exact_at(&mut bytes, 0)?;
        let unreadable = || Self {
            state: newest,
            damage: Damage {
                path: PathBuf::new(),
                offset: 0,
                what: "the note of the damage is damaged itself".to_owned(),
            },
        };
        let text = String::from_utf8(bytes).ok();
        Ok(text
            .and_then(|text| Self::decode(&text))
            .unwrap_or_else(unreadable))
    }

    fn encode(&self) -> String {
        let line = |text: &str| text.replace('\n', " ");
        let lines = format!(
            "{HEAD}\n{}\n{}\n{}\n{}\n",
            self.state,
            line(&self.damage.path.to_string_lossy()),
            self.damage.offset,
            line(&self.damage.what),
        );
        format!("{lines}{:08x}\n", crc32fast::hash(lines.as_bytes()))
    }

    fn decode(text: &str) -> Option<Self> {
        let (lines, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let lines = format!("{lines}\n");
        if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(lines.as_bytes()) {
            return None;
        }
        let mut lines = lines.lines();
        if lines.next()? != HEAD {
            return None;
        }
        Some(Self {
            state: lines.next()?.parse().ok()?,
            damage: Damage {
                path: lines.next()?.into(),
                offset: lines.next()?.parse().ok()?,
                what: lines.next()?.to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        Note {
            state: 7,
            damage: Damage {
                path: "state-000007/store/CURRENT".into(),
                offset: 3,
                what: "two\nlines".to_owned(),
            },
        }
    }

    #[test]
    fn a_note_comes_back_as_it_went() {
        let mut expected = note();
        expected.damage.what = "two lines".to_owned();
        assert_eq!(Note::decode(&note().encode()), Some(expected));
    }

    #[test]
    fn no_flipped_byte_and_no_cut_note_is_believed() {
        let text = note().encode().into_bytes();
        for at in 0..text.len() {
            assert_eq!(Note::decode(&String::from_utf8_lossy(&text[..at])), None);
            let mut flipped = text.clone();
            flipped[at] ^= 1;
            let read = Note::decode(&String::from_utf8_lossy(&flipped));
            assert!(read.is_none(), "byte {at}: {read:?}");
        }
    }
}
