//! Addresses for the nodes: free ones at the first start, the same ones ever after.

use std::net::{SocketAddr, TcpListener};

use crate::dev::folder::DevNode;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};

/// Below the ports that systems hand out to outgoing connections, one of which could otherwise
/// sit on a node's port at its next start.
const PORTS: std::ops::Range<u16> = 17_000..32_000;

/// Two free local addresses for each of `count` nodes.
pub(crate) fn choose(count: u64) -> Result<Vec<DevNode>> {
    // Held until all are chosen, so that none is chosen twice.
    let mut held = Vec::new();
    let mut nodes = Vec::new();
    for node in 1..=count {
        let mut free = || {
            let (listener, address) = free_port()?;
            held.push(listener);
            Ok::<_, Failure>(address)
        };
        nodes.push(DevNode {
            node,
            client: free()?,
            peer: free()?,
            pid: None,
        });
    }
    Ok(nodes)
}

/// Fails if somebody else sits on an address of a node that shall be started again.
pub(crate) fn check_free(nodes: &[DevNode]) -> Result<()> {
    for node in nodes {
        for (what, address) in [("clients", node.client), ("peers", node.peer)] {
            TcpListener::bind(address).map_err(|error| {
                Failure::new(
                    ExitCode::Failed,
                    format!(
                        "{address}, where node {} serves its {what}, cannot be used: {error}",
                        node.node
                    ),
                )
                .hint("stop the program that uses it, or begin anew with another --data")
            })?;
        }
    }
    Ok(())
}

fn free_port() -> Result<(TcpListener, SocketAddr)> {
    const TRIES: u32 = 1_000;
    for _ in 0..TRIES {
        let port = rand::random_range(PORTS);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if let Ok(listener) = TcpListener::bind(address) {
            return Ok((listener, address));
        }
    }
    Err(Failure::new(
        ExitCode::Failed,
        format!(
            "no free port found between {} and {}",
            PORTS.start, PORTS.end
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn chosen_addresses_are_free_and_differ() {
        let nodes = choose(5).expect("ports are free");
        let addresses: BTreeSet<_> = nodes
            .iter()
            .flat_map(|node| [node.client, node.peer])
            .collect();
        assert_eq!(addresses.len(), 10);
        check_free(&nodes).expect("they are free");
    }

    #[test]
    fn a_taken_address_is_told_with_its_node() {
        let nodes = choose(1).expect("ports are free");
        let address = nodes.first().expect("one node").peer;
        let _taken = TcpListener::bind(address).expect("it is free");
        let failure = check_free(&nodes).expect_err("it is taken");
        let message = failure.message();
        assert!(message.contains(&address.to_string()), "{message}");
        assert!(message.contains("node 1"), "{message}");
    }
}
