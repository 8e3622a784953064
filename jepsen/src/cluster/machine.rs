//! On what a node runs: its addresses, its folder, and how its processes are started.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;

use super::ports;

/// Where a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// By clients.
    pub client: String,
    /// By its peers.
    pub peer: String,
}

/// On what one node runs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where its node is reached.
    pub addresses: Addresses,
    /// Where its node listens for peers: behind a relay that is another address.
    pub peer_listen: String,
    /// The folder of its node's data; the node makes it.
    pub data: PathBuf,
    /// Who starts its node's processes.
    pub launcher: Arc<dyn Launch>,
}

/// Starts processes on a machine.
pub trait Launch: fmt::Debug + Send + Sync {
    /// Starts one.
    fn launch(&self, command: Command) -> io::Result<Child>;
}

/// Provides machines.
pub trait Machines: fmt::Debug + Send + Sync {
    /// The machine of node `id`; what is the cluster's own lies in `folder`.
    fn provide(&self, id: u64, folder: &Path) -> Result<Machine>;
}

/// All nodes share this machine: they speak over the loopback interface and write to one disk.
#[derive(Debug, Default)]
pub struct Loopback {
    /// Given to a node that need not listen yet.
    given: Mutex<BTreeSet<u16>>,
}

/// Starts processes as children of this one, and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl Loopback {
    /// A port that this gave to nobody else.
    pub fn port(&self) -> Result<u16> {
        let mut given = self.given.lock();
        loop {
            for port in ports::free(1)? {
                if given.insert(port) {
                    return Ok(port);
                }
            }
        }
    }
}

impl Machines for Loopback {
    fn provide(&self, id: u64, folder: &Path) -> Result<Machine> {
        let (client, peer) = (self.port()?, self.port()?);
        let peer = format!("127.0.0.1:{peer}");
        Ok(Machine {
            addresses: Addresses {
                client: format!("127.0.0.1:{client}"),
                peer: peer.clone(),
            },
            peer_listen: peer,
            data: folder.join(format!("node-{id}")),
            launcher: Arc::new(Here),
        })
    }
}

impl Launch for Here {
    fn launch(&self, mut command: Command) -> io::Result<Child> {
        command.spawn()
    }
}
