//! Everything that is broken on purpose; each kind a file.
//!
//! A nemesis only breaks. What it broke stands in the [`Field`], which mends everything at once:
//! so two may be at work at the same time, whichever they are.

pub(super) mod clock;
mod full;
mod kill;
pub(super) mod members;
mod partition;
mod pause;
mod power;
mod restart;
pub(super) mod rot;
pub(super) mod skew;
pub(super) mod stall;
mod wire;

use std::fmt;

use anyhow::Result;

use super::field::Field;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Nemesis {
    /// `kill -9`: one node, a minority, or all.
    Kill,
    /// `SIGSTOP`: one node, a minority, or all.
    Pause,
    /// All nodes stop in order and start again, one after the other.
    Restart,
    /// Nodes do not hear each other: halves, isolated leaders, one-way cuts, bridges.
    Partition,
    /// Frames are late, lost, doubled and out of order.
    Wire,
    /// The power goes: one node, a minority, or all at once.
    Power,
    /// A disk has no room.
    Full,
    /// A disk hangs again and again.
    Stall,
    /// Bits flip and files are cut short on the disk of one node while it is down.
    Rot,
    /// A node starts again with its monotonic clock elsewhere.
    Clock,
    /// A node's wall clock shows another time, from its start on or by a jump.
    Skew,
    /// A node is removed for good, and an empty one takes its place.
    Members,
}

/// What a nemesis needs to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Signals to its own processes.
    Nothing,
    /// Network namespaces and taps.
    Net,
    /// Loop devices and mounts.
    Disks,
    /// Time namespaces.
    Clocks,
    /// The library libfaketime.
    WallClocks,
}

impl Nemesis {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Kill,
        Self::Pause,
        Self::Restart,
        Self::Partition,
        Self::Wire,
        Self::Power,
        Self::Full,
        Self::Stall,
        Self::Rot,
        Self::Clock,
        Self::Skew,
        Self::Members,
    ];

    /// What it needs.
    pub fn need(self) -> Need {
        match self {
            Self::Kill | Self::Pause | Self::Restart | Self::Members => Need::Nothing,
            Self::Partition | Self::Wire => Need::Net,
            Self::Power | Self::Full | Self::Stall | Self::Rot => Need::Disks,
            Self::Clock => Need::Clocks,
            Self::Skew => Need::WallClocks,
        }
    }

    /// Breaks something; answers what, for the history.
    pub async fn strike(self, field: &mut Field) -> Result<String> {
        match self {
            Self::Kill => kill::strike(field),
            Self::Pause => pause::strike(field),
            Self::Restart => restart::strike(field).await,
            Self::Partition => partition::strike(field).await,
            Self::Wire => wire::strike(field),
            Self::Power => power::strike(field),
            Self::Full => full::strike(field),
            Self::Stall => stall::strike(field),
            Self::Rot => rot::strike(field),
            Self::Clock => clock::strike(field),
            Self::Skew => skew::strike(field),
            Self::Members => members::strike(field).await,
        }
    }
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Restart => "restart",
            Self::Partition => "partition",
            Self::Wire => "wire",
            Self::Power => "power",
            Self::Full => "full",
            Self::Stall => "stall",
            Self::Rot => "rot",
            Self::Clock => "clock",
            Self::Skew => "skew",
            Self::Members => "members",
        })
    }
}
