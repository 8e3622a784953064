//! One function for each decoder, to be called with any bytes whatever: see the folder `fuzz`.
//!
//! None may panic, allocate beyond a small multiple of its input, or read back anything else than
//! what was encoded. Where a checksum stands before a decoder it is put right first: chance would
//! never get past it, and damage is not the only way to strange bytes.

use bytes::Bytes;

use crate::changes::EntryRecord;
use crate::command::{Outcome, Payload};
use crate::state::State;
use crate::store::{decode_deleted, encode_deleted};
use crate::{checkpoint, queue, segment, store};

/// A decoder's name, and the function that feeds it.
pub type Target = (&'static str, fn(&[u8]));

/// All decoders.
pub const TARGETS: [Target; 22] = [
    ("log_frame", segment::fuzzing::frame),
    ("log_head", segment::fuzzing::head),
    ("log_segment", segment::fuzzing::segment),
    ("table_block", store::fuzzing::block),
    ("table_codec", store::fuzzing::codec),
    ("table_index", store::fuzzing::index),
    ("table_filter", store::fuzzing::filter),
    ("table_footer", store::fuzzing::footer),
    ("table_properties", store::fuzzing::properties),
    ("table_file", store::fuzzing::table),
    ("blob_file", store::fuzzing::blob),
    ("manifest_edit", store::fuzzing::edit),
    ("manifest_file", store::fuzzing::manifest),
    ("deleted_ranges", deleted_ranges),
    ("partition_frame", queue::fuzzing::frame),
    ("partition_file", queue::fuzzing::file),
    ("partition_lengths", queue::fuzzing::lengths),
    ("checkpoint_chunk", checkpoint::fuzzing::chunk),
    ("checkpoint_state", state),
    ("payload", payload),
    ("outcome", outcome),
    ("change_record", record),
];

fn deleted_ranges(data: &[u8]) {
    if let Ok(ranges) = decode_deleted(Bytes::copy_from_slice(data)) {
        assert_eq!(encode_deleted(&ranges), data);
    }
}

fn state(data: &[u8]) {
    if let Ok((state, lengths)) = State::decode(Bytes::copy_from_slice(data)) {
        let again = State::decode(state.encode(&lengths));
        assert_eq!(again, Ok((state, lengths)));
    }
}

fn payload(data: &[u8]) {
    // An older form is read and the newer one written, so that the bytes may differ.
    if let Ok(payload) = Payload::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(Payload::decode(payload.encode()), Ok(payload));
    }
}

fn record(data: &[u8]) {
    if let Ok(record) = EntryRecord::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(record.encode(), data);
    }
}

fn outcome(data: &[u8]) {
    if let Ok(outcome) = Outcome::decode(Bytes::copy_from_slice(data)) {
        assert_eq!(outcome.encode(), data);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::env::Vfs;
    use crate::env::vfs::OpenMode;
    use crate::env::vfs::os::OsVfs;

    #[test]
    fn every_kept_input_passes_its_target() {
        let os = OsVfs::new();
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let folder = corpus.join(name);
            let inputs = os.list(&folder).expect("each target has kept inputs");
            assert!(!inputs.is_empty(), "{name}");
            for input in inputs {
                let file = os.open(&folder.join(input.name), OpenMode::Read);
                let file = file.expect("the input is there");
                let len = usize::try_from(file.len().expect("a length")).expect("it is small");
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, 0).expect("its bytes");
                target(&bytes);
            }
        }
    }
}
