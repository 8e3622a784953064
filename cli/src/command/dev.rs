//! `dev`: a cluster on this machine.

mod status;
mod up;

use crate::args::DevCommand;
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::Result;

pub(crate) async fn run(command: DevCommand, context: &Context) -> Result<ExitCode> {
    match command {
        DevCommand::Up { nodes, data, store } => up::run(nodes, &data, store, context).await,
        DevCommand::Status { data } => status::run(data.as_deref(), context).await,
    }
}
