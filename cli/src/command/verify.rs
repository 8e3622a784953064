//! `cluster verify`: do all nodes hold the same?
//!
//! All nodes are asked for the hashes of their rows at one revision that each of them has reached,
//! and for the digest after one entry that each has applied. Writes may go on meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use engine_client::{Client, HashedNode, KeyspaceHash, NodeAnswer};
use serde::Serialize;

use crate::command::Context;
use crate::dev::ready::first_group;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::{Report, lines, table};
use crate::text::thousands;

/// How often nodes are asked anew whose answers cannot be compared: a keyspace came or went, or the
/// entry is long past.
const TRIES_MAX: usize = 5;

pub(crate) async fn run(client: &Client, context: &Context) -> Result<ExitCode> {
    let mut shown = compare(client).await?;
    for _ in 1..TRIES_MAX {
        if shown.is_comparable() {
            break;
        }
        shown = compare(client).await?;
    }
    context.output.report(&shown)?;
    Ok(shown.verdict())
}

async fn compare(client: &Client) -> Result<VerifyShown> {
    let mut silent = Vec::new();
    let mut standing: BTreeMap<u64, Standing> = BTreeMap::new();
    let answers = client.cluster().statuses().await;
    for NodeAnswer { address, status } in answers {
        let group = status.as_ref().ok().and_then(first_group);
        match (&status, group) {
            (Ok(status), Some(group)) => {
                // One node may be known by two addresses.
                standing.entry(status.node_id).or_insert(Standing {
                    address,
                    applied: group.applied_index,
                    revision: group.revision,
                });
            }
            (Ok(_), None) => silent.push(format!("{address}: its state is being repaired")),
            (Err(error), _) => silent.push(format!("{address}: {error}")),
        }
    }
    let index = standing.values().map(|node| node.applied).min();
    let revision = standing.values().map(|node| node.revision).min();
    let (Some(index), Some(revision)) = (index, revision) else {
        let why = "no node answers that holds a state";
        return Err(Failure::new(ExitCode::Unavailable, why));
    };
    let addresses = standing.values().map(|node| node.address.clone());
    let maintenance = client.maintenance();
    let hashed = maintenance.hash_on(addresses, revision, index).await;
    let nodes = standing.iter().zip(hashed);
    let nodes = nodes.map(|((node, standing), hashed)| NodeShown::new(*node, standing, hashed));
    Ok(VerifyShown::new(index, revision, nodes.collect(), silent))
}

/// Where a node stands before it is asked.
struct Standing {
    address: String,
    applied: u64,
    revision: u64,
}

