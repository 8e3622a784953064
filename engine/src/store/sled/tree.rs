//! A sled tree of row versions; the one file in which sled opens files and starts threads.
//!
//! Everything else in this crate reaches disk and threads through [`mod@crate::env`]. sled brings
//! its own, and has no door for ours: that is one of the reasons why it is not the store. So
//! nothing that sled wrote is trusted after a crash, and on a simulated disk its files are
//! temporary ones of the system.
//!
//! ```text
//! value = nothing (a tombstone) | create_revision:u64 version:u64 expires_at_ms:u64 kind:u8 value
//! ```

use std::fmt;
use std::ops::Bound;
use std::path::Path;

use ::sled::{Batch, Config, Db, IVec};
use bytes::Bytes;

use super::version_key::{self, VersionKey};
use crate::codec::{Decoder, Encoder};
use crate::env::Env;
use crate::env::vfs::OpenMode;
use crate::ids::Revision;
use crate::store::key::Place;
use crate::store::row::{NewRow, Row, RowKind, RowMeta};
use crate::{Error, ErrorKind, Result};

/// sled works badly with less.
const CACHE_BYTES_MIN: u64 = 4 << 20;

/// Every version of every row.
pub(super) struct Tree {
    db: Db,
}

impl Tree {
    /// A tree in the system's temporary folder; it goes with this value.
    pub(super) fn temporary(cache_bytes: usize) -> Result<Self> {
        let config = config(cache_bytes).temporary(true);
        let db = config.open().map_err(failed("open a temporary sled"))?;
        Ok(Self { db })
    }

    /// A tree in a folder of the system's disk.
    pub(super) fn open(folder: &Path, cache_bytes: usize) -> Result<Self> {
        let config = config(cache_bytes).path(folder);
        let db = config.open().map_err(failed("open sled"))?;
        Ok(Self { db })
    }

    /// Whether there was something in the folder.
    pub(super) fn was_recovered(&self) -> bool {
        self.db.was_recovered()
    }

    /// The newest version not above `at`.
    pub(super) fn get(&self, key: &[u8], at: Revision) -> Result<Option<Row>> {
        let from = version_key::encode(Place { key, revision: at });
        let until = version_key::encode(Place::last(key));
        let found = self.versions(Bound::Included(from), Bound::Included(until));
        let Some(item) = found.into_iter().next() else {
            return Ok(None);
        };
        let (key, row) = item.map_err(failed("read sled"))?;
        read(VersionKey::new(&key)?.revision, &row)
    }

    /// Versions from one place to another.
    pub(super) fn versions(&self, from: Bound<Vec<u8>>, until: Bound<Vec<u8>>) -> ::sled::Iter {
        self.db.range((from, until))
    }

    /// Does changes, all of them or none.
    pub(super) fn apply(&self, changes: Changes) -> Result<()> {
        if changes.bytes == 0 {
            return Ok(());
        }
        let written = self.db.apply_batch(changes.batch);
        written.map_err(failed("write sled"))
    }

    /// Removes versions.
    pub(super) fn remove_all(&self, keys: impl IntoIterator<Item = IVec>) -> Result<()> {
        let mut batch = Batch::default();
        for key in keys {
            batch.remove(key);
        }
        self.db.apply_batch(batch).map_err(failed("write sled"))
    }

    /// Closes sled, then makes its files durable, which sled does not.
    pub(super) fn end(self, env: &Env, folder: &Path) -> Result<()> {
        self.db.flush().map_err(failed("flush sled"))?;
        drop(self);
        sync_all(env, folder).map_err(|e| Error::io(format!("sync {}", folder.display()), e))
    }

    /// How many versions there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.db.len()
    }
}

/// sled would print every row.
impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tree").finish_non_exhaustive()
    }
}

/// Changes to be done at once.
#[derive(Debug, Default)]
pub(super) struct Changes {
    batch: Batch,
    bytes: usize,
}

impl Changes {
    /// Adds a version, or a tombstone; answers where it will stand.
    pub(super) fn put(&mut self, revision: Revision, key: &[u8], row: Option<&NewRow>) -> IVec {
        let mut out = Encoder::new();
        if let Some(row) = row {
            out.u64(row.meta.create_revision.0).u64(row.meta.version);
            out.u64(row.meta.expires_at_ms).u8(row.meta.kind.number());
            out.raw(&row.value);
        }
        let key = IVec::from(version_key::encode(Place { key, revision }));
        self.bytes += key.len() + out.len();
        self.batch.insert(key.clone(), out.into_vec());
        key
    }

    /// Bytes of keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A stored version as a row; `None` for a tombstone.
pub(super) fn read(mod_revision: Revision, stored: &[u8]) -> Result<Option<Row>> {
    if stored.is_empty() {
        return Ok(None);
    }
    let mut input = Decoder::new(Bytes::copy_from_slice(stored));
    let meta = RowMeta {
        create_revision: Revision(input.u64("create revision of a row in sled")?),
        version: input.u64("version of a row in sled")?,
        expires_at_ms: input.u64("end of a row in sled")?,
        kind: RowKind::of(input.u8("kind of a row in sled")?)
            .ok_or_else(|| input.error("kind of a row in sled", "the kind is unknown"))?,
    };
    let value = input.raw("value of a row in sled", input.remaining())?;
    Ok(Some(Row {
        value,
        mod_revision,
        meta,
    }))
}

/// What sled complains of, as an error of ours.
pub(super) fn failed(what: &'static str) -> impl Fn(::sled::Error) -> Error {
    move |source| match source {
        ::sled::Error::Corruption { .. } => Error::with_source(ErrorKind::Corrupt, what, source),
        _ => Error::with_source(ErrorKind::Io, what, source),
    }
}

/// No flushes by time: the log covers everything, and the end flushes by itself.
fn config(cache_bytes: usize) -> Config {
    Config::new()
        .cache_capacity((cache_bytes as u64).max(CACHE_BYTES_MIN))
        .flush_every_ms(None)
}

fn sync_all(env: &Env, folder: &Path) -> std::io::Result<()> {
    for entry in env.vfs.list(folder)? {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            sync_all(env, &path)?;
        } else {
            env.vfs.open(&path, OpenMode::ReadWrite)?.sync_data()?;
        }
    }
    env.vfs.sync_dir(folder)
}
