//! Rows that are watched, in the short notation.

use super::{number, value};
use crate::history::{Act, Found, FoundChange, FoundCommit};

pub(super) fn act(words: &[&str]) -> Act {
    if words[0] == "change" {
        return Act::Change {
            rows: words[1..].iter().map(|word| changed(word)).collect(),
        };
    }
    let from = words.iter().find_map(|word| word.strip_prefix("from="));
    Act::Watch {
        key: (words[1] != "*").then(|| words[1].to_owned()),
        previous: words.contains(&"previous"),
        from: from.map(number),
    }
}

/// A page: `FROM..UPTO REV:K=V<OLD,L=nil …`.
pub(super) fn found(words: &[&str]) -> Found {
    let (from, upto) = words[0].split_once("..").expect("a page is FROM..UPTO");
    let commits = words[1..].iter().map(|word| {
        let (revision, changes) = word.split_once(':').expect("a commit is REV:CHANGES");
        let changes = changes.split(',').map(|change| {
            let (change, old) = change.split_once('<').unwrap_or((change, "nil"));
            let (key, new) = changed(change);
            FoundChange {
                key,
                value: new,
                previous: value(old),
            }
        });
        FoundCommit {
            revision: number(revision),
            changes: changes.collect(),
        }
    });
    Found::Watched {
        from: number(from),
        upto: number(upto),
        commits: commits.collect(),
    }
}

fn changed(word: &str) -> (String, Option<String>) {
    let (key, new) = word.split_once('=').expect("a change is K=V");
    (key.to_owned(), value(new))
}
