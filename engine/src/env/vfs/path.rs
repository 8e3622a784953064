//! Paths of the simulated disks: a list of names from the root.

use std::io;
use std::path::{Component, Path};

/// The names that lead from the root to `path`; empty for the root itself.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => match name.to_str() {
                Some(name) => names.push(name.to_owned()),
                None => return Err(io::ErrorKind::InvalidFilename.into()),
            },
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(names)
}
