//! Bugs on purpose, which the simulator must find: each is one line at its place.
//!
//! One is switched on at a time, for the whole process. Without the feature `planted` the
//! question [`on`] is the constant `false`, and nothing of any bug is in the code; the binaries
//! of a release refuse to be built with it ([`IS_COMPILED`]).

/// Whether bugs can be switched on in this build.
pub const IS_COMPILED: bool = cfg!(feature = "planted");

macro_rules! planted {
    ($($bug:ident $name:literal $what:literal)*) => {
        /// A bug on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $(#[doc = $what] $bug,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug,)*];

            /// What the command line calls it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$bug => $name,)*
                }
            }

            /// What is wrong with it.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$bug => $what,)*
                }
            }
        }
    };
}

planted! {
    AckBeforeSync "ack-before-sync" "A group commit is acknowledged and never synced"
    IgnoreFailedSync "ignore-failed-sync" "A failed sync of the log is taken for a good one"
    LogFolderNotSynced "log-folder-not-synced" "The log's folder is never synced"
    StaleFrames "stale-frames" "Frames of an earlier use of a recycled segment pass as new"
    LostTruncation "lost-truncation" "A truncation of the log is not written down"
    LostVote "lost-vote" "A vote is not written down"
    VoteNotSynced "vote-not-synced" "A vote is answered before it is synced"
    ApplyUnsynced "apply-unsynced" "Entries are applied before the node's own log has synced them"
    ResumedTerm "resumed-term" "A restarted leader resumes its term"
    SkipReadIndex "skip-read-index" "A leader answers reads without asking a majority"
    SkipRecoveryGate "skip-recovery-gate" "Reads do not wait until a restarted node has recovered"
    SkipWaitApplied "skip-wait-applied" "A read does not wait until its index is applied"
    OldReadIndex "old-read-index" "A read takes an index that was asked for before it came"
    OldBoot "old-boot" "A node whose disk is an old copy takes part"
    SkipGuards "skip-guards" "A commit does not look at its guards"
    HalfCommit "half-commit" "A commit with rows and messages drops its rows"
    LocalApply "local-apply" "Apply believes the node's own cache that a row is absent"
    StaleCache "stale-cache" "A write leaves the old row in the cache"
    ShowEnded "show-ended" "A read shows a row whose end has come"
    RenewedEnd "renewed-end" "A row that is there gets the end that only a new one should get"
    LeftMembers "left-members" "A set that goes leaves its members behind"
    LostChanges "lost-changes" "What an entry has changed is told to those who watch now, and not written down"
    SkippedHistory "skipped-history" "A watcher that memory has forgotten goes on with what memory has"
    ToldTwice "told-twice" "A watcher's page begins one revision early, with what was told already"
    TornWatch "torn-watch" "A watcher is told only the first change of a commit"
    EarlyProgress "early-progress" "A quiet watcher is told that it is one revision further"
    WrongPrevious "wrong-previous" "A watcher is shown the new value as what stood there before"
    Reexecute "reexecute" "A request that is sent again is done again"
    ForgottenOutcomes "forgotten-outcomes" "A checkpoint leaves out what requests were answered"
    MissingLength "missing-length" "A checkpoint leaves out a partition's length"
    MessagesNotSynced "messages-not-synced" "A checkpoint does not sync its messages"
    TableNotSynced "table-not-synced" "A table is not synced before the manifest names it"
    ManifestNotSynced "manifest-not-synced" "An edit of the manifest is not synced"
    StoreFolderNotSynced "store-folder-not-synced" "The store's folder is never synced"
    LostTombstone "lost-tombstone" "A compaction drops tombstones that still hide something"
    InstallNotSynced "install-not-synced" "The files of a received checkpoint are not synced"
}

/// What becomes of an error that a bug may ignore.
pub(crate) fn ignored<E>(bug: Planted, error: E) -> Result<(), E> {
    if on(bug) { Ok(()) } else { Err(error) }
}

/// Whether a bug is switched on.
#[cfg(not(feature = "planted"))]
#[inline]
pub const fn on(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use switch::{on, plant};

#[cfg(feature = "planted")]
mod switch {
    use std::sync::OnceLock;

    use super::Planted;

    static ON: OnceLock<Planted> = OnceLock::new();

    /// Switches a bug on, for the life of this process; the first one stays.
    pub fn plant(bug: Planted) {
        ON.get_or_init(|| bug);
    }

    /// Whether a bug is switched on.
    pub fn on(bug: Planted) -> bool {
        ON.get() == Some(&bug)
    }
}
