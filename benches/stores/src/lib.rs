//! Our store and our log beside their peers, in one run on one machine.
//!
//! See `README.md` of this folder for how to run it and what its lines mean.

pub mod cell;
pub mod latency;
pub mod line;
pub mod log;
pub mod machine;
pub mod peer;
pub mod process;
pub mod spread;
pub mod workload;
