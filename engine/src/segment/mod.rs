//! Raft log segments.
