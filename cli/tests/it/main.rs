//! The real program against real clusters of three processes.

mod cluster;
mod failures;
mod lifecycle;
mod messages;
mod rows;