/// What all nodes hold at one moment.
#[derive(Serialize)]
struct VerifyShown {
    /// The entry after which digests are compared.
    applied_index: u64,
    /// The revision at which rows are compared.
    revision: u64,
    equal: bool,
    nodes: Vec<NodeShown>,
    /// Members that did not answer, and why.
    silent: Vec<String>,
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct NodeShown {
    node: u64,
    client: String,
    applied_index: u64,
    digest: Option<String>,
    error: Option<String>,
    keyspaces: Vec<HashShown>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct HashShown {
    name: String,
    hash: String,
    rows: u64,
    members: u64,
}

/// Something that the nodes do not agree on.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Difference {
    /// `digest`, or the name of a keyspace.
    of: String,
    is_keyspace: bool,
    /// The nodes that contradict a majority of those that answered; empty if there is none.
    nodes: Vec<u64>,
}

impl NodeShown {
    fn new(node: u64, standing: &Standing, answer: HashedNode) -> Self {
        let (hashed, error) = match answer.hashed {
            Ok(hashed) => (Some(hashed), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let digest = hashed.as_ref().and_then(|hashed| hashed.digest);
        let keyspaces = hashed.map_or_else(Vec::new, |hashed| hashed.keyspaces);
        Self {
            node,
            client: answer.address,
            applied_index: standing.applied,
            digest: digest.map(|digest| format!("{digest:016x}")),
            error,
            keyspaces: keyspaces.into_iter().map(HashShown::new).collect(),
        }
    }
}

impl HashShown {
    fn new(keyspace: KeyspaceHash) -> Self {
        Self {
            hash: format!("{:032x}", keyspace.hash),
            name: keyspace.name,
            rows: keyspace.rows,
            members: keyspace.members,
        }
    }
}

impl VerifyShown {
    fn new(applied_index: u64, revision: u64, nodes: Vec<NodeShown>, silent: Vec<String>) -> Self {
        let differences = differences(&nodes);
        Self {
            applied_index,
            revision,
            equal: differences.is_empty(),
            nodes,
            silent,
            differences,
        }
    }

    /// Whether the nodes were asked about the same: else they are asked again.
    fn is_comparable(&self) -> bool {
        let mut names = self.nodes.iter().map(|node| {
            let names = node.keyspaces.iter().map(|keyspace| keyspace.name.as_str());
            names.collect::<BTreeSet<_>>()
        });
        let first = names.next().unwrap_or_default();
        names.all(|names| names == first)
            && self
                .nodes
                .iter()
                .all(|node| node.error.is_none() && node.digest.is_some())
    }

    fn verdict(&self) -> ExitCode {
        let is_silent = !self.silent.is_empty() || self.nodes.iter().any(|n| n.error.is_some());
        match self.equal {
            false => ExitCode::Failed,
            true if is_silent => ExitCode::Unavailable,
            true => ExitCode::Done,
        }
    }

    fn sentence(&self) -> String {
        let all: Vec<u64> = self.nodes.iter().map(|node| node.node).collect();
        if self.equal {
            return format!(
                "nodes {} hold the same at revision {}",
                list(&all),
                thousands(self.revision)
            );
        }
        let differences = self.differences.iter().map(Difference::human);
        differences.collect::<Vec<_>>().join("\n")
    }
}

impl Difference {
    fn human(&self) -> String {
        let what = if self.is_keyspace {
            format!("keyspace {:?}", self.of)
        } else {
            "the digest, a hash over all applied entries and outcomes".to_owned()
        };
        match self.nodes.as_slice() {
            [] => format!("the nodes differ in {what}, and no majority of them agrees"),
            [one] => format!("node {one} differs from the others in {what}"),
            nodes => format!("nodes {} differ from the others in {what}", list(nodes)),
        }
    }
}

/// What the nodes that answered do not agree on.
fn differences(nodes: &[NodeShown]) -> Vec<Difference> {
    let answered: Vec<&NodeShown> = nodes.iter().filter(|node| node.error.is_none()).collect();
    let digests: Vec<_> = answered
        .iter()
        .filter_map(|node| Some((node.node, node.digest.as_deref()?)))
        .collect();
    let mut found = Vec::new();
    if let Some(nodes) = minority(&digests) {
        found.push(Difference {
            of: "digest".to_owned(),
            is_keyspace: false,
            nodes,
        });
    }
    let keyspaces = answered.iter().flat_map(|node| &node.keyspaces);
    let names: BTreeSet<&str> = keyspaces.map(|keyspace| keyspace.name.as_str()).collect();
    for name in names {
        let hashes: Vec<_> = answered
            .iter()
            .map(|node| {
                let mut all = node.keyspaces.iter();
                (node.node, all.find(|keyspace| keyspace.name == name))
            })
            .collect();
        if let Some(nodes) = minority(&hashes) {
            found.push(Difference {
                of: name.to_owned(),
                is_keyspace: true,
                nodes,
            });
        }
    }
    found
}

/// Who contradicts the majority; nobody if there is none, and `None` if all agree.
fn minority<T: Ord>(said: &[(u64, T)]) -> Option<Vec<u64>> {
    let mut counts: BTreeMap<&T, usize> = BTreeMap::new();
    for (_, what) in said {
        *counts.entry(what).or_default() += 1;
    }
    if counts.len() < 2 {
        return None;
    }
    let majority = counts.iter().find(|(_, count)| **count * 2 > said.len());
    let Some((majority, _)) = majority else {
        return Some(Vec::new());
    };
    let others = said.iter().filter(|(_, what)| what != *majority);
    Some(others.map(|(node, _)| *node).collect())
}

fn list(nodes: &[u64]) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    nodes.join(", ")
}

impl Report for VerifyShown {
    fn human(&self) -> String {
        let digest = format!("digest at {}", thousands(self.applied_index));
        let mut nodes = table(["node", "client", "applied", digest.as_str()]);
        for node in &self.nodes {
            nodes.add_row(vec![
                node.node.to_string(),
                node.client.clone(),
                thousands(node.applied_index),
                node.digest.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        let mut by_hash: BTreeMap<&HashShown, Vec<u64>> = BTreeMap::new();
        for node in &self.nodes {
            for keyspace in &node.keyspaces {
                by_hash.entry(keyspace).or_default().push(node.node);
            }
        }
        let mut hashes = table(["keyspace", "rows", "members", "hash", "on nodes"]);
        for (keyspace, on) in by_hash {
            hashes.add_row(vec![
                keyspace.name.clone(),
                thousands(keyspace.rows),
                thousands(keyspace.members),
                keyspace.hash.clone(),
                list(&on),
            ]);
        }
        let mut text = format!("{}\n\n{}\n", lines(&nodes), lines(&hashes));
        for node in &self.nodes {
            if let Some(error) = &node.error {
                text = format!("{text}\nnode {} could not be compared: {error}", node.node);
            }
        }
        for silent in &self.silent {
            text = format!("{text}\nnot compared: {silent}");
        }
        format!("{text}\n{}", self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node: u64, digest: &str, hashes: &[(&str, &str)]) -> NodeShown {
        let keyspaces = hashes.iter().map(|(name, hash)| HashShown {
            name: (*name).to_owned(),
            hash: (*hash).to_owned(),
            rows: 1,
            members: 0,
        });
        NodeShown {
            node,
            client: format!("n{node}:7101"),
            applied_index: 9,
            digest: (!digest.is_empty()).then(|| digest.to_owned()),
            error: None,
            keyspaces: keyspaces.collect(),
        }
    }

    fn shown(nodes: Vec<NodeShown>, silent: &[&str]) -> VerifyShown {
        let silent = silent.iter().map(ToString::to_string).collect();
        VerifyShown::new(9, 8, nodes, silent)
    }

    #[test]
    fn equal_nodes_are_equal_and_a_silent_member_is_no_difference() {
        let nodes = || (1..=3).map(|id| node(id, "d", &[("a", "x"), ("b", "y")]));
        let equal = shown(nodes().collect(), &[]);
        assert!(equal.is_comparable());
        assert_eq!(equal.verdict(), ExitCode::Done);
        assert!(
            equal
                .human()
                .ends_with("nodes 1, 2, 3 hold the same at revision 8")
        );
        let silent = shown(nodes().take(2).collect(), &["n3:7101: gone"]);
        assert_eq!(silent.verdict(), ExitCode::Unavailable);
        assert!(silent.human().contains("not compared: n3:7101: gone"));
    }

    #[test]
    fn whoever_contradicts_the_majority_is_named_with_what_differs() {
        let nodes = vec![
            node(1, "d", &[("a", "x"), ("b", "y")]),
            node(2, "d", &[("a", "x"), ("b", "z")]),
            node(3, "e", &[("a", "x"), ("b", "y")]),
        ];
        let differ = shown(nodes, &[]);
        assert_eq!(differ.verdict(), ExitCode::Failed);
        let named: Vec<_> = differ
            .differences
            .iter()
            .map(|difference| (difference.of.as_str(), difference.nodes.as_slice()))
            .collect();
        assert_eq!(named, [("digest", &[3][..]), ("b", &[2][..])]);
        let text = differ.human();
        assert!(text.contains("node 2 differs from the others in keyspace \"b\""));
    }

    #[test]
    fn without_a_majority_nobody_is_accused() {
        let nodes = vec![node(1, "d", &[("a", "x")]), node(2, "d", &[("a", "y")])];
        let differ = shown(nodes, &[]);
        assert_eq!(differ.verdict(), ExitCode::Failed);
        assert!(differ.human().contains("no majority of them agrees"));
    }

    #[test]
    fn nodes_are_asked_again_if_a_digest_is_forgotten_or_a_keyspace_is_new() {
        let forgotten = vec![node(1, "d", &[("a", "x")]), node(2, "", &[("a", "x")])];
        assert!(!shown(forgotten, &[]).is_comparable());
        let newer = vec![
            node(1, "d", &[("a", "x")]),
            node(2, "d", &[("a", "x"), ("b", "y")]),
        ];
        assert!(!shown(newer, &[]).is_comparable());
    }
}
