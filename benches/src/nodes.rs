//! What the nodes have used and done: read before and after a cell.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use engine_client::{Client, NodeMetrics, NodeStatus};

use crate::cpu;

/// All nodes at one moment.
#[derive(Clone, Debug)]
pub struct Nodes {
    nodes: BTreeMap<u64, Node>,
    leader: Option<u64>,
}

#[derive(Clone, Debug)]
struct Node {
    pid: u32,
    /// Whether its process is on this machine.
    local: bool,
    cpu: Option<Duration>,
    metrics: NodeMetrics,
}

/// What happened between two moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Used {
    /// Processor time of the leader; `None` if it is not on this machine.
    pub leader_cpu: Option<Duration>,
    /// Processor time of all other nodes; `None` if one is not on this machine.
    pub followers_cpu: Option<Duration>,
    /// Commands that were decided.
    pub commands: u64,
    /// Raft entries that they travelled in.
    pub entries: u64,
    /// `fdatasync`s of the Raft log on all nodes.
    pub log_syncs: u64,
    /// Bytes appended to the Raft log on all nodes.
    pub log_bytes: u64,
    /// Resident memory of the largest node afterwards.
    pub rss_bytes_max: u64,
    /// The longest stall of a node's event loop since the node started.
    pub stall_ms_max: u64,
}

impl Nodes {
    /// Asks all nodes.
    pub async fn look(client: &Client) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        let mut leader = None;
        let mut newest = 0;
        for answer in client.cluster().statuses().await {
            let Ok(status) = answer.status else { continue };
            if let Some(group) = status.groups.iter().find(|group| group.group == 0)
                && group.term >= newest
                && group.leader.is_some()
            {
                newest = group.term;
                leader = group.leader;
            }
            nodes.insert(status.node_id, Node::of(status, is_local(&answer.address)));
        }
        ensure!(!nodes.is_empty(), "no node answers");
        Ok(Self { nodes, leader })
    }

    /// Reads the processor times again, which takes no question to the nodes.
    pub fn look_at_cpu(&mut self) {
        for node in self.nodes.values_mut() {
            node.cpu = cpu::used(node.pid).filter(|_| node.local);
        }
    }

    /// What happened since `before`. The leader is the one of now.
    pub fn since(&self, before: &Self) -> Result<Used> {
        let mut used = Used {
            leader_cpu: None,
            followers_cpu: Some(Duration::ZERO),
            ..Used::default()
        };
        for (id, now) in &self.nodes {
            let then = before
                .nodes
                .get(id)
                .with_context(|| format!("node {id} did not answer before"))?;
            ensure!(now.pid == then.pid, "node {id} was restarted meanwhile");
            let cpu = match (now.cpu, then.cpu) {
                (Some(now), Some(then)) => Some(now.saturating_sub(then)),
                _ => None,
            };
            if Some(*id) == self.leader {
                used.leader_cpu = cpu;
            } else {
                used.followers_cpu = used.followers_cpu.zip(cpu).map(|(sum, cpu)| sum + cpu);
            }
            let (now, then) = (&now.metrics, &then.metrics);
            used.commands += now.commands.saturating_sub(then.commands);
            used.entries += now.entries.saturating_sub(then.entries);
            used.log_syncs += now.log_syncs.saturating_sub(then.log_syncs);
            used.log_bytes += now.log_bytes.saturating_sub(then.log_bytes);
            used.rss_bytes_max = used.rss_bytes_max.max(now.rss_bytes);
            used.stall_ms_max = used.stall_ms_max.max(now.stall_ms_max);
        }
        Ok(used)
    }

    /// How many answered.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }
}

impl Node {
    fn of(status: NodeStatus, local: bool) -> Self {
        Self {
            pid: status.pid,
            local,
            cpu: None,
            metrics: status.metrics.unwrap_or_default(),
        }
    }
}

/// A process id means something only on the machine that it comes from.
fn is_local(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, _)| host.starts_with("127.") || matches!(host, "localhost" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(leader: u64, list: &[(u64, Option<u64>, u64)]) -> Nodes {
        let nodes = list.iter().map(|(id, cpu_ms, commands)| {
            let node = Node {
                pid: 7,
                local: true,
                cpu: cpu_ms.map(Duration::from_millis),
                metrics: NodeMetrics {
                    commands: *commands,
                    log_syncs: 2 * commands,
                    ..NodeMetrics::default()
                },
            };
            (*id, node)
        });
        Nodes {
            nodes: nodes.collect(),
            leader: Some(leader),
        }
    }

    #[test]
    fn leader_and_followers_are_kept_apart() {
        let before = nodes(1, &[(1, Some(100), 10), (2, Some(10), 0), (3, Some(20), 0)]);
        let after = nodes(1, &[(1, Some(150), 40), (2, Some(30), 0), (3, Some(50), 0)]);
        let used = after.since(&before).expect("the same nodes");
        assert_eq!(used.leader_cpu, Some(Duration::from_millis(50)));
        assert_eq!(used.followers_cpu, Some(Duration::from_millis(50)));
        assert_eq!((used.commands, used.log_syncs), (30, 60));
    }

    #[test]
    fn a_node_elsewhere_leaves_the_sum_unknown() {
        let before = nodes(1, &[(1, Some(100), 10), (2, None, 0)]);
        let used = before.since(&before).expect("the same nodes");
        assert_eq!(used.leader_cpu, Some(Duration::ZERO));
        assert_eq!(used.followers_cpu, None);
    }

    #[test]
    fn a_node_that_came_in_between_is_refused() {
        let before = nodes(1, &[(1, Some(100), 10)]);
        let after = nodes(1, &[(1, Some(100), 10), (2, None, 0)]);
        assert!(after.since(&before).is_err());
    }

    #[test]
    fn only_loopback_is_this_machine() {
        assert!(is_local("127.0.0.1:7101") && is_local("localhost:1") && is_local("[::1]:1"));
        assert!(!is_local("10.0.0.1:7101") && !is_local("n1:7101"));
    }
}
