//! RocksDB, as the distribution builds it.

use std::path::Path;

use anyhow::Result;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options, WriteBatch, WriteOptions};

use super::{CACHE_BYTES, Engine};
use crate::workload::{KEY_BYTES, Key};

/// A database with its default column family.
pub struct Rocks {
    database: DB,
}

impl Rocks {
    /// Opens or creates the folder. Bloom filters as the other LSMs have; values that cannot
    /// be compressed are not.
    pub fn open(dir: &Path) -> Result<Self> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES)?);
        blocks.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_compression_type(DBCompressionType::None);
        options.set_block_based_table_factory(&blocks);
        Ok(Self {
            database: DB::open(&options, dir)?,
        })
    }
}

impl Engine for Rocks {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        let mut write = WriteBatch::default();
        for (key, value) in batch {
            write.put(key, value);
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        Ok(self.database.write_opt(write, &options)?)
    }

    fn persist(&self) -> Result<()> {
        Ok(self.database.flush_wal(true)?)
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Ok(self.database.get_pinned(key)?.is_some_and(|value| {
            see(&value);
            true
        }))
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        // The raw iterator shows rows where they are; the other one copies each.
        let mut rows = self.database.raw_iterator();
        rows.seek(from);
        let mut seen = 0;
        while seen < count
            && let Some((key, value)) = rows.item()
        {
            see(key, value);
            seen += 1;
            rows.next();
        }
        rows.status()?;
        Ok(seen)
    }

    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let (mut from, mut until) = ([0; KEY_BYTES], [0; KEY_BYTES]);
        (from[0], until[0]) = (prefix, prefix + 1);
        let mut write = WriteBatch::default();
        write.delete_range(from, until);
        Ok(self.database.write(write)?)
    }

    fn compact(&mut self) -> Result<()> {
        self.database.flush()?;
        self.database.compact_range(None::<&[u8]>, None::<&[u8]>);
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.persist()?;
        self.database.cancel_all_background_work(true);
        Ok(())
    }
}
