//! How much a keyspace with a quota holds.
//!
//! A keyspace that gets its first quota when it has rows already is counted by ticks, some rows at
//! a time and in the order of their keys. What is written meanwhile counts if its place is behind
//! the walk; what is before it will be met.

use bytes::Bytes;

use crate::apply::keys;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::KeyspaceId;

/// Rows and bytes of a keyspace, as far as they are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Rows; their versions count for none.
    pub(crate) rows: u64,
    /// Of keys and values: of rows, and of their versions that are kept.
    pub(crate) bytes: u64,
    /// Where in the store the walk goes on; `None` once all is counted.
    pub(crate) walk: Option<Bytes>,
}

impl Usage {
    /// Of a keyspace that nobody has counted yet.
    pub(crate) fn unknown(keyspace: KeyspaceId) -> Self {
        Self {
            walk: Some(keys::row_key(keyspace, b"")),
            ..Self::default()
        }
    }

    /// Whether what stands there is counted.
    pub(crate) fn counts(&self, key: &[u8]) -> bool {
        self.walk.as_ref().is_none_or(|walk| key < walk)
    }

    pub(crate) fn put(&self, out: &mut Encoder) {
        out.u64(self.rows).u64(self.bytes);
        out.option(self.walk.as_ref(), |out, walk| {
            out.bytes(walk);
        });
    }

    pub(crate) fn get(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self {
            rows: input.u64("rows of a keyspace")?,
            bytes: input.u64("bytes of a keyspace")?,
            walk: input.option("walk of a keyspace", |input| input.bytes("walk"))?,
        })
    }
}
