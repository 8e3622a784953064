//! The project's own checks: `cargo xtask verify` reads and judges, `cargo xtask fix` repairs.
//!
//! # Not here
//! Running the tests: that is `cargo test --workspace`, and `.ci/run` calls both.

mod fix;
mod fuzz;
mod soak;
mod steps;
mod tidy;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <word>

  verify   format, lints, tidy and docs; writes nothing, stops at the first failure
  fix      formats, applies the lints' own suggestions, records today's lengths
  tidy     only the house rules, with every complaint
  ratchet  only records today's lengths in xtask/ratchet.toml
  fuzz     [--seconds N | --total N] [--seed N] [--keep] [TARGET…]
           feeds every decoder any bytes, 20 s each; --keep renews fuzz/corpus
  soak     (--hours N | --minutes N) [--real PERCENT] [--from SEED] [--record FILE]
           fresh simulated worlds on all processors, then real nodes; prints a row for
           docs/track-record.md, stops at the first violation";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["verify"] => verify::run(&root),
        ["fix"] => fix::run(&root),
        ["tidy"] => steps::step("tidy", "cargo xtask tidy", || tidy::check(&root)),
        ["ratchet"] => tidy::record(&root),
        ["fuzz", ref words @ ..] => fuzz::run(&root, words),
        ["soak", ref words @ ..] => soak::run(&root, words),
        _ => {
            steps::say(USAGE);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: the parent of this crate's.
fn root() -> PathBuf {
    // Asked when running: the program may have been built in another copy of the workspace.
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    crate_folder
        .parent()
        .expect("this crate stands in a folder of the workspace")
        .to_path_buf()
}
