//! Writes nothing yet.
