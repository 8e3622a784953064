//! `keyspace`: the named sets that rows live in.

use serde::Serialize;

use crate::args::KeyspaceCommand;
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::Report;

pub(crate) async fn run(command: KeyspaceCommand, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    match command {
        KeyspaceCommand::Create { name } => {
            client.kv().create_keyspace(&name).await?;
            context.output.report(&Created { keyspace: name })?;
        }
        KeyspaceCommand::Ls => {
            let keyspaces = client.kv().keyspaces().await?;
            context.output.report(&Keyspaces { keyspaces })?;
        }
    }
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Created {
    keyspace: String,
}

impl Report for Created {
    fn human(&self) -> String {
        format!("keyspace {} is there", self.keyspace)
    }
}

#[derive(Serialize)]
struct Keyspaces {
    keyspaces: Vec<String>,
}

impl Report for Keyspaces {
    fn human(&self) -> String {
        if self.keyspaces.is_empty() {
            "there is no keyspace yet: engine-cli keyspace create NAME".to_owned()
        } else {
            self.keyspaces.join("\n")
        }
    }
}
