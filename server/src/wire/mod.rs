//! Protobuf to domain and back: the only place on the server that knows both.
//!
//! Decoding borrows the request (it may still have to travel on to the leader), shares its bytes
//! and checks every limit of [`engine::limits`]: what passes here may enter the Raft log. What
//! does not pass is an [`Invalid`], with the field's name in its sentence.
//!
//! # Invariants
//! - A command made here holds at most `COMMIT_OPS_MAX` guards and ops, at most
//!   `COMMIT_BYTES_MAX` bytes of keys, values and headers, and no row twice.
//! - A cursor is only taken for the walk that it was given for.
//!
//! # Not here
//! Whether names exist: the replica answers that. Status codes: see [`crate::status`].

mod cluster;
mod commit;
mod cursor;
mod header;
mod invalid;
mod keyspaces;
mod kv;
mod limit;
mod log;
mod maintenance;
mod members;
mod op;
mod topics;
mod versions;
mod watch;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

pub(crate) use cluster::{
    Change, add_learner, membership_response, promote, remove, status_response, transfer_leader,
};
pub(crate) use commit::{
    close_session, close_session_response, commit, commit_response, open_session,
    open_session_response, pipeline_failure, pipeline_response,
};
pub(crate) use header::Header;
pub(crate) use invalid::Invalid;
pub(crate) use keyspaces::{
    alter_keyspace, alter_keyspace_response, create_keyspace, create_keyspace_response,
    drop_keyspace, drop_keyspace_response, list_keyspaces_response,
};
pub(crate) use kv::{
    CountRead, GetRead, ScanRead, count, count_response, delete, delete_response, get, get_failure,
    get_pipeline_response, get_response, put, put_response, scan, scan_cursor, scan_response,
};
pub(crate) use log::{
    commit_offset, commit_offset_response, fetch, fetch_response, produce, produce_response,
};
pub(crate) use maintenance::{
    HashRead, ScrubFollowed, hash, hash_response, scrub_rate, scrub_response,
};
pub(crate) use members::{
    BatchRead, MemberRead, batch_get, batch_get_response, member, member_response, members,
    members_response,
};
pub(crate) use topics::{
    create_topic, create_topic_response, describe_topic, describe_topic_response,
    list_topics_response,
};
pub(crate) use versions::{VersionRead, version, version_response, versions, versions_response};
pub(crate) use watch::{ChangesRead, WatchRead, changes, changes_response, watch, watch_response};
