//! `cluster`: nodes, looked at and changed.

use std::collections::BTreeMap;

use comfy_table::{Cell, Color};
use engine_client::{Member, NodeAnswer, RepairStatus};
use serde::Serialize;

use crate::args::ClusterCommand;
use crate::command::{Context, verify};
use crate::dev::ready::first_group;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Report, lines, table};
use crate::text::thousands;

pub(crate) async fn run(command: ClusterCommand, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    let cluster = client.cluster();
    let done = match command {
        ClusterCommand::Status => {
            let status = ClusterShown::new(cluster.statuses().await);
            context.output.report(&status)?;
            return Ok(ExitCode::Done);
        }
        ClusterCommand::Verify => return verify::run(&client, context).await,
        ClusterCommand::AddLearner { node, peer, client } => {
            cluster.add_learner(node, peer, client).await?;
            Changed::new(node, "is a learner; promote it when it has caught up")
        }
        ClusterCommand::Promote { node } => {
            cluster.promote(node).await?;
            Changed::new(node, "has a vote")
        }
        ClusterCommand::Remove { node } => {
            cluster.remove(node).await?;
            Changed::new(node, "is out for ever; stop its process")
        }
        ClusterCommand::TransferLeader { node } => {
            cluster.transfer_leader(node).await?;
            Changed::new(node, "was handed the leadership")
        }
    };
    context.output.report(&done)?;
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Changed {
    node: u64,
    #[serde(skip)]
    what: &'static str,
    done: bool,
}

impl Changed {
    fn new(node: u64, what: &'static str) -> Self {
        Self {
            node,
            what,
            done: true,
        }
    }
}

impl Report for Changed {
    fn human(&self) -> String {
        format!("node {} {}", self.node, self.what)
    }
}

/// All nodes, those that answered and those that did not.
#[derive(Serialize)]
struct ClusterShown {
    cluster: Option<u64>,
    leader: Option<u64>,
    nodes: Vec<NodeShown>,
}

#[derive(Serialize)]
struct NodeShown {
    /// Unknown if it does not answer and no other node knows its address.
    node: Option<u64>,
    client: String,
    peer: Option<String>,
    up: bool,
    error: Option<String>,
    role: Option<String>,
    voter: Option<bool>,
    term: Option<u64>,
    committed_index: Option<u64>,
    applied_index: Option<u64>,
    revision: Option<u64>,
    digest: Option<String>,
    recovered: Option<bool>,
    pid: Option<u32>,
    version: Option<String>,
    commits: Option<u64>,
    entries: Option<u64>,
    log_syncs: Option<u64>,
    rss_bytes: Option<u64>,
    stall_ms_max: Option<u64>,
    disk: Option<String>,
    disk_free_bytes: Option<u64>,
    disk_total_bytes: Option<u64>,
    repairs: Vec<RepairShown>,
    scrub_errors_total: Option<u64>,
    scrub_finished_ms: Option<u64>,
}

/// A state that was found damaged.
#[derive(Serialize)]
struct RepairShown {
    group: u32,
    state: String,
    damage: String,
    progress: String,
    quarantine: String,
}

impl ClusterShown {
    fn new(answers: Vec<NodeAnswer>) -> Self {
        let mut members: BTreeMap<String, Member> = BTreeMap::new();
        let mut cluster = None;
        let mut leader = None;
        let mut newest = 0;
        for status in answers
            .iter()
            .filter_map(|answer| answer.status.as_ref().ok())
        {
            cluster = cluster.or(Some(status.cluster_id));
            if let Some(group) = first_group(status)
                && group.term >= newest
            {
                newest = group.term;
                leader = group.leader.or(leader);
                for member in &group.members {
                    members.insert(member.client_address.clone(), member.clone());
                }
            }
        }
        let mut nodes: Vec<NodeShown> = answers
            .into_iter()
            .map(|answer| NodeShown::new(&answer, &members))
            .collect();
        nodes.sort_by_key(|node| (node.node.unwrap_or(u64::MAX), !node.up));
        // One node may be known by two addresses.
        nodes.dedup_by(|later, earlier| later.node.is_some() && later.node == earlier.node);
        Self {
            cluster,
            leader,
            nodes,
        }
    }
}

impl NodeShown {
    fn new(answer: &NodeAnswer, members: &BTreeMap<String, Member>) -> Self {
        let status = answer.status.as_ref().ok();
        let group = status.and_then(first_group);
        let member = members.get(&answer.address).or_else(|| {
            members
                .values()
                .find(|member| Some(member.node_id) == status.map(|status| status.node_id))
        });
        let metrics = status.and_then(|status| status.metrics.as_ref());
        let disk = status.and_then(|status| status.disk.as_ref());
        Self {
            node: status
                .map(|status| status.node_id)
                .or(member.map(|member| member.node_id)),
            client: answer.address.clone(),
            peer: member.map(|member| member.peer_address.clone()),
            up: status.is_some(),
            error: answer.status.as_ref().err().map(ToString::to_string),
            role: group.map(|group| group.role.clone()),
            voter: member.map(|member| member.voter),
            term: group.map(|group| group.term),
            committed_index: group.map(|group| group.committed_index),
            applied_index: group.map(|group| group.applied_index),
            revision: group.map(|group| group.revision),
            digest: group.map(|group| format!("{:016x}", group.digest)),
            recovered: group.map(|group| group.recovered),
            pid: status.map(|status| status.pid),
            version: status.map(|status| status.version.clone()),
            commits: metrics.map(|metrics| metrics.commands),
            entries: metrics.map(|metrics| metrics.entries),
            log_syncs: metrics.map(|metrics| metrics.log_syncs),
            rss_bytes: metrics.map(|metrics| metrics.rss_bytes),
            stall_ms_max: metrics.map(|metrics| metrics.stall_ms_max),
            disk: disk.map(|disk| disk.state.clone()),
            disk_free_bytes: disk.map(|disk| disk.free_bytes),
            disk_total_bytes: disk.map(|disk| disk.total_bytes),
            repairs: status.map_or_else(Vec::new, |status| {
                let repairs = status.repairs.iter().cloned();
                repairs.map(RepairShown::new).collect()
            }),
            scrub_errors_total: metrics.map(|metrics| metrics.scrub_errors_total),
            scrub_finished_ms: metrics.and_then(|metrics| metrics.scrub_finished_ms),
        }
    }

    fn is_repairing(&self) -> bool {
        self.repairs
            .iter()
            .any(|repair| repair.state == "repairing")
    }
}

impl RepairShown {
    fn new(repair: RepairStatus) -> Self {
        Self {
            group: repair.group,
            state: repair.state,
            damage: repair.damage,
            progress: repair.progress,
            quarantine: repair.quarantine,
        }
    }

    fn human(&self) -> String {
        let Self {
            group,
            state,
            damage,
            progress,
            quarantine,
        } = self;
        let kept = match quarantine.as_str() {
            "" => String::new(),
            quarantine => format!("; the damaged state is kept in {quarantine}"),
        };
        format!("group {group} is {state}: {damage}; {progress}{kept}")
    }
}

impl Report for ClusterShown {
    fn human(&self) -> String {
        let mut nodes = table([
            "node", "role", "vote", "term", "applied", "revision", "digest", "memory", "disk",
            "client", "peer", "pid",
        ]);
        for node in &self.nodes {
            nodes.add_row(row(node));
        }
        let cluster = self
            .cluster
            .map_or_else(|| "?".to_owned(), |cluster| cluster.to_string());
        let leader = match self.leader {
            Some(leader) => format!("node {leader} leads"),
            None => "nobody leads: a majority of the voters must be up".to_owned(),
        };
        let mut text = format!("{}\ncluster {cluster}; {leader}", lines(&nodes));
        let full = self
            .nodes
            .iter()
            .filter(|node| node.disk.as_deref() == Some("read-only"));
        for node in full.filter_map(|node| node.node) {
            text = format!(
                "{text}\nthe disk of node {node} is full: enlarge it, or free space on it, but \
                 never by deleting the node's files"
            );
        }
        for node in &self.nodes {
            for repair in &node.repairs {
                let id = node.node.unwrap_or_default();
                text = format!("{text}\nnode {id}: {}", repair.human());
            }
        }
        for node in self.nodes.iter().filter(|node| !node.up) {
            if let Some(error) = &node.error {
                text = format!("{text}\n{}: {error}", node.client);
            }
        }
        text
    }
}

fn row(node: &NodeShown) -> Vec<Cell> {
    let or_dash = |value: Option<String>| Cell::new(value.unwrap_or_else(|| "-".to_owned()));
    let number = |value: Option<u64>| or_dash(value.map(thousands));
    vec![
        or_dash(node.node.map(|node| node.to_string())),
        if node.is_repairing() {
            Cell::new("repairing").fg(Color::Yellow)
        } else {
            role(node.up, node.role.as_deref())
        },
        or_dash(
            node.voter
                .map(|voter| if voter { "yes" } else { "no" }.to_owned()),
        ),
        number(node.term),
        number(node.applied_index),
        number(node.revision),
        or_dash(node.digest.clone()),
        or_dash(
            node.rss_bytes
                .map(|bytes| format!("{} MiB", thousands(bytes / (1024 * 1024)))),
        ),
        disk(node),
        Cell::new(&node.client),
        or_dash(node.peer.clone()),
        or_dash(node.pid.map(|pid| pid.to_string())),
    ]
}

/// The state of a node's disk, and how much of it is used.
fn disk(node: &NodeShown) -> Cell {
    let (Some(state), Some(free), Some(total)) =
        (&node.disk, node.disk_free_bytes, node.disk_total_bytes)
    else {
        return Cell::new("-");
    };
    let used = u128::from(total.saturating_sub(free)) * 100 / u128::from(total.max(1));
    let cell = Cell::new(format!("{state} {used} %"));
    match state.as_str() {
        "read-only" => cell.fg(Color::Red),
        "warn" => cell.fg(Color::Yellow),
        _ => cell,
    }
}

/// A node's role, the leader's marked.
pub(crate) fn role(up: bool, role: Option<&str>) -> Cell {
    match role {
        _ if !up => Cell::new("down").fg(Color::Red),
        Some("leader") => Cell::new("leader *").fg(Color::Green),
        Some(role) => Cell::new(role),
        None => Cell::new("starting"),
    }
}
