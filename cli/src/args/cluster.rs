//! Arguments about the nodes of a cluster.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Ask every known node for its state
    #[command(after_help = "\
Examples:
  engine-cli cluster status
  engine-cli cluster status --endpoints n1:7101,n2:7101 --output json")]
    Status,

    /// Compare what all nodes hold; exit code 1 if one differs, 4 if one does not answer
    #[command(after_help = "\
Every node hashes all its rows at one revision that all have reached, keyspace by keyspace, whatever
its files look like. Writes may go on meanwhile.

Examples:
  engine-cli cluster verify
  engine-cli cluster verify --output json")]
    Verify,

    /// Add a node without a vote; it runs already and is empty
    #[command(after_help = "\
Example:
  engine-cli cluster add-learner 4 --peer n4:7201 --client n4:7101")]
    AddLearner {
        /// The node's id, never used before in this cluster
        node: u64,
        /// Where its peers reach it
        #[arg(long, value_name = "HOST:PORT")]
        peer: String,
        /// Where clients reach it
        #[arg(long, value_name = "HOST:PORT")]
        client: String,
    },

    /// Give a learner that has caught up a vote
    #[command(after_help = "\
Example:
  engine-cli cluster promote 4")]
    Promote {
        /// The node's id
        node: u64,
    },

    /// Take a node out for ever; its id is never used again
    #[command(after_help = "\
Example:
  engine-cli cluster remove 2")]
    Remove {
        /// The node's id
        node: u64,
    },

    /// Hand leadership to another voter
    #[command(after_help = "\
Example:
  engine-cli cluster transfer-leader 3")]
    TransferLeader {
        /// The node's id
        node: u64,
    },
}
