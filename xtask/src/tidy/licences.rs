//! Rule: every dependency's licence lets anybody use the whole.
//!
//! A licence is an SPDX expression: names joined by `OR` and `AND`, with brackets. `OR` needs one
//! allowed side, `AND` both. An old `MIT/Apache-2.0` means `OR`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Complaint;
use crate::steps::cargo_command;

/// Licences that ask for no more than their text, or share changes to their own files only.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Asks cargo for all dependencies and judges each.
pub(crate) fn check(root: &Path) -> Result<Vec<Complaint>> {
    let output = cargo_command()
        .args(["metadata", "--format-version", "1", "--locked", "--quiet"])
        .current_dir(root)
        .output()
        .context("start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let foreign = packages
        .iter()
        .filter(|package| !package["source"].is_null());
    Ok(foreign.filter_map(judge).collect())
}

fn judge(package: &Value) -> Option<Complaint> {
    let licence = package["license"].as_str().unwrap_or_default();
    (!is_allowed(licence)).then(|| Complaint {
        path: PathBuf::from("Cargo.lock"),
        line: 0,
        text: format!(
            "{} {} is under `{licence}`, which is not among the allowed licences",
            package["name"].as_str().unwrap_or_default(),
            package["version"].as_str().unwrap_or_default(),
        ),
    })
}

fn is_allowed(licence: &str) -> bool {
    let spaced = licence
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    either(&mut rest) && rest.is_empty()
}

/// `both (OR both)*`
fn either(words: &mut &[&str]) -> bool {
    let mut allowed = both(words);
    while take(words, "OR") {
        let other = both(words);
        allowed = allowed || other;
    }
    allowed
}

/// `one (AND one)*`
fn both(words: &mut &[&str]) -> bool {
    let mut allowed = one(words);
    while take(words, "AND") {
        let other = one(words);
        allowed = allowed && other;
    }
    allowed
}

/// A name, a name `WITH` an exception, or an expression in brackets.
fn one(words: &mut &[&str]) -> bool {
    if take(words, "(") {
        let allowed = either(words);
        return take(words, ")") && allowed;
    }
    let Some((name, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    let name = match words {
        ["WITH", exception, rest @ ..] => {
            let full = format!("{name} WITH {exception}");
            *words = rest;
            full
        }
        _ => (*name).to_owned(),
    };
    ALLOWED.contains(&name.as_str())
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn or_needs_one_side_and_and_needs_both() {
        for good in [
            "MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR Apache-2.0) AND GPL-3.0",
            "GPL-2.0 WITH Classpath-exception-2.0",
            "(MIT",
            "MIT MIT",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
