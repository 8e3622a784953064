//! Every byte of a state is read and checked: of a received one before it is used, for the sender
//! reads its files as they are, and rot would spread; of an own one when a peer doubts it.

use std::path::Path;
use std::sync::Arc;

use super::writer::{partitions_dir, store_dir};
use crate::env::{Env, Vfs};
use crate::error::{Error, Result};
use crate::inspect::{self, Problem, Seen, Severity};
use crate::store::inspect::CURRENT;

/// Reads all files of a state, with its manifest if that is there already.
///
/// # Errors
/// `Corrupt` names the first damage; `Io` from the disk.
pub(crate) fn check_files(env: &Env, dir: &Path) -> Result<()> {
    let mut check = Check::new(&env.vfs);
    let store = store_dir(dir);
    let failed = |source| Error::io(format!("list {}", store.display()), source);
    for entry in env.vfs.list(&store).map_err(failed)? {
        check.file(&store.join(&entry.name))?;
    }
    check.partitions(&partitions_dir(dir))?;
    check.end()
}

/// Reads files one by one and keeps the first damage.
pub(super) struct Check {
    vfs: Arc<dyn Vfs>,
    first: Option<Problem>,
}

impl Check {
    pub(super) fn new(vfs: &Arc<dyn Vfs>) -> Self {
        Self {
            vfs: Arc::clone(vfs),
            first: None,
        }
    }

    /// Reads a file by its kind; one of no kind is passed by.
    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
        let Self { vfs, first } = self;
        match path.extension().and_then(|kind| kind.to_str()) {
            None if path.file_name().is_some_and(|name| name == CURRENT) => {
                let store = path.parent().unwrap_or(Path::new(""));
                inspect::manifest(vfs, store, &mut |seen| heard(seen, first))?;
            }
            Some("table") => inspect::table(vfs, path, &mut |seen| heard(seen, first))?,
            Some("blob") => inspect::blob(vfs, path, &mut |seen| heard(seen, first))?,
            Some("part") => self.partitions(path)?,
            _ => {}
        }
        Ok(())
    }

    /// Reads one partition file, or all below a folder.
    fn partitions(&mut self, path: &Path) -> Result<()> {
        let Self { vfs, first } = self;
        inspect::partition(vfs, path, &mut |seen| heard(seen, first))?;
        Ok(())
    }

    /// `Corrupt` if there was any damage.
    pub(super) fn end(self) -> Result<()> {
        match self.first {
            Some(Problem {
                path, offset, what, ..
            }) => Err(Error::corrupt(&path, offset, what)),
            None => Ok(()),
        }
    }
}

fn heard<T>(seen: Seen<T>, first: &mut Option<Problem>) {
    if let Seen::Problem(problem) = seen
        && problem.severity == Severity::Damage
    {
        first.get_or_insert(problem);
    }
}
