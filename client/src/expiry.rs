//! When rows end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use engine_proto::v1 as pb;

/// When a row ends: from then on it is hidden, and it is removed soon after.
///
/// Time is the cluster's: the leader's clock as it stands in the log, which never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// A put follows the keyspace's default; an op that changes a value keeps the end it has, and
    /// gives a new row the default.
    #[default]
    Default,
    /// Never, whatever the keyspace says.
    Never,
    /// Keeps the end of a row that is there; a new one follows the keyspace's default.
    Keep,
    /// So long from now; 1 ms to 100 years.
    After(Duration),
    /// At this time.
    At(SystemTime),
    /// So long from now if the row is new; one that is there keeps its end. What a window of a rate
    /// limit needs.
    IfNew(Duration),
}

/// How long a row lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no row.
    Absent,
    /// It does not end.
    Never,
    /// So long, by the cluster's clock.
    Left(Duration),
}

impl Expiry {
    pub(crate) fn wire(self) -> Option<pb::Expiry> {
        use pb::expiry::End;

        // What is too long for the wire is too long for every server, which says so.
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let end = match self {
            Self::Default => return None,
            Self::Never => End::Never(true),
            Self::Keep => End::Keep(true),
            Self::After(time) => End::AfterMs(ms(time)),
            Self::At(time) => End::AtMs(ms(time.duration_since(UNIX_EPOCH).unwrap_or_default())),
            Self::IfNew(time) => End::IfNewMs(ms(time)),
        };
        Some(pb::Expiry { end: Some(end) })
    }
}
