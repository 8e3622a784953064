//! The obvious engine: every key in memory, every value in one file that only grows.
//!
//! ```text
//! file  = batch*      batch = body_len:u32 body_crc:u32 row*
//! row   = key:16 len:u32 value_crc:u32 value            len u32::MAX: deleted
//! hint  = (key:16 offset:u64 len:u32 crc:u32)*           written by a clean close only
//! ```
//!
//! It shows what a general engine pays for data larger than memory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use parking_lot::{Mutex, RwLock};

use super::Engine;
use crate::workload::{KEY_BYTES, Key};

const DELETED: u32 = u32::MAX;
const BATCH_HEAD_BYTES: usize = 8;
const ROW_HEAD_BYTES: usize = KEY_BYTES + 8;
const HINT_BYTES: usize = KEY_BYTES + 16;

/// An engine in one folder.
pub struct Naive {
    dir: PathBuf,
    state: RwLock<State>,
    buffer: Mutex<Vec<u8>>,
}

struct State {
    file: File,
    end: u64,
    index: BTreeMap<Key, Place>,
}

#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    len: u32,
    crc: u32,
}

impl Naive {
    /// Opens the folder; without a hint the whole file is read.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let file = open_file(&dir.join("data"))?;
        let hint_path = dir.join("hint");
        let state = match fs::read(&hint_path) {
            Ok(hint) => {
                fs::remove_file(&hint_path)?;
                State::from_hint(file, &hint)?
            }
            Err(_) => State::from_data(file)?,
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            state: RwLock::new(state),
            buffer: Mutex::default(),
        })
    }

    fn append(&self, rows: &mut dyn Iterator<Item = (Key, Option<&[u8]>)>) -> Result<()> {
        let mut buffer = self.buffer.lock();
        let mut places = Vec::new();
        encode(&mut buffer, rows, &mut places)?;
        let mut state = self.state.write();
        state.file.write_all_at(&buffer, state.end)?;
        let start = state.end;
        for (key, place) in places {
            if place.len == DELETED {
                state.index.remove(&key);
            } else {
                let offset = start + place.offset;
                state.index.insert(key, Place { offset, ..place });
            }
        }
        state.end += buffer.len() as u64;
        Ok(())
    }
}

impl State {
    fn from_hint(file: File, hint: &[u8]) -> Result<Self> {
        let index = hint.chunks_exact(HINT_BYTES).map(|entry| {
            let key = entry[..KEY_BYTES].try_into().expect("a chunk holds a key");
            let place = Place {
                offset: u64::from(word(entry, 16)) | u64::from(word(entry, 20)) << 32,
                len: word(entry, 24),
                crc: word(entry, 28),
            };
            (key, place)
        });
        Ok(Self {
            end: file.metadata()?.len(),
            index: index.collect(),
            file,
        })
    }

    fn from_data(file: File) -> Result<Self> {
        let len = file.metadata()?.len();
        let mut index = BTreeMap::new();
        let mut end = 0;
        let mut head = [0; BATCH_HEAD_BYTES];
        let mut body = Vec::new();
        while end + (BATCH_HEAD_BYTES as u64) <= len {
            file.read_exact_at(&mut head, end)?;
            let body_at = end + BATCH_HEAD_BYTES as u64;
            body.resize(word(&head, 0) as usize, 0);
            if file.read_exact_at(&mut body, body_at).is_err()
                || crc32fast::hash(&body) != word(&head, 4)
            {
                break;
            }
            let mut at = 0;
            while at < body.len() {
                let key: Key = body[at..at + KEY_BYTES].try_into()?;
                let (len, crc) = (word(&body, at + 16), word(&body, at + 20));
                at += ROW_HEAD_BYTES;
                if len == DELETED {
                    index.remove(&key);
                    continue;
                }
                let offset = body_at + at as u64;
                index.insert(key, Place { offset, len, crc });
                at += len as usize;
            }
            end = body_at + body.len() as u64;
        }
        Ok(Self { file, end, index })
    }

