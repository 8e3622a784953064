//! fjall as a log: the index is the key. Nothing is purged, which costs a log less than purging.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::group_commit::{BatchLog, Request};

/// One keyspace for all groups.
pub(super) struct Fjall {
    database: Database,
    entries: Keyspace,
    last: AtomicU64,
}

impl Fjall {
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let database = Database::builder(dir)
            .journal_compression(CompressionType::None)
            .open()?;
        let entries = database.keyspace("entries", KeyspaceCreateOptions::default)?;
        Ok(Self {
            database,
            entries,
            last: AtomicU64::new(0),
        })
    }

    fn write<'a>(&self, entries: impl Iterator<Item = &'a [u8]>) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for entry in entries {
            let index = self.last.fetch_add(1, Ordering::Relaxed) + 1;
            batch.insert(&self.entries, &index.to_be_bytes()[..], entry);
        }
        Ok(batch.commit()?)
    }
}

impl BatchLog for Fjall {
    fn append_batch(&self, entries: &[Request]) -> Result<()> {
        self.write(entries.iter().map(|request| &*request.entry))
    }

    fn append_one(&self, _group: usize, entry: &[u8]) -> Result<()> {
        self.write(std::iter::once(entry))
    }
}
