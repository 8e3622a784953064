//! Folders and files that survive a power cut whole.

use std::io;
use std::path::Path;

use super::{OpenMode, Vfs};

/// Creates a folder and its parents, and makes their names durable; no error if it is there.
///
/// Each folder is made durable before the next is created in it. So the name of one that holds
/// another is durable, and only the deepest that is there may be left from a process that ended
/// between the two steps: its name is synced once more.
///
/// # Errors
/// From the disk; some of the folders may be there then.
pub fn create_dir_durable(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for name in path.ancestors() {
        if name.parent().is_none() || name.as_os_str().is_empty() {
            break;
        }
        names.push(name);
        if vfs.exists(name)? {
            break;
        }
    }
    for name in names.into_iter().rev() {
        vfs.create_dir_all(name)?;
        let above = name.parent().filter(|above| !above.as_os_str().is_empty());
        vfs.sync_dir(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Replaces a small file as a whole, by way of a neighbour named `.new`.
///
/// # Durability
/// A power cut leaves the old file or the new one; once this returns, the new one.
///
/// # Errors
/// From the disk; the old file is then still there.
pub fn replace_durable(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    if vfs.exists(new)? {
        vfs.remove(new)?;
    }
    let file = vfs.open(new, OpenMode::CreateNew)?;
    file.write_at(bytes, 0)?;
    file.sync_data()?;
    vfs.rename(new, path)?;
    vfs.sync_dir(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use crate::env::vfs::sim::SimVfs;

    use super::*;

    const PATH: &str = "/a/b/c";

    #[test]
    fn a_power_cut_leaves_the_whole_path() {
        for seed in 0..50 {
            let disk = SimVfs::new(seed);
            create_dir_durable(&disk, Path::new(PATH)).expect("the power is on");
            disk.power_on();
            assert!(disk.exists(Path::new(PATH)).expect("the power is on"));
        }
    }

    #[test]
    fn a_path_that_a_killed_process_left_in_part_is_made_whole() {
        let disk = SimVfs::new(1);
        disk.record();
        create_dir_durable(&disk, Path::new(PATH)).expect("the power is on");
        for moment in disk.recorded() {
            for seed in 0..20 {
                let disk = moment.killed(seed);
                create_dir_durable(&disk, Path::new(PATH)).expect("the power is on");
                disk.power_on();
                assert!(disk.exists(Path::new(PATH)).expect("the power is on"));
            }
        }
    }
}
