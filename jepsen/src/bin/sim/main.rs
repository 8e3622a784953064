//! `sim`: whole clusters in one process, decided by a seed.
//!
//! One process plays one world; with `--seeds` this one only starts others.

// Without it tokio draws its own random numbers, and a seed would mean nothing.
#[cfg(not(tokio_unstable))]
compile_error!(
    "sim needs `--cfg tokio_unstable`, which .cargo/config.toml sets for this workspace; \
     RUSTFLAGS in the environment replaces it: add the flag there"
);

mod args;
mod system;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    args::Args::parse().run()
}