    fn read(&self, place: Place) -> Result<Vec<u8>> {
        let mut value = vec![0; place.len as usize];
        self.file.read_exact_at(&mut value, place.offset)?;
        ensure!(crc32fast::hash(&value) == place.crc, "a value is damaged");
        Ok(value)
    }
}

impl Engine for Naive {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        self.append(&mut batch.iter().map(|(key, value)| (*key, Some(*value))))?;
        if sync {
            self.persist()?;
        }
        Ok(())
    }

    fn persist(&self) -> Result<()> {
        self.state.read().file.sync_data().context("sync")
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let state = self.state.read();
        let Some(place) = state.index.get(key) else {
            return Ok(false);
        };
        see(&state.read(*place)?);
        Ok(true)
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let state = self.state.read();
        let mut seen = 0;
        for (key, place) in state.index.range(*from..).take(count) {
            see(key, &state.read(*place)?);
            seen += 1;
        }
        Ok(seen)
    }

    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let mut from = [0; KEY_BYTES];
        from[0] = prefix;
        let keys: Vec<Key> = {
            let state = self.state.read();
            let range = state.index.range(from..);
            range
                .map(|(key, _)| *key)
                .take_while(|key| key[0] == prefix)
                .collect()
        };
        self.append(&mut keys.iter().map(|key| (*key, None)))
    }

    fn compact(&mut self) -> Result<()> {
        let mut state = self.state.write();
        let path = self.dir.join("data.new");
        let file = open_file(&path)?;
        let (mut end, mut buffer, mut index) = (0, Vec::new(), BTreeMap::new());
        let entries: Vec<_> = state
            .index
            .iter()
            .map(|(key, place)| (*key, *place))
            .collect();
        for chunk in entries.chunks(64) {
            let mut rows = Vec::new();
            for (key, place) in chunk {
                rows.push((*key, state.read(*place)?));
            }
            let mut places = Vec::new();
            encode(
                &mut buffer,
                &mut rows
                    .iter()
                    .map(|(key, value)| (*key, Some(value.as_slice()))),
                &mut places,
            )?;
            file.write_all_at(&buffer, end)?;
            for (key, place) in places {
                let offset = end + place.offset;
                index.insert(key, Place { offset, ..place });
            }
            end += buffer.len() as u64;
        }
        file.sync_data()?;
        fs::rename(path, self.dir.join("data"))?;
        *state = State { file, end, index };
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        let state = self.state.into_inner();
        state.file.sync_data()?;
        let mut hint = Vec::with_capacity(state.index.len() * HINT_BYTES);
        for (key, place) in &state.index {
            hint.extend_from_slice(key);
            hint.extend_from_slice(&place.offset.to_le_bytes());
            hint.extend_from_slice(&place.len.to_le_bytes());
            hint.extend_from_slice(&place.crc.to_le_bytes());
        }
        fs::write(self.dir.join("hint"), hint)?;
        Ok(())
    }
}

/// Makes a batch of rows; the places count from its beginning.
fn encode(
    buffer: &mut Vec<u8>,
    rows: &mut dyn Iterator<Item = (Key, Option<&[u8]>)>,
    places: &mut Vec<(Key, Place)>,
) -> Result<()> {
    buffer.clear();
    buffer.resize(BATCH_HEAD_BYTES, 0);
    for (key, value) in rows {
        let len = value.map_or(Ok(DELETED), |value| u32::try_from(value.len()))?;
        let crc = value.map_or(0, crc32fast::hash);
        buffer.extend_from_slice(&key);
        buffer.extend_from_slice(&len.to_le_bytes());
        buffer.extend_from_slice(&crc.to_le_bytes());
        let offset = buffer.len() as u64;
        buffer.extend_from_slice(value.unwrap_or_default());
        places.push((key, Place { offset, len, crc }));
    }
    let (head, body) = buffer.split_at_mut(BATCH_HEAD_BYTES);
    head[..4].copy_from_slice(&u32::try_from(body.len())?.to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    Ok(())
}

fn open_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).context("open the data")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
