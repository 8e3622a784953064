//! Whole nodes in one process, over loopback ports and disks in memory.

mod cluster;

mod batching;
mod full;
mod groups;
mod leadership;
mod membership;
mod repair;
mod restart;
mod scripts;
mod scrub;
