//! House rules that neither the compiler nor clippy knows.
//!
//! Every rule is a small file: it looks at one text and answers complaints. A rule is a plain
//! heuristic; where it is wrong, the rule is mended, and nothing is excepted by hand.
//!
//! # Not here
//! Anything clippy or rustfmt can say: see the workspace's lints.

mod commented_code;
mod door_plate;
mod file_names;
mod lengths;
mod licences;
mod places;
mod proto_comments;
mod ratchet;
mod source;
mod todos;
mod tree;
mod unwraps;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::steps::say;
use lengths::Lengths;
use ratchet::Ratchet;
use source::Source;
use tree::{Text, Tree};

/// Something that is against a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Complaint {
    /// From the workspace's folder.
    path: PathBuf,
    /// From 1; 0 for the whole file.
    line: usize,
    /// What is wrong and what to do.
    text: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.text)
    }
}

/// A complaint inside one text: its line from 1 (0 for the whole) and what is wrong.
type Finding = (usize, String);

/// Applies every rule; prints all complaints; fails if there is one.
pub(crate) fn check(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    let mut complaints = texts(&tree);
    complaints.extend(Ratchet::read(root)?.judge(&Lengths::measure(&tree)));
    complaints.extend(licences::check(root)?);
    complaints.sort();
    for complaint in &complaints {
        say(&complaint.to_string());
    }
    match complaints.len() {
        0 => Ok(()),
        count => bail!("{count} complaint(s)"),
    }
}

/// Writes today's lengths into the ratchet.
pub(crate) fn record(root: &Path) -> Result<()> {
    let tree = Tree::read(root)?;
    Ratchet::of(&Lengths::measure(&tree)).write(root)
}

/// The rules that look at one text at a time.
fn texts(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for text in &tree.texts {
        let mut findings = places::check(&text.body);
        findings.extend(file_names::check(&text.path));
        if text.is("proto") {
            findings.extend(proto_comments::check(&text.body));
        }
        if text.is("rs") {
            findings.extend(rust(text));
        }
        complaints.extend(findings.into_iter().map(|(line, what)| Complaint {
            path: text.path.clone(),
            line,
            text: what,
        }));
    }
    complaints
}

fn rust(text: &Text) -> Vec<Finding> {
    let source = Source::new(&text.body);
    let mut findings = todos::check(&source);
    findings.extend(commented_code::check(&source));
    if !text.is_test() {
        findings.extend(unwraps::check(&source));
    }
    if text.is_in_src() {
        findings.extend(door_plate::check(&text.body));
    }
    findings
}
