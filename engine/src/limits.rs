//! Every limit, in one place: its unit, its value, its reason.
//!
//! These are cluster-wide: all nodes must agree on them, because `apply` and the wire checks
//! enforce them alike. What an operator may tune stands in [`Options`](crate::Options).

/// Longest key of a row or message. Long enough for any path, short enough for an index block.
pub const KEY_BYTES_MAX: usize = 32 * 1024;

/// Largest value of a row or message in one request. Larger ones are blobs, sent in chunks.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Longest name of a keyspace, topic or consumer group. Names stand in every request.
pub const NAME_BYTES_MAX: usize = 128;

/// Most guards and operations together in one commit: one apply must stay short.
pub const COMMIT_OPS_MAX: usize = 10_000;

/// Longest life of a row, in milliseconds: a hundred years. What should live longer has no end.
pub const TTL_MS_MAX: u64 = 100 * 366 * 24 * 60 * 60 * 1000;

/// Longest member of a set, and longest name of a field of a hash.
pub const MEMBER_BYTES_MAX: usize = 32 * 1024;

/// Most bytes of keys and values that one commit reads back: sessions remember its answer.
pub const COMMIT_READ_BYTES_MAX: usize = 256 * 1024;

/// Most rows that one commit writes or removes: those of its ops, timers of their ends, and members
/// of sets and hashes that go.
pub const COMMIT_ROWS_MAX: usize = 40_000;

/// Most ranges that one commit deletes, sets and hashes of more than [`MEMBERS_REMOVED_SINGLY_MAX`]
/// members included.
pub const COMMIT_RANGES_MAX: usize = 64;

/// Most bytes of keys and values that one commit replaces or removes in versioned keyspaces: it writes
/// them once more, as versions to be kept. A tick that has removed so many goes on with the next.
pub const COMMIT_KEPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Most bytes of keys, values and headers in one commit; two largest values and room.
pub const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most deleted ranges that a store remembers as such, in memory. Beyond, a range is deleted row
/// by row until compaction has forgotten some.
pub const DELETED_RANGES_MAX: usize = 1_024;

/// Most headers on one message.
pub const HEADERS_MAX: usize = 64;

/// Most bytes of header names and values on one message.
pub const HEADERS_BYTES_MAX: usize = 32 * 1024;

/// Most partitions of one topic: each costs a file handle's worth of state on every node.
pub const PARTITIONS_MAX: u32 = 1_024;

/// Most keyspaces in a group.
pub const KEYSPACES_MAX: usize = 1_024;

/// Most topics in a group.
pub const TOPICS_MAX: usize = 1_024;

/// Most consumer groups with committed offsets on one topic.
pub const CONSUMER_GROUPS_MAX: usize = 1_024;

/// Most sessions in a group; one more is refused, never evicted early.
pub const SESSIONS_MAX: usize = 65_536;

/// Most remembered outcomes in a session: requests that the client has not acknowledged.
pub const SESSION_REQUESTS_MAX: usize = 1_024;

/// Most bytes of remembered outcomes in a group, over all sessions: they live in memory and
/// travel with every checkpoint.
pub const SESSION_OUTCOME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A session unused for this long is forgotten; its requests then answer `SESSION_EXPIRED`.
pub const SESSION_IDLE_MS_MAX: u64 = 60 * 60 * 1000;

/// Most rows and versions that one tick counts in keyspaces that got their first quota when they
/// had rows already.
pub const TICK_COUNTS_MAX: usize = 5_000;

/// Most sessions that one tick forgets, and most rows that one tick removes because they have
/// ended: one apply must stay short.
pub const TICK_EXPIRES_MAX: usize = 1_000;

/// A set or hash of more members goes by one deleted range, a smaller one member by member:
/// deleted ranges are few, and each costs every read a look.
pub const MEMBERS_REMOVED_SINGLY_MAX: u64 = 64;

/// How many revisions stay readable behind the newest; the compaction floor follows by itself.
pub const HISTORY_REVISIONS: u64 = 1_000_000;

/// How far changes may lag behind the compaction floor before they are forgotten, in revisions: each
/// time costs one deleted range.
pub const CHANGES_FORGOTTEN_TOGETHER: u64 = HISTORY_REVISIONS / 16;

/// Bytes of the newest changes, values included, that a group keeps in memory for those who watch.
/// Who has fallen further behind reads the disk.
pub const FEED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most events in one page of a watch or of changes.
pub const WATCH_EVENTS_MAX: usize = 1_000;

/// Most bytes of keys and values in one page of a watch or of changes; a page always holds at least
/// one event.
pub const WATCH_BYTES_MAX: usize = 1024 * 1024;

/// Most rows that one batch reads.
pub const BATCH_ROWS_MAX: usize = 1_000;

/// Most rows in one scan page, and most messages in one fetch.
pub const PAGE_ITEMS_MAX: usize = 10_000;

/// Most bytes in one scan page or fetch; a page always holds at least one item.
pub const PAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most commands in one Raft entry.
pub const ENTRY_COMMANDS_MAX: usize = 4_096;

/// Most bytes of commands in one Raft entry; a single larger commit travels alone.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Most damaged places that a scrub tells of one group's state, or of the log: they are kept in
/// memory, and a state is replaced as a whole.
pub const SCRUB_FINDS_MAX: usize = 1_000;

/// For how many of its last entries a replica still knows the digest.
pub const DIGESTS_KEPT: usize = 4_096;

/// Largest frame body in any segment or partition file: an entry with the largest commit.
pub const FRAME_BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Largest gRPC message accepted: the largest commit and its envelope.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024 * 1024;

const _: () = assert!(VALUE_BYTES_MAX + KEY_BYTES_MAX + HEADERS_BYTES_MAX < COMMIT_BYTES_MAX);
const _: () = assert!(COMMIT_BYTES_MAX + COMMIT_OPS_MAX * 512 <= FRAME_BODY_BYTES_MAX);
const _: () = assert!(COMMIT_BYTES_MAX < REQUEST_BYTES_MAX);
const _: () = assert!(VALUE_BYTES_MAX < PAGE_BYTES_MAX);
const _: () = assert!(SESSION_REQUESTS_MAX <= ENTRY_COMMANDS_MAX);
