//! What an operator tells a node: as arguments, and checked.
//!
//! [`NodeArgs`] is what people write on a command line; [`NodeArgs::config`] checks every relation
//! once and makes the [`ServerConfig`] that the process runs on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use engine::ids::NodeId;
use engine_raft::{ScrubPlan, Timings};

use crate::admission::AdmissionLimits;

/// The numbers of initial members that make sense: an even one survives no more failures than
/// the odd one below it.
const MEMBER_COUNTS: [usize; 3] = [1, 3, 5];

/// Everything that one node runs on.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The node's id, never used before in this cluster.
    pub node: NodeId,
    /// The folder of the node's data; made if it is not there.
    pub data: PathBuf,
    /// Where clients are served; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the other nodes are served; port 0 takes any free one.
    pub peer_listen: SocketAddr,
    /// Where clients reach this node, `host:port`; empty means `listen`.
    pub advertise: String,
    /// Where the other nodes reach this one, `host:port`; empty means `peer_listen`.
    pub peer_advertise: String,
    /// All initial members, this node among them: only for the first start of a new cluster.
    pub bootstrap: Option<BTreeMap<u64, BootstrapMember>>,
    /// The cluster's id, equal on all nodes.
    pub cluster: u64,
    /// Sizes and budgets.
    pub options: engine::Options,
    /// Heartbeats and elections.
    pub timings: Timings,
    /// When the node looks at everything on its disk, and how fast.
    pub scrub: ScrubPlan,
    /// How much the node works at.
    pub admission: AdmissionLimits,
}

/// One of the initial members of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapMember {
    /// Where its peers reach it, `host:port`.
    pub peer: String,
    /// Where clients reach it, `host:port`.
    pub client: String,
}

/// How a node is started.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct NodeArgs {
    /// The node's id: 1 or more, never used before in this cluster
    #[arg(long, value_name = "ID")]
    pub node: u64,

    /// The folder of the node's data; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    pub data: PathBuf,

    /// The cluster's id: 1 or more, equal on all of its nodes
    #[arg(long, value_name = "ID")]
    pub cluster: u64,

    /// The address and port for clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7101")]
    pub listen: SocketAddr,

    /// The address and port for the other nodes; keep it away from clients
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7201")]
    pub peer_listen: SocketAddr,

    /// Where clients reach this node, if not at --listen
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// Where the other nodes reach this one, if not at --peer-listen
    #[arg(long, value_name = "HOST:PORT")]
    pub peer_advertise: Option<String>,

    /// An initial member of a new cluster; once for each, this node among them. Without any,
    /// the node waits to be added to a running cluster
    #[arg(long = "member", value_name = "ID=PEER,CLIENT")]
    pub members: Vec<MemberArg>,

    /// A JSON file with sizes and budgets, for example {"row_cache_bytes": 268435456}
    #[arg(long, value_name = "FILE")]
    pub options: Option<PathBuf>,

    /// The store: lsm or sled, whatever --options says. sled is there to be compared with, only in
    /// builds with the feature 'sled'
    #[arg(long, value_name = "lsm|sled")]
    pub store: Option<engine::StoreKind>,

    /// Hours between two scrubs, in which the node reads and checks all its files; 0 for none but
    /// those that are asked for
    #[arg(long, value_name = "HOURS", default_value_t = SCRUB_EVERY_HOURS,
        value_parser = clap::value_parser!(u32).range(..=SCRUB_EVERY_HOURS_MAX))]
    pub scrub_every_hours: u32,

    /// Most bytes that a scrub reads in a second; 0 is no limit
    #[arg(long, value_name = "BYTES", default_value_t = ScrubPlan::default().bytes_per_second)]
    pub scrub_bytes_per_second: u64,
}

/// Seven days.
const SCRUB_EVERY_HOURS: u32 = 7 * 24;

/// Ten years: whoever wants fewer says 0.
const SCRUB_EVERY_HOURS_MAX: i64 = 10 * 366 * 24;

const EXAMPLES: &str = "\
Examples:
  One node on this machine, a cluster by itself:
    --node 1 --cluster 77 --data ./data --member 1=127.0.0.1:7201,127.0.0.1:7101

  The first of three; the others differ in --node alone:
    --node 1 --cluster 77 --data /var/lib/engine --listen 0.0.0.0:7101 \\
      --peer-listen 0.0.0.0:7201 --advertise n1:7101 --peer-advertise n1:7201 \\
      --member 1=n1:7201,n1:7101 --member 2=n2:7201,n2:7101 --member 3=n3:7201,n3:7101

  A node that shall be added to them:
    --node 4 --cluster 77 --data /var/lib/engine --listen 0.0.0.0:7101 \\
      --peer-listen 0.0.0.0:7201 --advertise n4:7101 --peer-advertise n4:7201";

/// `ID=PEER,CLIENT` on a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberArg {
    /// The member's id.
    pub node: u64,
    /// Where it is reached.
    pub member: BootstrapMember,
}

