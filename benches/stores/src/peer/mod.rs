//! The engines that are compared, behind one small trait.

mod counting;
mod fjall;
mod naive;
mod ours;
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
mod sled;

use std::path::Path;

use anyhow::{Result, bail};

use crate::workload::Key;

pub use counting::CountingVfs;

/// Every engine has this much for its cache of blocks or pages.
pub const CACHE_BYTES: usize = 256 << 20;

/// An engine with a cache of rows has this much for it.
pub const ROW_CACHE_BYTES: usize = 64 << 20;

/// Names of all engines in the order of the table.
pub const ENGINES: &[&str] = &[
    "ours",
    "naive",
    "fjall",
    #[cfg(feature = "rocksdb")]
    "rocksdb",
    "redb",
    "sled",
];

/// An ordered map from keys to values with atomic batches. One thread writes, any may read.
pub trait Engine: Send + Sync {
    /// Writes a batch atomically; with `sync` it survives a power cut when this returns.
    fn write(&self, batch: &[(Key, &[u8])], sync: bool) -> Result<()>;

    /// Everything written so far survives a power cut when this returns.
    fn persist(&self) -> Result<()>;

    /// Shows the value of a key to `see`; `false` if there is none.
    fn get(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool>;

    /// As [`Engine::get`], through the cache of rows that an engine may have before its store.
    fn get_hot(&self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        self.get(key, see)
    }

    /// Shows up to `count` rows from `from` on; answers how many there were.
    fn scan(&self, from: &Key, count: usize, see: &mut dyn FnMut(&[u8], &[u8])) -> Result<usize>;

    /// Deletes all keys that begin with `prefix`, by the fastest way the engine has.
    fn delete_prefix(&self, prefix: u8) -> Result<()>;

    /// Gives back what space it can, and waits for it.
    fn compact(&mut self) -> Result<()>;

    /// From now on nothing may leave the log for the tables, where an engine lets us choose.
    fn hold_checkpoints(&self) {}

    /// What only this engine can tell, by name of the line.
    fn figures(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// Ends in order.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Opens an engine in a folder, or begins it there.
pub fn open(name: &str, dir: &Path) -> Result<Box<dyn Engine>> {
    Ok(match name {
        "ours" => Box::new(ours::Ours::open(dir)?),
        "naive" => Box::new(naive::Naive::open(dir)?),
        "fjall" => Box::new(fjall::Fjall::open(dir)?),
        "redb" => Box::new(redb::Redb::open(dir)?),
        "sled" => Box::new(sled::Sled::open(dir)?),
        #[cfg(feature = "rocksdb")]
        "rocksdb" => Box::new(rocksdb::Rocks::open(dir)?),
        other => bail!(
            "no engine is called {other}; there are {}",
            ENGINES.join(", ")
        ),
    })
}
