//! Parts of tables made of any bytes: see [`fuzzing`](crate::fuzzing).

mod file;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::block::{Block, BlockBuilder, Interval};
use super::codec::{Compressor, unpack};
use super::filter::{Filter, FilterBuilder, hash_key};
use super::footer::{FOOTER_BYTES, Footer};
use super::index::Index;
use super::properties::Properties;
use crate::codec::{Decoder, Encoder};
use crate::ids::Revision;
use crate::store::key::Place;
use crate::store::options::Compression;
use crate::store::row::{RowMeta, RowParts, StoredValue, ValueParts};

pub(crate) use file::table;

/// A block of any bytes, and one of any rows.
pub(crate) fn block(data: &[u8]) {
    if let Ok(block) = Block::new(Bytes::copy_from_slice(data), &None) {
        let mut interval = Interval::default();
        for run in 0..block.intervals() {
            if block.read_interval(run, &mut interval).is_err() {
                continue;
            }
            for entry in 0..interval.len() {
                let place = interval.place(entry).expect("there are so many");
                let _ = block.get(place);
                let _ = block.interval_of(place);
                let _ = interval.row(entry, &block);
            }
        }
    }
    let mut rest = data;
    let mut rows = BTreeMap::new();
    while let [key_len, revision, value_len, tail @ ..] = rest {
        let (key, tail) = tail.split_at(usize::from(*key_len % 32).min(tail.len()));
        let (value, tail) = tail.split_at(usize::from(*value_len % 32).min(tail.len()));
        rows.insert((key, Reverse(u64::from(*revision))), value);
        rest = tail;
    }
    if rows.is_empty() {
        return;
    }
    let mut builder = BlockBuilder::default();
    let place = |key, revision| Place {
        key,
        revision: Revision(revision),
    };
    for ((key, Reverse(revision)), value) in &rows {
        let row = RowParts {
            value: ValueParts::Inline(value),
            meta: RowMeta::of_bytes(Revision(*revision), 1),
        };
        builder.add(place(key, *revision), Some(row));
    }
    let bytes = Bytes::copy_from_slice(builder.finish());
    let block = Block::new(bytes, &None).expect("a block that was built");
    for ((key, Reverse(revision)), value) in &rows {
        let found = block.get(place(key, *revision)).expect("our own bytes");
        let row = found.and_then(|found| found.row).expect("it was added");
        assert!(matches!(&row.value, StoredValue::Inline(found) if found == value));
    }
}

/// A stored block of any bytes, and any bytes stored.
pub(crate) fn codec(data: &[u8]) {
    let _ = unpack(&Bytes::copy_from_slice(data), &Arc::default());
    let mut compressor = Compressor::new(Compression::Lz4);
    let (bytes, codec) = compressor.pack(data);
    let stored = [bytes, &[codec]].concat();
    assert_eq!(
        unpack(&Bytes::from(stored), &Arc::default()).expect("our own bytes"),
        data
    );
}

/// An index, and the place where it is to begin.
pub(crate) fn index(data: &[u8]) {
    let Some((end, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(rest);
    if let Ok(index) = Index::decode(bytes, u64::from_le_bytes(*end)) {
        let found = index.find(Place::before(rest));
        assert!(found <= index.len());
        assert!((0..index.len()).all(|block| index.span(block).is_some()));
    }
}

/// A filter of any bits, and one of any keys.
pub(crate) fn filter(data: &[u8]) {
    let hash = hash_key(data);
    if let Some(filter) = Filter::new(Bytes::copy_from_slice(data)) {
        let _ = filter.may_contain(hash);
    }
    let mut builder = FilterBuilder::default();
    for key in data.chunks(3) {
        builder.add(key);
    }
    let filter = Filter::new(builder.finish().into()).expect("whole blocks");
    assert!(data.chunks(3).all(|key| filter.may_contain(hash_key(key))));
}

/// A footer with its checksum put right.
pub(crate) fn footer(data: &[u8]) {
    let Some((len, rest)) = data.split_first_chunk::<8>() else {
        return;
    };
    let len = u64::from_le_bytes(*len);
    let _ = Footer::decode(Bytes::copy_from_slice(rest), len);
    let Some(bytes) = rest.get(..FOOTER_BYTES - 4) else {
        return;
    };
    let crc = crc32fast::hash(bytes).to_le_bytes();
    let bytes = Bytes::from([bytes, &crc].concat());
    if let Ok(footer) = Footer::decode(bytes.clone(), len) {
        assert_eq!(footer.encode(), bytes);
    }
}

/// Properties of either version.
pub(crate) fn properties(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let mut input = Decoder::new(Bytes::copy_from_slice(rest));
    let Ok(properties) = Properties::decode(&mut input, first % 2 == 0) else {
        return;
    };
    let mut out = Encoder::new();
    properties.encode(&mut out);
    let again = Properties::decode(&mut Decoder::new(out.finish()), false);
    assert_eq!(again, Ok(properties));
}
