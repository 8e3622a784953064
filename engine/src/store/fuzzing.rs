//! The decoders of a store's files: see [`fuzzing`](crate::fuzzing).

pub(crate) use super::blob::fuzzing::blob;
pub(crate) use super::manifest::fuzzing::{edit, manifest};
pub(crate) use super::table::fuzzing::{block, codec, filter, footer, index, properties, table};
