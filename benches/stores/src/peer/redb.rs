//! redb 4: a copy-on-write B-tree in one file.

use std::path::Path;

use anyhow::Result;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};

use super::{CACHE_BYTES, Engine};
use crate::workload::{KEY_BYTES, Key};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

/// A database with one table.
pub struct Redb {
    database: Database,
}

impl Redb {
    /// Opens or creates the file in a folder.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(dir.join("data.redb"))?;
        if database.begin_read()?.open_table(ROWS).is_err() {
            let write = database.begin_write()?;
            write.open_table(ROWS)?;
            write.commit()?;
        }
        Ok(Self { database })
    }
}

impl Engine for Redb {
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()> {
        let mut write = self.database.begin_write()?;
        let durability = if sync {
            Durability::Immediate
        } else {
            Durability::None
        };
        write.set_durability(durability)?;
        {
            let mut rows = write.open_table(ROWS)?;
            for (key, value) in batch {
                rows.insert(&key[..], *value)?;
            }
        }
        Ok(write.commit()?)
    }

    fn persist(&self) -> Result<()> {
        Ok(self.database.begin_write()?.commit()?)
    }

    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
        Ok(rows.get(&key[..])?.is_some_and(|value| {
            see(value.value());
            true
        }))
    }

    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize> {
        let rows = self.database.begin_read()?.open_table(ROWS)?;
        let mut seen = 0;
        for row in rows.range(&from[..]..)?.take(count) {
            let (key, value) = row?;
            see(key.value(), value.value());
            seen += 1;
        }
        Ok(seen)
    }

    fn delete_prefix(&self, prefix: u8) -> Result<()> {
        let mut write = self.database.begin_write()?;
        write.set_durability(Durability::None)?;
        {
            let (mut from, mut until) = ([0; KEY_BYTES], [0; KEY_BYTES]);
            (from[0], until[0]) = (prefix, prefix + 1);
            write
                .open_table(ROWS)?
                .retain_in(&from[..]..&until[..], |_, _| false)?;
        }
        Ok(write.commit()?)
    }

    fn compact(&mut self) -> Result<()> {
        self.persist()?;
        self.database.compact()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.persist()
    }
}