impl FromStr for MemberArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form =
            || format!("write ID=PEER,CLIENT, for example 1=n1:7201,n1:7101, instead of {text:?}");
        let (node, addresses) = text.split_once('=').ok_or_else(form)?;
        let (peer, client) = addresses.split_once(',').ok_or_else(form)?;
        if !dialable(peer) || !dialable(client) {
            return Err(form());
        }
        Ok(Self {
            node: node.parse().map_err(|_| form())?,
            member: BootstrapMember {
                peer: peer.to_owned(),
                client: client.to_owned(),
            },
        })
    }
}

impl NodeArgs {
    /// Checks the arguments against each other.
    ///
    /// # Errors
    /// What is wrong and what to write instead.
    pub fn config(self) -> anyhow::Result<ServerConfig> {
        ensure!(self.node != 0, "--node is 0: node ids begin at 1");
        ensure!(
            self.cluster != 0,
            "--cluster is 0: choose any other number, the same for all nodes"
        );
        ensure!(
            self.listen != self.peer_listen || self.listen.port() == 0,
            "--listen and --peer-listen are both {}: give them two ports",
            self.listen
        );
        let advertise = advertised(self.advertise, self.listen, "--advertise", "--listen")?;
        let peer_advertise = advertised(
            self.peer_advertise,
            self.peer_listen,
            "--peer-advertise",
            "--peer-listen",
        )?;
        let bootstrap = bootstrap(self.members, self.node)?;
        let mut options = match &self.options {
            Some(file) => read_options(file)?,
            None => engine::Options::default(),
        };
        if let Some(store) = self.store {
            store.check().context("check --store")?;
            options.store = store;
        }
        Ok(ServerConfig {
            node: NodeId(self.node),
            data: self.data,
            listen: self.listen,
            peer_listen: self.peer_listen,
            advertise,
            peer_advertise,
            bootstrap,
            cluster: self.cluster,
            options,
            timings: Timings::default(),
            scrub: ScrubPlan {
                every: (self.scrub_every_hours > 0)
                    .then(|| Duration::from_hours(self.scrub_every_hours.into())),
                bytes_per_second: self.scrub_bytes_per_second,
            },
            admission: AdmissionLimits::default(),
        })
    }
}

/// Whether `address` is `host:port` with a port that is not 0.
pub(crate) fn dialable(address: &str) -> bool {
    const HOST_BYTES_MAX: usize = 255;
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let host_is_name = !host.is_empty() && host.bytes().all(plain);
    let host_is_v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
    let port_is_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    host.len() <= HOST_BYTES_MAX
        && (host_is_name || host_is_v6)
        && port_is_digits
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What others shall dial; empty leaves it to the bound address.
fn advertised(
    given: Option<String>,
    listen: SocketAddr,
    advertise_name: &str,
    listen_name: &str,
) -> anyhow::Result<String> {
    match given {
        Some(address) if dialable(&address) => Ok(address),
        Some(address) => bail!("{advertise_name} {address:?} is no address: write host:port"),
        None if listen.ip().is_unspecified() => bail!(
            "{listen_name} {listen} stands for every address of this machine: \
             say with {advertise_name} host:port how others reach it"
        ),
        None => Ok(String::new()),
    }
}

fn bootstrap(
    members: Vec<MemberArg>,
    node: u64,
) -> anyhow::Result<Option<BTreeMap<u64, BootstrapMember>>> {
    if members.is_empty() {
        return Ok(None);
    }
    let count = members.len();
    let mut by_id = BTreeMap::new();
    for MemberArg { node, member } in members {
        ensure!(node != 0, "--member 0=…: node ids begin at 1");
        let taken = by_id.values().any(|other: &BootstrapMember| {
            [&other.peer, &other.client].contains(&&member.peer)
                || [&other.peer, &other.client].contains(&&member.client)
        });
        ensure!(
            !taken && member.peer != member.client,
            "--member {node}={},{} repeats an address: each member has two of its own",
            member.peer,
            member.client
        );
        ensure!(
            by_id.insert(node, member).is_none(),
            "--member {node}=… stands twice: name each member once"
        );
    }
    ensure!(
        MEMBER_COUNTS.contains(&count),
        "there are {count} --member: begin with 1, 3 or 5"
    );
    ensure!(
        by_id.contains_key(&node),
        "--node {node} is not among the --member: add it, or leave all --member out to join a \
         running cluster"
    );
    Ok(Some(by_id))
}

fn read_options(file: &Path) -> anyhow::Result<engine::Options> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("read --options {}", file.display()))?;
    let options: engine::Options = serde_json::from_str(&text)
        .with_context(|| format!("read --options {} as JSON", file.display()))?;
    options
        .clone()
        .validate()
        .with_context(|| format!("check --options {}", file.display()))?;
    Ok(options)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
