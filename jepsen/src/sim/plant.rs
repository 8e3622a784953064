//! The bugs on purpose that a world can have: those of nodes and those of clients.

use anyhow::{Result, bail};
use engine::planted::Planted as OfNode;
use engine_client::planted::Planted as OfClient;

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// All nodes have it.
    Node(OfNode),
    /// All clients have it.
    Client(OfClient),
}

/// All of them.
pub fn all() -> impl Iterator<Item = Plant> {
    let nodes = OfNode::ALL.iter().copied().map(Plant::Node);
    nodes.chain(OfClient::ALL.iter().copied().map(Plant::Client))
}

/// Those of these names; all, if none is named.
///
/// # Errors
/// If there is none of a name.
pub fn named(names: &[String]) -> Result<Vec<Plant>> {
    if names.is_empty() {
        return Ok(all().collect());
    }
    names.iter().map(|name| one(name)).collect()
}

fn one(name: &str) -> Result<Plant> {
    match all().find(|plant| plant.name() == name) {
        Some(plant) => Ok(plant),
        None => bail!("no planted bug is called {name:?}; `sim --plants` lists them"),
    }
}

/// Switches one on, for the life of this process.
///
/// # Errors
/// If there is none of this name, or this build has none.
#[cfg(feature = "planted")]
pub fn switch_on(name: &str) -> Result<()> {
    match one(name)? {
        Plant::Node(bug) => engine::planted::plant(bug),
        Plant::Client(bug) => engine_client::planted::plant(bug),
    }
    Ok(())
}

/// Switches one on, for the life of this process.
///
/// # Errors
/// If there is none of this name, or this build has none.
#[cfg(not(feature = "planted"))]
pub fn switch_on(name: &str) -> Result<()> {
    let name = one(name)?.name();
    bail!("{name} is not in this build: add `--features planted`")
}

impl Plant {
    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Node(bug) => bug.name(),
            Self::Client(bug) => bug.name(),
        }
    }

    /// What is wrong with it.
    pub fn what(self) -> &'static str {
        match self {
            Self::Node(bug) => bug.what(),
            Self::Client(bug) => bug.what(),
        }
    }
}
