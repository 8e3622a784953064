//! Every byte of a state is read and checked: of a received one before it is used, for the sender
//! reads its files as they are, and rot would spread; of an own one when a peer doubts it, and
//! when it is scrubbed.

use std::path::Path;
use std::sync::Arc;

use super::writer::{partitions_dir, store_dir};
use crate::env::{Env, Vfs};
use crate::error::{Damage, Error, Result};
use crate::inspect::{self, Seen, Severity};
use crate::store::inspect::CURRENT;

/// Reads all files of a state, with its manifest if that is there already.
///
/// # Errors
/// `Corrupt` names the first damage; `Io` from the disk.
pub(crate) fn check_files(env: &Env, dir: &Path) -> Result<()> {
    let mut first = First::default();
    let store = store_dir(dir);
    let failed = |source| Error::io(format!("list {}", store.display()), source);
    let names = env.vfs.list(&store).map_err(failed)?;
    let mut hear = |damage| first.hear(damage);
    let mut check = Check::new(&env.vfs, &mut hear);
    for entry in names {
        check.file(&store.join(&entry.name))?;
    }
    check.partitions(&partitions_dir(dir))?;
    first.end()
}

/// The first damage that is told.
#[derive(Default)]
pub(super) struct First(Option<Damage>);

impl First {
    pub(super) fn hear(&mut self, damage: Damage) {
        self.0.get_or_insert(damage);
    }

    /// `Corrupt` if there was any damage.
    pub(super) fn end(self) -> Result<()> {
        match self.0 {
            Some(Damage { path, offset, what }) => Err(Error::corrupt(&path, offset, what)),
            None => Ok(()),
        }
    }
}

/// Reads files one by one and tells all damage.
pub(crate) struct Check<'a> {
    vfs: Arc<dyn Vfs>,
    found: &'a mut dyn FnMut(Damage),
}

impl<'a> Check<'a> {
    pub(crate) fn new(vfs: &Arc<dyn Vfs>, found: &'a mut dyn FnMut(Damage)) -> Self {
        Self {
            vfs: Arc::clone(vfs),
            found,
        }
    }

    /// Reads a file by its kind; one of no kind is passed by.
    pub(crate) fn file(&mut self, path: &Path) -> Result<()> {
        let Self { vfs, found } = self;
        match path.extension().and_then(|kind| kind.to_str()) {
            None if path.file_name().is_some_and(|name| name == CURRENT) => {
                let store = path.parent().unwrap_or(Path::new(""));
                inspect::manifest(vfs, store, &mut |seen| heard(seen, *found))?;
            }
            Some("table") => inspect::table(vfs, path, &mut |seen| heard(seen, *found))?,
            Some("blob") => inspect::blob(vfs, path, &mut |seen| heard(seen, *found))?,
            Some("part") => self.partitions(path)?,
            _ => {}
        }
        Ok(())
    }

    /// Reads one partition file, or all below a folder.
    pub(crate) fn partitions(&mut self, path: &Path) -> Result<()> {
        let Self { vfs, found } = self;
        inspect::partition(vfs, path, &mut |seen| heard(seen, *found))?;
        Ok(())
    }
}

fn heard<T>(seen: Seen<T>, found: &mut dyn FnMut(Damage)) {
    if let Seen::Problem(problem) = seen
        && problem.severity == Severity::Damage
    {
        found(problem.into());
    }
}
