//! `inspect`: a stopped node's files, looked at one kind at a time.
//!
//! Reading and judging is `engine::inspect`'s; here is only what is shown, and how.

mod blob;
mod findings;
mod log;
mod manifest;
mod partition;
mod shown;
mod table;

use std::sync::Arc;

use engine::ErrorKind;
use engine::env::Vfs;
use engine::env::vfs::os::OsVfs;

use crate::args::InspectCommand;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Output;

pub(crate) fn run(command: InspectCommand, output: Output) -> Result<ExitCode> {
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new());
    match command {
        InspectCommand::Log { path, look } => log::run(&vfs, &path, look, output),
        InspectCommand::Table { path, rows, look } => table::run(&vfs, &path, rows, look, output),
        InspectCommand::Blob { path, look } => blob::run(&vfs, &path, look, output),
        InspectCommand::Manifest { path, look } => manifest::run(&vfs, &path, look, output),
        InspectCommand::Partition { path, look } => partition::run(&vfs, &path, look, output),
    }
}

/// A look that could not be taken at all.
fn failed(error: &engine::Error) -> Failure {
    match error.kind() {
        ErrorKind::Invalid => Failure::usage(error.to_string()),
        ErrorKind::Unsupported => Failure::new(ExitCode::Failed, error.to_string())
            .hint("a newer build wrote it: use that build's engine-cli"),
        _ => Failure::new(ExitCode::Failed, error.to_string()),
    }
}
