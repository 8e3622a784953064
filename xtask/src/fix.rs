//! The gate's writing twin: repairs what a program can repair, and leaves the rest to a person.

use std::path::Path;

use anyhow::Result;

use crate::steps::{cargo, step};
use crate::tidy;

/// Applies the lints' suggestions, formats, and records today's lengths in the ratchet.
pub(crate) fn run(root: &Path) -> Result<()> {
    step("clippy", "cargo clippy --workspace --all-targets", || {
        let words = "clippy --quiet --fix --allow-dirty --allow-staged --workspace --all-targets";
        cargo(root, &words.split(' ').collect::<Vec<_>>(), &[])
    })?;
    step("fmt", "cargo fmt --all", || {
        cargo(root, &["fmt", "--all"], &[])
    })?;
    step("ratchet", "cargo xtask tidy", || tidy::record(root))
}
