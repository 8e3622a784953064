//! How long every partition file was at one moment: what a checkpoint records of the queue.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::file::HEADER_BYTES;
use crate::codec::{DecodeError, Decoder, Encoder};
use crate::ids::{Offset, PartitionId, TopicId};

/// Names one partition of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionRef {
    /// The topic.
    pub topic: TopicId,
    /// Its partition.
    pub partition: PartitionId,
}

/// One file of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLength {
    /// The offset of its first message.
    pub base: Offset,
    /// Its length in bytes, with the header.
    pub bytes: u64,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionLength {
    /// The oldest offset kept.
    pub start: Offset,
    /// The offset that the next message will have.
    pub end: Offset,
    /// Its files, oldest first.
    pub files: Vec<FileLength>,
}

/// All partitions of a group that ever held a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionLengths {
    /// Each partition with its bounds and files.
    pub partitions: BTreeMap<PartitionRef, PartitionLength>,
}

impl PartitionLengths {
    /// The lengths as bytes; versioned by what holds them.
    pub fn encode(&self) -> Bytes {
        let mut out = Encoder::with_capacity(4 + 44 * self.partitions.len());
        out.count(self.partitions.len());
        for (at, length) in &self.partitions {
            out.u32(at.topic.0)
                .u32(at.partition.0)
                .u64(length.start.0)
                .u64(length.end.0)
                .count(length.files.len());
            for file in &length.files {
                out.u64(file.base.0).u64(file.bytes);
            }
        }
        out.finish()
    }

    /// Reads the bytes; what breaks the order of partitions, files or offsets is an error.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(bytes);
        let mut partitions = BTreeMap::new();
        for _ in 0..input.count("partitions")? {
            let at = PartitionRef {
                topic: TopicId(input.u32("topic")?),
                partition: PartitionId(input.u32("partition")?),
            };
            if partitions
                .last_key_value()
                .is_some_and(|(last, _)| *last >= at)
            {
                return Err(input.error("partition", "the partitions are not in order"));
            }
            let length = PartitionLength {
                start: Offset(input.u64("start")?),
                end: Offset(input.u64("end")?),
                files: input.list("files", |input| {
                    Ok(FileLength {
                        base: Offset(input.u64("base offset")?),
                        bytes: input.u64("file bytes")?,
                    })
                })?,
            };
            length
                .check()
                .map_err(|problem| input.error("partition length", problem))?;
            partitions.insert(at, length);
        }
        input.end("partition lengths")?;
        Ok(Self { partitions })
    }

    /// All bytes of all files.
    pub fn bytes(&self) -> u64 {
        let files = self.partitions.values().flat_map(|length| &length.files);
        files.map(|file| file.bytes).sum()
    }

    /// Whether this file of this partition is recorded.
    pub(super) fn records(&self, at: PartitionRef, base: Offset) -> bool {
        self.partitions.get(&at).is_some_and(|length| {
            let found = length.files.binary_search_by_key(&base, |file| file.base);
            found.is_ok()
        })
    }
}

impl PartitionLength {
    /// The bounds and files must tell one story.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let (Some(first), Some(last)) = (self.files.first(), self.files.last()) else {
            return if self.start == self.end {
                Ok(())
            } else {
                Err("messages without a file")
            };
        };
        if self.start < first.base || self.start > self.end || self.end <= last.base {
            return Err("the offsets lie outside the files");
        }
        if !self.files.is_sorted_by(|a, b| a.base < b.base) {
            return Err("the files are not in order");
        }
        if self.files.iter().any(|file| file.bytes <= HEADER_BYTES) {
            return Err("a file is too short for a message");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths() -> PartitionLengths {
        let file = |base, bytes| FileLength {
            base: Offset(base),
            bytes,
        };
        let length = |start, end, files| PartitionLength {
            start: Offset(start),
            end: Offset(end),
            files,
        };
        let at = |topic, partition| PartitionRef {
            topic: TopicId(topic),
            partition: PartitionId(partition),
        };
        let partitions = BTreeMap::from([
            (at(1, 0), length(0, 9, vec![file(0, 100), file(4, 200)])),
            (at(1, 7), length(5, 5, vec![])),
            (at(2, 0), length(3, 5, vec![file(2, 60)])),
        ]);
        PartitionLengths { partitions }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let lengths = lengths();
        assert_eq!(
            PartitionLengths::decode(lengths.encode()),
            Ok(lengths.clone())
        );
        assert_eq!(lengths.bytes(), 360);
        let bytes = lengths.encode();
        for len in 0..bytes.len() {
            assert!(PartitionLengths::decode(bytes.slice(..len)).is_err());
        }
    }

    #[test]
    fn lengths_that_contradict_themselves_are_refused() {
        let breaks: [fn(&mut PartitionLength); 5] = [
            |length| length.end = Offset(4),
            |length| length.start = Offset(10),
            |length| length.files.reverse(),
            |length| length.files.clear(),
            |length| {
                for file in &mut length.files {
                    file.bytes = HEADER_BYTES;
                }
            },
        ];
        for change in breaks {
            let mut lengths = lengths();
            let mut first = lengths.partitions.first_entry().expect("one is there");
            change(first.get_mut());
            assert!(PartitionLengths::decode(lengths.encode()).is_err());
        }
    }
}
