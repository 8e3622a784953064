//! The commands: each takes its arguments, asks the cluster, and reports.

mod changes;
mod checksum;
mod cluster;
mod commit;
mod dev;
mod export;
mod import;
mod input;
mod inspect;
mod keyspace;
mod kv;
mod node;
mod scrub;
mod topic;
mod typed;
mod verify;
mod versions;
mod watch;

use std::future::Future;
use std::time::Duration;

use engine_client::{Client, ClientOptions};

use crate::args::{Cli, Command, Common};
use crate::endpoints;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Output;

/// How long a command may take to tidy up after itself.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Runs a command to its end.
pub(crate) fn run(cli: Cli, output: Output) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start the runtime", &error))?;
    let context = Context {
        common: cli.common,
        output,
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Kv(command) => kv::run(command, &context).await,
            Command::Keyspace(command) => keyspace::run(command, &context).await,
            Command::Topic(command) => topic::run(command, &context).await,
            Command::Commit(args) => commit::run(args, &context).await,
            Command::Changes(args) => changes::list(args, &context).await,
            Command::Explain(args) => changes::explain(args, &context).await,
            Command::Cluster(command) => cluster::run(command, &context).await,
            Command::Node(command) => node::run(command, &context).await,
            Command::Dev(command) => dev::run(command, &context).await,
            Command::Inspect(command) => inspect::run(command, context.output),
        }
    });
    // A thread that still reads stdin must not hold the process up.
    runtime.shutdown_background();
    result
}

/// What every command needs.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) common: Common,
    pub(crate) output: Output,
}

impl Context {
    /// Does something with a client of the cluster, and gives its session up at the end.
    pub(crate) async fn with_client<T, F>(&self, work: impl FnOnce(Client) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let client = self.client().await?;
        let result = work(client.clone()).await;
        // A session that cannot be closed soon expires by itself.
        let closing = tokio::time::timeout(CLOSE_WITHIN, client.close());
        if !matches!(closing.await, Ok(Ok(()))) {
            tracing::debug!("the session was not closed");
        }
        result
    }

    /// A client of the cluster; fails at once if no node can be reached.
    pub(crate) async fn client(&self) -> Result<Client> {
        let seeds = endpoints::find(&self.common.endpoints)?;
        let client = Client::connect(ClientOptions {
            deadline: self.common.timeout,
            ..ClientOptions::new(seeds)
        })
        .await?;
        client.cluster().reach().await?;
        Ok(client)
    }
}
