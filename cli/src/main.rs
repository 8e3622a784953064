//! `engine-cli`: everything a person does with a cluster.
//!
//! One command is one function in [`command`]; it prints through [`output`], which knows tables
//! for eyes and JSON for scripts, and ends in an [`exit_code`] that scripts can branch on.

mod args;
mod command;
mod dev;
mod endpoints;
mod exit_code;
mod failure;
mod output;
mod records;
mod text;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Cli;
use crate::output::Output;

const _: () = assert!(
    !engine::planted::IS_COMPILED && !engine::failpoint::IS_COMPILED,
    "bugs and failpoints are for `sim` alone"
);

fn main() -> ExitCode {
    // Usage errors and --help end here, with clap's own code 2 or 0.
    let cli = Cli::parse();
    let output = Output::new(cli.common.output);
    match command::run(cli, output) {
        Ok(code) => code.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.code().into()
        }
    }
}
