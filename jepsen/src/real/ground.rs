//! What the machines of a run share: the network between them and the disks under them, as far
//! as this process may make them; else relays on the loopback interface, and one disk for all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use parking_lot::{Mutex, MutexGuard};

use super::disk::Disk;
use super::net::{self, Switch};
use super::proxy::{Manner, Relay};
use crate::cluster::Addresses;
use crate::cluster::machine::{Here, Launch, Loopback, Machine, Machines};

/// Where nodes on machines of their own serve clients and peers.
const CLIENT_PORT: u16 = 7101;
const PEER_PORT: u16 = 7201;

/// Makes machines, numbered like the first nodes on them.
#[derive(Debug)]
pub struct Ground {
    switch: Option<Switch>,
    relays: Mutex<BTreeMap<u64, Relay>>,
    has_disks: bool,
    disks: Mutex<BTreeMap<u64, Disk>>,
    loopback: Loopback,
}

impl Ground {
    /// With a network that can be hurt, disks that can be hurt, or neither.
    pub fn new(has_net: bool, has_disks: bool, seed: u64) -> Result<Self> {
        let switch = has_net
            .then(|| Switch::new(seed))
            .transpose()
            .context("make a network")?;
        Ok(Self {
            switch,
            relays: Mutex::default(),
            has_disks,
            disks: Mutex::default(),
            loopback: Loopback::default(),
        })
    }

    /// Whatever is wrong between the machines is right again.
    pub fn heal_net(&self) {
        if let Some(switch) = &self.switch {
            switch.heal();
        }
        for relay in self.relays.lock().values() {
            relay.behave(Manner::default());
        }
    }

    /// Where there is no network that can be hurt: a machine's peers are heard like this.
    pub(super) fn relay(&self, machine: u64, manner: Manner) {
        if let Some(relay) = self.relays.lock().get(&machine) {
            relay.behave(manner);
        }
    }

    /// The network, if it can be hurt.
    pub fn switch(&self) -> Option<&Switch> {
        self.switch.as_ref()
    }

    /// The disks by machine; none if they cannot be hurt.
    pub fn disks(&self) -> MutexGuard<'_, BTreeMap<u64, Disk>> {
        self.disks.lock()
    }
}

impl Machines for Ground {
    fn provide(&self, id: u64, folder: &Path) -> Result<Machine> {
        let mut machine = self.loopback.provide(id, folder)?;
        if let Some(switch) = &self.switch {
            let port = u8::try_from(id).context("a network has 253 machines at most")?;
            let launcher: Arc<dyn Launch> = Arc::new(switch.host(port)?);
            machine.launcher = launcher;
            let address = net::address(port);
            machine.addresses = Addresses {
                client: format!("{address}:{CLIENT_PORT}"),
                peer: format!("{address}:{PEER_PORT}"),
            };
            machine.peer_listen = machine.addresses.peer.clone();
        } else {
            machine.launcher = Arc::new(Here);
            machine.addresses.peer = format!("127.0.0.1:{}", self.loopback.port()?);
            let relay = Relay::new(&machine.addresses.peer, machine.peer_listen.clone())?;
            self.relays.lock().insert(id, relay);
        }
        if self.has_disks {
            let image = folder.join(format!("disk-{id}.img"));
            let disk = Disk::new(image, folder.join(format!("disk-{id}")))?;
            machine.data = disk.data();
            self.disks.lock().insert(id, disk);
        }
        Ok(machine)
    }
}
