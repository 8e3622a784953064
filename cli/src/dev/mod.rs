//! A cluster on this machine: its folder, its processes, its life.
//!
//! ```text
//! DATA/LOCK          held by the one `dev up` that runs here
//! DATA/dev.json      cluster id, addresses and processes of the nodes (folder.rs)
//! DATA/node-N/       data of a node, and log.txt with what it said
//! ```
//!
//! 1. The folder is checked and locked; addresses are those of the last start, or free ones.
//! 2. Each node is started as a process (process.rs), and asked until it serves (ready.rs).
//! 3. Until a signal comes, a node that ends is reported; the others go on.
//! 4. All nodes are asked to stop, and after ten seconds made to.

pub(crate) mod folder;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod ready;
