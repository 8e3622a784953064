//! Named places at which a test may end a node: its disk loses power there, or its process.
//!
//! They stand where something has just been half done. Who watches (`watch`) is told of each
//! visit, on the thread that came by. Without the feature `failpoints` a visit is nothing at all;
//! the binaries of a release refuse to be built with it ([`IS_COMPILED`]).
//!
//! # Not here
//! What happens at a place: a failpoint answers nothing, so it changes no path through the code.

/// Whether visits are told in this build.
pub const IS_COMPILED: bool = cfg!(feature = "failpoints");

macro_rules! points {
    ($($point:ident $name:literal $what:literal)*) => {
        /// A place in the code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Point {
            $(#[doc = $what] $point,)*
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// What reports call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    LogRecovered "log-recovered" "A log was read, and nothing of it changed yet"
    LogOpened "log-opened" "An opened log has a new segment, and the last one keeps its length"
    LogWritten "log-written" "A group commit is written and not synced"
    LogSynced "log-synced" "A group commit is synced, and nobody knows"
    LogSettled "log-settled" "A group commit is known to be synced, and nobody has been told"
    LogTruncating "log-truncating" "A truncation waits in a group commit"
    LogPurging "log-purging" "A purge waits in a group commit"
    LogReset "log-reset" "A log that begins anew waits in a group commit"
    LogSegmentPrepared "log-segment-prepared" "A segment is whole, under a temporary name"
    LogSegmentNamed "log-segment-named" "A segment has its name, which is not synced"
    LogSegmentBegun "log-segment-begun" "The next group commit begins a segment"
    LogSegmentTaken "log-segment-taken" "A segment to be used again has lost its name, unsynced"
    LogSegmentRecycled "log-segment-recycled" "A segment is used again"
    LogSegmentRemoved "log-segment-removed" "A segment is removed, which is not synced"
    TableWritten "table-written" "A table is written and not synced"
    TableSynced "table-synced" "A table is synced, and nothing names it"
    TableRemoved "table-removed" "A table that nothing names was removed"
    BlobsWritten "blobs-written" "A blob file is written and not synced"
    ManifestWritten "manifest-written" "An edit is written and not synced"
    ManifestSynced "manifest-synced" "An edit is synced and not sealed"
    ManifestSealed "manifest-sealed" "An edit is sealed, and readers see the old version"
    ManifestGrown "manifest-grown" "A manifest is written anew, and the old one is current"
    ManifestSwitched "manifest-switched" "The current manifest is another, which is not synced"
    FlushPublished "flush-published" "A memtable has become a table"
    CompactionBegun "compaction-begun" "A compaction has its tables, and has read nothing"
    CompactionWritten "compaction-written" "A compaction's tables are written, and nothing names them"
    CompactionPublished "compaction-published" "A compaction has taken effect"
    TablesMoved "tables-moved" "Tables went one level down as they are"
    CheckpointBegun "checkpoint-begun" "Messages are written and the memtable is frozen"
    CheckpointMessagesSynced "checkpoint-messages-synced" "A checkpoint's messages are synced"
    CheckpointDurable "checkpoint-durable" "A checkpoint is durable, and the log still whole"
    InstallBegun "install-begun" "The folder of a checkpoint to be received is there"
    InstallReceived "install-received" "A checkpoint's last chunk is written"
    InstallStored "install-stored" "A received checkpoint is whole, under a temporary name"
    InstallNamed "install-named" "A received checkpoint has its name, which is not synced"
    InstallOpened "install-opened" "A received checkpoint is open, beside the old state"
    MessagesWritten "messages-written" "Messages are written and not synced"
    MessagesFileBegun "messages-file-begun" "A partition's next file is there, and empty"
    MessagesFileSynced "messages-file-synced" "One of a checkpoint's message files is synced"
    MessagesFilesCut "messages-files-cut" "A partition's file was cut to what was recorded"
    BootCounted "boot-counted" "A start is counted for good"
    VoteSaving "vote-saving" "A vote is on its way to the log"
    VoteSaved "vote-saved" "A vote is synced, and nobody knows"
    EntriesAppending "entries-appending" "Entries are on their way to the log"
    EntryReady "entry-ready" "An entry is committed and synced, and not applied"
    EntryApplied "entry-applied" "An entry is applied, and nobody has its outcome"
    SnapshotBuilt "snapshot-built" "A checkpoint has been made for Raft"
    SnapshotSending "snapshot-sending" "A checkpoint is about to be sent"
    SnapshotSent "snapshot-sent" "A checkpoint has been sent"
    SnapshotReceived "snapshot-received" "A checkpoint has arrived whole"
    SnapshotInstalled "snapshot-installed" "A received checkpoint is the state"
    MembershipChanging "membership-changing" "A change of the voters is about to be proposed"
    MembershipChanged "membership-changed" "A change of the voters has been decided"
}

impl Point {
    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }
}

/// Somebody comes by.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn hit(_: Point) {}

#[cfg(feature = "failpoints")]
pub use watcher::{hit, watch};

#[cfg(feature = "failpoints")]
mod watcher {
    use std::sync::OnceLock;

    use super::Point;

    type Watcher = Box<dyn Fn(Point) + Send + Sync>;

    static WATCHER: OnceLock<Watcher> = OnceLock::new();

    /// From now on `watcher` is told of each visit, for the life of this process; the first one
    /// stays.
    pub fn watch(watcher: Watcher) {
        WATCHER.get_or_init(|| watcher);
    }

    /// Somebody comes by.
    pub fn hit(point: Point) {
        if let Some(watcher) = WATCHER.get() {
            watcher(point);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_thirty_points_at_least_each_with_a_name_of_its_own() {
        let names: BTreeSet<&str> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert!(names.len() >= 30);
        let same = |point: &Point| Point::named(point.name()) == Some(*point);
        assert!(Point::ALL.iter().all(same));
    }
}
