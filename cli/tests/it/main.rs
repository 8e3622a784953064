//! The real program against real clusters of three processes.

mod cluster;
mod failures;
mod inspect;
mod lifecycle;
mod maintenance;
mod membership;
mod messages;
mod rows;
mod transfer;
mod typed;
mod versions;
mod watching;
