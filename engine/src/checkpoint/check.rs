//! Every byte of a received state is read and checked before it is used: the sender reads its files
//! as they are, and rot would spread.

use std::path::Path;

use super::writer::{partitions_dir, store_dir};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::inspect::{self, Problem, Seen, Severity};
use crate::store::inspect::CURRENT;

/// Reads all files of a state, with its manifest if that is there already.
///
/// # Errors
/// `Corrupt` names the first damage; `Io` from the disk.
pub(crate) fn check_files(env: &Env, dir: &Path) -> Result<()> {
    let mut first = None;
    let mut note = |problem: Problem| {
        if problem.severity == Severity::Damage {
            first.get_or_insert(problem);
        }
    };
    let store = store_dir(dir);
    let failed = |source| Error::io(format!("list {}", store.display()), source);
    for entry in env.vfs.list(&store).map_err(failed)? {
        let path = store.join(&entry.name);
        match path.extension().and_then(|kind| kind.to_str()) {
            None if entry.name == CURRENT => {
                inspect::manifest(&env.vfs, &store, &mut |seen| told(seen, &mut note))?;
            }
            Some("table") => inspect::table(&env.vfs, &path, &mut |seen| told(seen, &mut note))?,
            Some("blob") => inspect::blob(&env.vfs, &path, &mut |seen| told(seen, &mut note))?,
            _ => {}
        }
    }
    let partitions = partitions_dir(dir);
    inspect::partition(&env.vfs, &partitions, &mut |seen| told(seen, &mut note))?;
    match first {
        Some(Problem {
            path, offset, what, ..
        }) => Err(Error::corrupt(&path, offset, what)),
        None => Ok(()),
    }
}

fn told<T>(seen: Seen<T>, note: &mut impl FnMut(Problem)) {
    if let Seen::Problem(problem) = seen {
        note(problem);
    }
}
