//! Hashes of all rows of a keyspace at a revision: equal on all replicas, however each keeps them.
//!
//! ```text
//! hash = xxh3-128 of each row, then of each member, then of each version that is kept, in the order
//!        of their keys
//! row  = key_bytes:u32 key  mod_revision create_revision version expires_at_ms:u64 kind:u8
//!        value_bytes:u32 value                                     little-endian
//! ```
//!
//! Rows count as they are stored: one that has ended and is not swept yet is among them, because
//! the sweep is a change at a revision of its own, the same on all replicas. So the hash of a
//! revision is a function of the revision alone, and not of the time at which it is asked for.

use std::sync::atomic::Ordering;

use xxhash_rust::xxh3::Xxh3;

use super::Replica;
use super::rooms::Rooms;
use crate::apply::keys;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{KeyspaceId, Revision};
use crate::store::{BorrowedRow, KeyRange};

/// What all rows of a keyspace amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceHash {
    /// The keyspace's name.
    pub name: String,
    /// Equal on replicas that hold the same rows and members.
    pub hash: u128,
    /// How many rows there are, those that have ended and are not swept included.
    pub rows: u64,
    /// How many members of sets and fields of hashes.
    pub members: u64,
}

impl Replica {
    /// Hashes the rows and members of one keyspace, or of all that there are now, as they stand at
    /// a revision; answers them by name, and the revision. Walks over all of them in bounded
    /// memory, as long as `goes_on` answers `true`.
    ///
    /// # Errors
    /// As [`Replica::get`]; `Stopped` if it was not to go on.
    pub fn hash(
        &self,
        keyspace: Option<&str>,
        at: Option<Revision>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(Vec<KeyspaceHash>, Revision)> {
        let catalog = self.catalog();
        let wanted: Vec<(String, KeyspaceId)> = if let Some(name) = keyspace {
            vec![(name.to_owned(), self.keyspace(name)?)]
        } else {
            let all = catalog.keyspaces.iter();
            all.map(|(name, keyspace)| (name.clone(), keyspace.id))
                .collect()
        };
        let (rooms, revision, _) = self.reading(at)?;
        let mut hashes = Vec::with_capacity(wanted.len());
        for (name, id) in wanted {
            let mut hashing = Hashing::default();
            let rows = KeyRange::prefix(keys::row_key(id, b""));
            let rows = self.hash_range(&rooms, rows, revision, &mut hashing, goes_on)?;
            let members = keys::members_of_range(id, b"", None);
            let members = self.hash_range(&rooms, members, revision, &mut hashing, goes_on)?;
            let versions = keys::versions_of_keyspace(id);
            self.hash_range(&rooms, versions, revision, &mut hashing, goes_on)?;
            hashes.push(KeyspaceHash {
                name,
                hash: hashing.hash.digest128(),
                rows,
                members,
            });
        }
        self.check_floor(revision)?;
        Ok((hashes, revision))
    }

    /// Takes the rows of a range into a hash; answers how many they are.
    fn hash_range(
        &self,
        rooms: &Rooms,
        range: KeyRange,
        revision: Revision,
        hashing: &mut Hashing,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<u64> {
        let mut rows = self.noticed(rooms.store.scan(range, revision, false))?;
        let mut count = 0;
        loop {
            let closed = self.inner.stopping.load(Ordering::Acquire);
            if closed || !goes_on() {
                let context = "the hash was ended before it had seen all rows";
                return Err(Error::new(ErrorKind::Stopped, context));
            }
            if !self.noticed(rows.show_next(&mut |key, row| hashing.row(key, row)))? {
                return Ok(count);
            }
            count += 1;
        }
    }
}

#[derive(Default)]
struct Hashing {
    hash: Xxh3,
}

impl Hashing {
    /// Takes a row; the keyspace in its key is left out.
    fn row(&mut self, key: &[u8], row: BorrowedRow<'_>) {
        let key = key.get(4..).unwrap_or_default();
        let meta = &row.meta;
        self.bytes(key);
        for number in [
            row.mod_revision.0,
            meta.create_revision.0,
            meta.version,
            meta.expires_at_ms,
        ] {
            self.hash.update(&number.to_le_bytes());
        }
        self.hash.update(&[meta.kind.number()]);
        self.bytes(row.value);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let len = u32::try_from(bytes.len()).expect("keys and values are below 1 GiB");
        self.hash.update(&len.to_le_bytes());
        self.hash.update(bytes);
    }
}
