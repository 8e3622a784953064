//! sled 0.34: a log-structured tree.

use std::path::Path;

use anyhow::Result;
use sled::{Batch, Config, Db};

use super::{CACHE_BYTES, Engine};
use crate::workload::Key;

/// A database; its default tree holds the rows.
pub struct Sled {
    database: Db,
}

impl Sled {
    /// Opens or creates the folder.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = Config::new().path(dir).cache_capacity(CACHE_BYTES as u64);
        Ok(Self {
            database: config.open()?,
        })
    }
}

impl Engine for Sled {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        let mut write = Batch::default();
        for (key, value) in batch {
            write.insert(&key[..], *value);
        }
        self.database.apply_batch(write)?;
        if sync {
            self.persist()?;
        }
        Ok(())
    }

    fn persist(&self) -> Result<()> {
        self.database.flush()?;
        Ok(())
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.database.get(key)?.is_some_and(|value| {
            see(&value);
            true
        }))
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let mut seen = 0;
        for row in self.database.range(&from[..]..).take(count) {
            let (key, value) = row?;
            see(&key, &value);
            seen += 1;
        }
        Ok(seen)
    }

    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let mut write = Batch::default();
        for key in self.database.scan_prefix([prefix]).keys() {
            write.remove(key?);
        }
        Ok(self.database.apply_batch(write)?)
    }

    /// It has no compaction to ask for.
    fn compact(&mut self) -> Result<()> {
        self.persist()
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.persist()
    }
}
