//! A disk in memory that never fails and never forgets: for tests that are not about disks.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use super::path::names;
use super::{DirEntry, File, OpenMode, Space, Vfs};

/// A file system in memory; clones are the same disk.
#[derive(Clone, Default)]
pub struct MemVfs {
    nodes: Arc<Mutex<Nodes>>,
}

impl MemVfs {
    /// An empty disk; its root folder exists.
    pub fn new() -> Self {
        Self::default()
    }
}

/// Every file and folder but the root, by its full list of names.
type Nodes = BTreeMap<Vec<String>, Node>;

#[derive(Clone)]
enum Node {
    Dir,
    File(Arc<MemFile>),
}

#[derive(Default)]
struct MemFile {
    bytes: RwLock<Vec<u8>>,
    locked: AtomicBool,
}

impl Vfs for MemVfs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let path = names(path)?;
        let mut nodes = self.nodes.lock();
        let file = match mode {
            OpenMode::CreateNew => create(&mut nodes, path)?,
            OpenMode::Read | OpenMode::ReadWrite => find_file(&nodes, &path)?,
        };
        Ok(Arc::new(Handle {
            file,
            writable: mode != OpenMode::Read,
        }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = names(path)?;
        let mut nodes = self.nodes.lock();
        for depth in 1..=path.len() {
            let parent = path[..depth].to_vec();
            if let Node::File(_) = nodes.entry(parent).or_insert(Node::Dir) {
                return Err(ErrorKind::AlreadyExists.into());
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = names(path)?;
        let mut nodes = self.nodes.lock();
        find_file(&nodes, &path)?;
        nodes.remove(&path);
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let path = names(path)?;
        let mut nodes = self.nodes.lock();
        if let Some(Node::File(_)) = nodes.get(&path) {
            return Err(ErrorKind::NotADirectory.into());
        }
        nodes.retain(|name, _| !name.starts_with(&path));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (names(from)?, names(to)?);
        let mut nodes = self.nodes.lock();
        let moved = nodes.get(&from).cloned().ok_or(ErrorKind::NotFound)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(&from) {
            return Err(ErrorKind::InvalidInput.into());
        }
        need_parent(&nodes, &to)?;
        match (&moved, nodes.get(&to)) {
            (Node::File(_), Some(Node::Dir)) => return Err(ErrorKind::IsADirectory.into()),
            (Node::Dir, Some(Node::File(_))) => return Err(ErrorKind::NotADirectory.into()),
            (Node::Dir, Some(Node::Dir)) if has_children(&nodes, &to) => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let below: Vec<Vec<String>> = nodes
            .keys()
            .filter(|name| name.starts_with(&from))
            .cloned()
            .collect();
        for name in below {
            if let Some(node) = nodes.remove(&name) {
                let renamed = to.iter().chain(&name[from.len()..]).cloned().collect();
                nodes.insert(renamed, node);
            }
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (names(from)?, names(to)?);
        let mut nodes = self.nodes.lock();
        let file = find_file(&nodes, &from)?;
        need_parent(&nodes, &to)?;
        if nodes.contains_key(&to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        nodes.insert(to, Node::File(file));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        need_dir(&self.nodes.lock(), &names(path)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let path = names(path)?;
        let nodes = self.nodes.lock();
        need_dir(&nodes, &path)?;
        // Lists of names are ordered name by name, so children come out sorted.
        Ok(nodes
            .iter()
            .filter(|(name, _)| name.len() == path.len() + 1 && name.starts_with(&path))
            .filter_map(|(name, node)| {
                let is_dir = matches!(node, Node::Dir);
                Some(DirEntry {
                    name: name.last()?.clone(),
                    is_dir,
                })
            })
            .collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let path = names(path)?;
        Ok(path.is_empty() || self.nodes.lock().contains_key(&path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        let path = names(path)?;
        let mut nodes = self.nodes.lock();
        let file = match find_file(&nodes, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => create(&mut nodes, path)?,
            found => found?,
        };
        if file.locked.swap(true, Ordering::AcqRel) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(LockGuard { file }))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        // Large enough for every test, small enough that sums do not overflow.
        const TOTAL_BYTES: u64 = 1 << 50;
        let nodes = self.nodes.lock();
        let used: u64 = nodes
            .values()
            .map(|node| match node {
                Node::Dir => 0,
                Node::File(file) => file.bytes.read().len() as u64,
            })
            .sum();
        Ok(Space {
            total_bytes: TOTAL_BYTES,
            free_bytes: TOTAL_BYTES.saturating_sub(used),
        })
    }
}

impl Debug for MemVfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemVfs")
            .field("names", &self.nodes.lock().len())
            .finish_non_exhaustive()
    }
}

fn find_file(nodes: &Nodes, path: &[String]) -> io::Result<Arc<MemFile>> {
    match nodes.get(path) {
        Some(Node::File(file)) => Ok(Arc::clone(file)),
        Some(Node::Dir) => Err(ErrorKind::IsADirectory.into()),
        None if path.is_empty() => Err(ErrorKind::IsADirectory.into()),
        None => Err(ErrorKind::NotFound.into()),
    }
}

fn create(nodes: &mut Nodes, path: Vec<String>) -> io::Result<Arc<MemFile>> {
    need_parent(nodes, &path)?;
    if nodes.contains_key(&path) {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let file = Arc::new(MemFile::default());
    nodes.insert(path, Node::File(Arc::clone(&file)));
    Ok(file)
}

fn need_parent(nodes: &Nodes, path: &[String]) -> io::Result<()> {
    match path.split_last() {
        Some((_, parent)) => need_dir(nodes, parent),
        None => Err(ErrorKind::AlreadyExists.into()),
    }
}

fn need_dir(nodes: &Nodes, path: &[String]) -> io::Result<()> {
    match nodes.get(path) {
        None if path.is_empty() => Ok(()),
        None => Err(ErrorKind::NotFound.into()),
        Some(Node::Dir) => Ok(()),
        Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
    }
}

fn has_children(nodes: &Nodes, path: &[String]) -> bool {
    nodes
        .keys()
        .any(|name| name.len() > path.len() && name.starts_with(path))
}

struct Handle {
    file: Arc<MemFile>,
    writable: bool,
}

impl Handle {
    fn need_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(ErrorKind::PermissionDenied.into())
        }
    }
}

impl File for Handle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.file.bytes.read();
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|start| bytes.get(start..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.need_writable()?;
        if buf.is_empty() {
            return Ok(());
        }
        let start = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let end = start
            .checked_add(buf.len())
            .ok_or(ErrorKind::FileTooLarge)?;
        let mut bytes = self.file.bytes.write();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(buf);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.need_writable()?;
        let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
        resize(&mut self.file.bytes.write(), len);
        Ok(())
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.need_writable()?;
        let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?;
        let mut bytes = self.file.bytes.write();
        if bytes.len() < len {
            resize(&mut bytes, len);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.bytes.read().len() as u64)
    }
}

impl Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemFile")
            .field("bytes", &self.file.bytes.read().len())
            .finish_non_exhaustive()
    }
}

fn resize(bytes: &mut Vec<u8>, len: usize) {
    if bytes.is_empty() {
        // The system hands out zeroed memory lazily: a large reserved file costs little.
        *bytes = vec![0; len];
    } else {
        bytes.resize(len, 0);
    }
}

struct LockGuard {
    file: Arc<MemFile>,
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.file.locked.store(false, Ordering::Release);
    }
}

impl Debug for LockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemLock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_promises_of_a_disk() {
        super::super::conformance::check(&MemVfs::new(), Path::new("/data"));
    }
}
