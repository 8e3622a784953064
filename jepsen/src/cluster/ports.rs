//! Free TCP ports that stay free while a node is down.
//!
//! Ports that the system hands out for outgoing connections would be taken by some client in the
//! meantime, so they come from below that range.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};
use parking_lot::Mutex;

/// Below Linux's `ip_local_port_range`, which begins at 32768.
const RANGE: std::ops::Range<u16> = 15_000..32_000;
const TRIES_MAX: usize = 10_000;

/// What other clusters of this process got: their nodes may not listen yet, or be down.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// So many ports of 127.0.0.1 on which nobody listens now, and which no call has given before.
pub(super) fn free(count: usize) -> Result<Vec<u16>> {
    let mut given = GIVEN.lock();
    let mut ports = Vec::new();
    for _ in 0..TRIES_MAX {
        if ports.len() == count {
            return Ok(ports);
        }
        let port = rand::random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port) {
            ports.push(port);
        }
    }
    bail!("find {count} free ports in {RANGE:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_can_be_bound() {
        let ports = free(8).expect("some of 17000 ports are free");
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it was free just now");
        }
    }
}
