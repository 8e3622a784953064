//! Why a request was never acceptable.

use engine::limits;

/// One rule of the wire, broken. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Keys name something; the empty one would name everything.
    #[error("{field} is empty: a key has 1 to {} bytes", limits::KEY_BYTES_MAX)]
    KeyEmpty {
        /// The field.
        field: &'static str,
    },
    /// A key over its limit.
    #[error(
        "{field} has {bytes} bytes: a key has at most {}",
        limits::KEY_BYTES_MAX
    )]
    KeyTooLong {
        /// The field.
        field: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// A value over its limit.
    #[error(
        "{field} has {bytes} bytes: a value has at most {}",
        limits::VALUE_BYTES_MAX
    )]
    ValueTooLarge {
        /// The field.
        field: &'static str,
        /// How large it is.
        bytes: usize,
    },
    /// A member or a field's name over its limit.
    #[error(
        "{field} has one of {bytes} bytes: a member or field has at most {}",
        limits::MEMBER_BYTES_MAX
    )]
    MemberTooLong {
        /// The field.
        field: &'static str,
        /// How long it is.
        bytes: usize,
    },
    /// More rows than one batch may read.
    #[error(
        "the batch names {count} rows: split it, at most {} are read at once",
        limits::BATCH_ROWS_MAX
    )]
    TooManyRows {
        /// How many there are.
        count: usize,
    },
    /// Too many headers, or too much in them.
    #[error(
        "the message has {count} headers with {bytes} bytes: at most {} with {} are taken",
        limits::HEADERS_MAX,
        limits::HEADERS_BYTES_MAX
    )]
    HeadersTooLarge {
        /// How many there are.
        count: usize,
        /// How large they are together.
        bytes: usize,
    },
    /// A name that is empty, too long or has strange characters.
    #[error(
        "{field} {name:?} is no name: use 1 to {} of letters, digits, '-', '_' and '.'",
        limits::NAME_BYTES_MAX
    )]
    BadName {
        /// The field.
        field: &'static str,
        /// What stood there, shortened.
        name: String,
    },
    /// More data than one commit may hold.
    #[error(
        "the commit holds more than {} bytes of keys, values and headers: split it",
        limits::COMMIT_BYTES_MAX
    )]
    CommitTooLarge,
    /// More steps than one commit may hold.
    #[error(
        "the commit holds {count} guards, ops and members: split it, at most {} are taken",
        limits::COMMIT_OPS_MAX
    )]
    TooManyOps {
        /// How many there are.
        count: usize,
    },
    /// A row or a consumer group's partition is written twice.
    #[error("op {op} writes what an earlier op of the commit writes")]
    DuplicateKey {
        /// The later op's place, from 0.
        op: usize,
    },
    /// A field without which the request means nothing.
    #[error("{field} is missing")]
    MissingField {
        /// The field.
        field: &'static str,
    },
    /// A number outside its range.
    #[error("{field} is {value}: it must lie between {min} and {max}")]
    FieldOutOfRange {
        /// The field.
        field: &'static str,
        /// What stood there.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// Two fields that exclude each other.
    #[error("{first} and {second} exclude each other: leave one out")]
    FieldsConflict {
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A range that holds no key.
    #[error("{field} ends before it begins: no key lies in it")]
    RangeEmpty {
        /// The field.
        field: &'static str,
    },
    /// A cursor that this walk was not given.
    #[error(
        "the cursor is damaged or belongs to another scan: repeat the scan that gave it (group, keyspace, prefix and direction), or begin without a cursor"
    )]
    BadCursor,
    /// An address that cannot be dialled.
    #[error("{field} {address:?} is no address: write host:port")]
    BadAddress {
        /// The field.
        field: &'static str,
        /// What stood there, shortened.
        address: String,
    },
}

impl Invalid {
    /// The stable word for programs.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::KeyEmpty { .. } => "KEY_EMPTY",
            Self::KeyTooLong { .. } => "KEY_TOO_LONG",
            Self::ValueTooLarge { .. } => "VALUE_TOO_LARGE",
            Self::MemberTooLong { .. } => "MEMBER_TOO_LONG",
            Self::TooManyRows { .. } => "TOO_MANY_ROWS",
            Self::HeadersTooLarge { .. } => "HEADERS_TOO_LARGE",
            Self::BadName { .. } => "NAME_INVALID",
            Self::CommitTooLarge => "COMMIT_TOO_LARGE",
            Self::TooManyOps { .. } => "TOO_MANY_OPS",
            Self::DuplicateKey { .. } => "DUPLICATE_KEY",
            Self::MissingField { .. } => "MISSING_FIELD",
            Self::FieldOutOfRange { .. } => "FIELD_OUT_OF_RANGE",
            Self::FieldsConflict { .. } => "FIELDS_CONFLICT",
            Self::RangeEmpty { .. } => "RANGE_EMPTY",
            Self::BadCursor => "CURSOR_INVALID",
            Self::BadAddress { .. } => "ADDRESS_INVALID",
        }
    }
}
