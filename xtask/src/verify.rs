//! The gate: everything but the tests that a change must pass. It writes nothing.

use std::path::Path;

use anyhow::Result;

use crate::steps::{cargo, step};
use crate::tidy;

/// Flags for rustdoc: every warning counts, and the workspace's `cfg` is set here too.
const RUSTDOCFLAGS: &str = "-D warnings --cfg tokio_unstable";

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    step("fmt", "cargo fmt --all", || {
        cargo(root, &["fmt", "--all", "--check"], &[])
    })?;
    step("clippy", "cargo xtask fix, then mend the rest", || {
        let words = "clippy --quiet --workspace --all-targets -- -D warnings";
        cargo(root, &words.split(' ').collect::<Vec<_>>(), &[])
    })?;
    step("sled", "the same with -p engine --features sled", || {
        let words = "clippy --quiet -p engine --features sled --all-targets -- -D warnings";
        cargo(root, &words.split(' ').collect::<Vec<_>>(), &[])
    })?;
    step("tidy", "cargo xtask tidy", || tidy::check(root))?;
    step("doc", "cargo doc --workspace --no-deps", || {
        let words = "doc --quiet --workspace --no-deps";
        let flags = [("RUSTDOCFLAGS", RUSTDOCFLAGS)];
        cargo(root, &words.split(' ').collect::<Vec<_>>(), &flags)
    })
}
