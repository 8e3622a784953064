//! fjall 3: an LSM in Rust with a journal.

use std::path::Path;

use anyhow::Result;
use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{CACHE_BYTES, Engine};
use crate::workload::Key;

/// A database with one keyspace.
pub struct Fjall {
    database: Database,
    rows: Keyspace,
}

impl Fjall {
    /// Opens or creates the folder. The journal is small, so that disk use is its tables'.
    pub fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder(dir)
            .cache_size(CACHE_BYTES as u64)
            .max_journaling_size(128 << 20)
            .journal_compression(CompressionType::None)
            .open()?;
        let rows = database.keyspace("rows", || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::disabled())
        })?;
        Ok(Self { database, rows })
    }
}

impl Engine for Fjall {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        let durability = sync.then_some(PersistMode::SyncData);
        let mut write = self.database.batch().durability(durability);
        for (key, value) in batch {
            write.insert(&self.rows, &key[..], *value);
        }
        Ok(write.commit()?)
    }

    fn persist(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.rows.get(key)?.is_some_and(|value| {
            see(&value);
            true
        }))
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut seen = 0;
        for guard in self
            .database
            .snapshot()
            .range(&self.rows, &from[..]..)
            .take(count)
        {
            let (key, value) = guard.into_inner()?;
            see(&key, &value);
            seen += 1;
        }
        Ok(seen)
    }

    /// It has no range tombstone.
    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let mut write = self.database.batch();
        for guard in self.rows.prefix([prefix]) {
            write.remove(&self.rows, guard.key()?);
        }
        Ok(write.commit()?)
    }

    fn compact(&mut self) -> Result<()> {
        self.rows.rotate_memtable_and_wait()?;
        Ok(self.rows.major_compact()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.persist()
    }
}
