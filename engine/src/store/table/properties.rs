//! What is in a table, in brief.
//!
//! ```text
//! properties = smallest:bytes largest:bytes entries:u64 revision_min:u64 revision_max:u64
//!              cleaned:u64 (file:u64 file_bytes:u64 used_bytes:u64)*        since version 2
//! ```

use bytes::Bytes;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::Revision;
use crate::store::blob::BlobUse;

/// The bounds of a table, both of them inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Properties {
    /// The first user key.
    pub(in crate::store) smallest: Bytes,
    /// The last user key.
    pub(in crate::store) largest: Bytes,
    /// How many versions, tombstones included.
    pub(in crate::store) entries: u64,
    /// The lowest revision of a version.
    pub(in crate::store) revision_min: Revision,
    /// The highest revision of a version.
    pub(in crate::store) revision_max: Revision,
    /// Nothing is left here of what ranges deleted up to this revision hide.
    pub(in crate::store) cleaned: Revision,
    /// The blob files that hold values of the table.
    pub(in crate::store) blobs: Vec<BlobUse>,
}

impl Properties {
    pub(in crate::store) fn encode(&self, out: &mut Encoder) {
        out.bytes(&self.smallest)
            .bytes(&self.largest)
            .u64(self.entries)
            .u64(self.revision_min.0)
            .u64(self.revision_max.0)
            .u64(self.cleaned.0)
            .count(self.blobs.len());
        for blob in &self.blobs {
            blob.put(out);
        }
    }

    /// Reads properties; the first version of the format has fewer.
    pub(in crate::store) fn decode(input: &mut Decoder, first: bool) -> Result<Self, DecodeError> {
        let mut properties = Self {
            smallest: input.bytes("smallest key")?,
            largest: input.bytes("largest key")?,
            entries: input.u64("entries")?,
            revision_min: Revision(input.u64("lowest revision")?),
            revision_max: Revision(input.u64("highest revision")?),
            cleaned: Revision(0),
            blobs: Vec::new(),
        };
        if !first {
            properties.cleaned = Revision(input.u64("cleaned revision")?);
            properties.blobs = input.list("blob files", BlobUse::get)?;
        }
        if properties.smallest > properties.largest
            || properties.revision_min > properties.revision_max
        {
            return Err(input.error("properties", "the bounds are the wrong way round"));
        }
        Ok(properties)
    }

    /// Whether a key lies within the bounds.
    pub(in crate::store) fn covers(&self, key: &[u8]) -> bool {
        self.smallest <= key && self.largest >= key
    }

    /// Whether two tables may share a key.
    pub(in crate::store) fn overlaps(&self, other: &Self) -> bool {
        self.smallest <= other.largest && other.smallest <= self.largest
    }
}
