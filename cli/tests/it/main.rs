//! The real program against real clusters of three processes.

mod cluster;
mod failures;
mod inspect;
mod lifecycle;
mod membership;
mod messages;
mod rows;
mod typed;
mod versions;
