//! What can go wrong with a world, and when.

use serde::{Deserialize, Serialize};

/// A fault and its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Milliseconds after the clients began.
    pub at_ms: u64,
    /// What happens then.
    pub fault: Fault,
}

/// Whom a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// This node.
    Node(u64),
    /// The node that leads at that moment, in the highest term; nobody if there is none.
    Leader,
}

/// A moment at which a power cut hurts most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// A new leader has been seen.
    Elected,
    /// A write has been acknowledged.
    Acknowledged,
}

/// Whose power an ambush cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Victims {
    /// The leader's.
    Leader,
    /// That of a majority, the leader among them.
    Majority,
    /// Everybody's.
    All,
}

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The process ends; what it wrote is in the page cache.
    Kill {
        /// Whose.
        who: Who,
        /// How long it stays down.
        down_ms: u64,
    },
    /// The power goes, and with it any part of what was not synced.
    PowerCut {
        /// Whose.
        who: Who,
        /// How long it stays down.
        down_ms: u64,
        /// In the midst of this call to the disk from now on, or between two.
        after_calls: Option<u64>,
    },
    /// All processes end at once.
    Blackout {
        /// How long the first of them stays down.
        down_ms: u64,
        /// Whether the power goes too.
        power: bool,
    },
    /// The next node that comes to a failpoint of the product ends there; nothing happens in a
    /// build without failpoints.
    Failpoint {
        /// Which, by its name.
        point: String,
        /// So many visits of anybody pass before.
        spared: u64,
        /// Whether the power goes too.
        power: bool,
    },
    /// The power goes in the very tick in which something has happened, while disks are slow.
    Ambush {
        /// What has happened.
        when: When,
        /// Whose power goes.
        victims: Victims,
        /// Each step of all nodes' jobs takes up to so long until then.
        step_ms: u64,
        /// How long they stay down.
        down_ms: u64,
        /// How long the moment is waited for.
        ms: u64,
    },
    /// A node's disk is put back from a copy that was made before its last start; once the node
    /// has refused it, another node takes its place.
    OldDisk {
        /// The one that goes.
        old: u64,
        /// The one that comes.
        new: u64,
    },
    /// Bits of one file of a node's state flip while it is down, if nothing else is wrong for good.
    Rot {
        /// Whose.
        node: u64,
        /// How long it stays down.
        down_ms: u64,
    },
    /// Old revisions are given up, so that compaction drops what only they could see.
    RaiseFloor,
    /// Two nodes cannot speak; with node 0, the clients and a node.
    Cut {
        /// From here…
        from: u64,
        /// …to there.
        to: u64,
        /// Whether the way back is open.
        one_way: bool,
        /// How long.
        ms: u64,
    },
    /// Nobody speaks with one node, clients excepted.
    Isolate {
        /// Which.
        who: Who,
        /// Whether what was said meanwhile arrives later, or never.
        hold: bool,
        /// How long.
        ms: u64,
    },
    /// These nodes speak only with each other, the others too.
    Split {
        /// One side.
        side: Vec<u64>,
        /// Whether what was said meanwhile arrives later, or never.
        hold: bool,
        /// How long.
        ms: u64,
    },
    /// Any link may break at any message, and be repaired at a later one.
    Loss {
        /// Of a million messages, so many break their link.
        per_million: u32,
        /// How long.
        ms: u64,
    },
    /// Messages take up to so long, each its own time.
    Latency {
        /// The longest.
        max_ms: u64,
        /// How long.
        ms: u64,
    },
    /// Each step of a node's jobs takes up to so long.
    SlowDisk {
        /// Whose.
        who: Who,
        /// The longest.
        step_ms: u64,
        /// How long.
        ms: u64,
    },
    /// Nothing can be created, and no file grows.
    FullDisk {
        /// Whose.
        who: Who,
        /// How long.
        ms: u64,
    },
    /// The next sync fails, and what it should have kept is lost with the power.
    SyncFails {
        /// Whose.
        who: Who,
    },
    /// Every write fails.
    WritesFail {
        /// Whose.
        who: Who,
        /// How long.
        ms: u64,
    },
    /// The wall clock runs at another speed.
    ClockDrift {
        /// Whose.
        who: Who,
        /// By so many thousandths faster; negative is slower.
        by_per_mille: i64,
    },
    /// The wall clock jumps.
    ClockJump {
        /// Whose.
        who: Who,
        /// How far; negative is back.
        by_ms: i64,
    },
    /// Leadership is handed to a node.
    Transfer {
        /// To whom.
        to: u64,
    },
    /// A new node comes, is given a vote, and an old one goes for ever.
    Replace {
        /// The one that goes.
        old: u64,
        /// The one that comes.
        new: u64,
    },
}
