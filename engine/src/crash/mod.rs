//! Power cuts at every call to the disk of many generated workloads.
//!
//! A workload is played once, on a disk that keeps a copy of itself before each call. Each copy
//! loses power some times over, each time with other losses; what is left is opened and compared
//! with what had been promised by then. Some of these recoveries are recorded in the same way, and
//! the power is cut at each of *their* calls too.
//!
//! ```text
//! play(seed) ──► moment 0, 1, 2, … n        events: asked, acknowledged, found …
//!                   │  cut, with losses drawn by seed
//!                   ├──► recover, compare
//!                   └──► recover, compare, go on ──► moment 0, 1, … m ──► cut, recover, compare
//! ```
//!
//! A promise is the sum of the events before a moment: what was acknowledged must be there, what
//! was asked may be, and nothing else.
//!
//! # Not here
//! The workloads: each stands beside what it exercises.

mod explorer;
mod suite;
mod workload;

pub(crate) use suite::survives_power_cuts;
pub(crate) use workload::{Process, Workload, World};
