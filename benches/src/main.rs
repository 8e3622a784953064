//! `engine-bench`: measures a cluster.

use std::process::ExitCode;

use clap::Parser as _;
use engine_benches::arguments::Arguments;
use engine_benches::run::run;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments, |progress| eprintln!("{progress}")).await {
        Ok(report) => {
            println!("{}", report.markdown());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("engine-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
