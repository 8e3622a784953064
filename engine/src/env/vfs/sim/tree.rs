//! The folders of a simulated disk: names as they are, as they are on the medium, and the
//! changes between.
//!
//! A change of names inside one folder (a rename above all) survives whole or not at all. A
//! rename from one folder to another is two changes, of which each becomes durable with the
//! sync of its own folder: whoever syncs only the old folder may lose the file.
//!
//! A copy of a tree shares its files and folders until one of the two changes them, so that a
//! copy at every call to the disk costs little.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::Arc;

use super::file::SimFile;
use super::survival::{Losses, Survival};
use crate::env::rng::SeededRng;
use crate::env::vfs::DirEntry;

pub(super) type InodeId = u64;

const ROOT: InodeId = 0;

#[derive(Clone)]
pub(super) struct Tree {
    inodes: BTreeMap<InodeId, Arc<Inode>>,
    /// How many open handles each file has: they keep a file without names alive.
    handles: BTreeMap<InodeId, u64>,
    next_inode: InodeId,
    /// Counts changes of names; both halves of a rename between folders have the same number.
    next_change: usize,
    /// Counts whatever may change what a power cut leaves.
    version: u64,
}

#[derive(Clone)]
enum Inode {
    Dir(Dir),
    File(SimFile),
}

#[derive(Clone, Default)]
struct Dir {
    live: Names,
    durable: Names,
    unsynced: Vec<NameChange>,
}

type Names = BTreeMap<String, InodeId>;

#[derive(Clone)]
struct NameChange {
    number: usize,
    /// What each name means from now on; `None` is removed.
    names: Vec<(String, Option<InodeId>)>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let inodes = BTreeMap::from([(ROOT, Arc::new(Inode::Dir(Dir::default())))]);
        Self {
            inodes,
            handles: BTreeMap::new(),
            next_inode: ROOT + 1,
            next_change: 0,
            version: 0,
        }
    }

    /// Two copies of one tree with the same version are the same.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn find(&self, path: &[String]) -> io::Result<InodeId> {
        path.iter().try_fold(ROOT, |at, name| {
            self.dir(at)?
                .live
                .get(name)
                .copied()
                .ok_or_else(|| ErrorKind::NotFound.into())
        })
    }

    pub(super) fn find_file(&self, path: &[String]) -> io::Result<InodeId> {
        let id = self.find(path)?;
        if self.is_dir(id) {
            Err(ErrorKind::IsADirectory.into())
        } else {
            Ok(id)
        }
    }

    pub(super) fn file(&self, id: InodeId) -> io::Result<&SimFile> {
        match self.inode(id) {
            Some(Inode::File(file)) => Ok(file),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn file_mut(&mut self, id: InodeId) -> io::Result<&mut SimFile> {
        self.version += 1;
        match self.inodes.get_mut(&id).map(Arc::make_mut) {
            Some(Inode::File(file)) => Ok(file),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// One more handle is open on a file.
    pub(super) fn hold(&mut self, id: InodeId) {
        *self.handles.entry(id).or_insert(0) += 1;
    }

    /// One handle less is open on a file.
    pub(super) fn release(&mut self, id: InodeId) {
        if let Some(count) = self.handles.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.handles.remove(&id);
            }
        }
    }

    pub(super) fn create_file(&mut self, path: &[String]) -> io::Result<InodeId> {
        let (dir, name) = self.free_name(path)?;
        Ok(self.add(dir, name, Inode::File(SimFile::default())))
    }

    /// Makes at most `limit` of the missing folders.
    pub(super) fn create_dirs(&mut self, path: &[String], limit: usize) -> io::Result<()> {
        let (mut at, mut made) = (ROOT, 0);
        for name in path {
            at = match self.dir(at)?.live.get(name).copied() {
                Some(id) if self.is_dir(id) => id,
                Some(_) => return Err(ErrorKind::AlreadyExists.into()),
                None if made == limit => return Ok(()),
                None => {
                    made += 1;
                    self.add(at, name.clone(), Inode::Dir(Dir::default()))
                }
            };
        }
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &[String]) -> io::Result<()> {
        self.find_file(path)?;
        let (dir, name) = self.parent(path)?;
        self.change(dir, vec![(name, None)]);
        Ok(())
    }

    /// What [`Tree::remove_name`] must remove, one by one, to remove a folder: children first.
    pub(super) fn names_below(&self, path: &[String]) -> io::Result<Vec<(InodeId, String)>> {
        let id = match self.find(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            found => found?,
        };
        let mut names = Vec::new();
        self.collect_names(id, &mut names)?;
        if !path.is_empty() {
            names.push(self.parent(path)?);
        }
        Ok(names)
    }

    pub(super) fn remove_name(&mut self, dir: InodeId, name: String) {
        self.change(dir, vec![(name, None)]);
    }

    pub(super) fn rename(&mut self, from: &[String], to: &[String]) -> io::Result<()> {
        let id = self.find(from)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(from) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let replaced = self.dir(to_dir)?.live.get(&to_name).copied();
        match replaced.map(|replaced| (self.is_dir(id), self.is_dir(replaced))) {
            Some((false, true)) => return Err(ErrorKind::IsADirectory.into()),
            Some((true, false)) => return Err(ErrorKind::NotADirectory.into()),
            _ => {}
        }
        if let Some(Inode::Dir(dir)) = replaced.and_then(|replaced| self.inode(replaced))
            && !dir.live.is_empty()
        {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        if replaced == Some(id) {
            // Two names of one file: the standard says that nothing happens.
            return Ok(());
        }
        if from_dir == to_dir {
            self.change(from_dir, vec![(from_name, None), (to_name, Some(id))]);
        } else {
            self.change(to_dir, vec![(to_name, Some(id))]);
            self.next_change -= 1;
            self.change(from_dir, vec![(from_name, None)]);
        }
        Ok(())
    }

    pub(super) fn hard_link(&mut self, from: &[String], to: &[String]) -> io::Result<()> {
        let id = self.find_file(from)?;
        let (dir, name) = self.free_name(to)?;
        self.change(dir, vec![(name, Some(id))]);
        Ok(())
    }

    /// Makes the names of a folder durable, or only those changed first.
    pub(super) fn sync_dir(&mut self, path: &[String], part: Option<&SeededRng>) -> io::Result<()> {
        let id = self.find(path)?;
        let dir = self.dir_mut(id)?;
        let count = part.map_or(dir.unsynced.len(), |rng| rng.index(dir.unsynced.len() + 1));
        for change in dir.unsynced.drain(..count) {
            change.apply(&mut dir.durable);
        }
        if count > 0 {
            self.forget_nameless();
        }
        Ok(())
    }

    pub(super) fn list(&self, path: &[String]) -> io::Result<Vec<DirEntry>> {
        let names = &self.dir(self.find(path)?)?.live;
        let entry = |(name, id): (&String, &InodeId)| DirEntry {
            name: name.clone(),
            is_dir: self.is_dir(*id),
        };
        Ok(names.iter().map(entry).collect())
    }

    /// What all files hold that have a name or a handle.
    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.reachable(|dir| dir.live.values().copied().collect());
        self.inodes
            .iter()
            .filter_map(|(id, inode)| match &**inode {
                Inode::File(file) if self.handles.contains_key(id) || named.contains(id) => {
                    Some(file.len())
                }
                _ => None,
            })
            .sum()
    }

    /// All handles end, and with them the files that have no other name.
    pub(super) fn forget_handles(&mut self) {
        self.handles.clear();
    }

    /// Leaves what the medium holds after a power cut, and answers what was lost.
    pub(super) fn lose_power(&mut self, rng: &SeededRng) -> Losses {
        let mut losses = Losses::default();
        self.version += 1;
        self.forget_handles();
        self.lose_names(rng, &mut losses);
        self.forget_nameless();
        for inode in self.inodes.values_mut() {
            if matches!(&**inode, Inode::File(file) if file.is_unsettled())
                && let Inode::File(file) = Arc::make_mut(inode)
            {
                file.lose_power(rng, &mut losses);
            }
        }
        losses
    }

    fn lose_names(&mut self, rng: &SeededRng, losses: &mut Losses) {
        let unsynced = self
            .dirs()
            .flat_map(|dir| &dir.unsynced)
            .map(|change| change.number);
        let numbers: BTreeSet<usize> = unsynced.collect();
        let survival = Survival::of_pieces(numbers.len(), rng);
        let kept: BTreeSet<usize> = numbers
            .iter()
            .enumerate()
            .filter(|(position, _)| losses.note(survival.keeps(*position, rng)))
            .map(|(_, number)| *number)
            .collect();
        for inode in self.inodes.values_mut() {
            if matches!(&**inode, Inode::Dir(dir) if !dir.unsynced.is_empty())
                && let Inode::Dir(dir) = Arc::make_mut(inode)
            {
                for change in std::mem::take(&mut dir.unsynced) {
                    if kept.contains(&change.number) {
                        change.apply(&mut dir.durable);
                    }
                }
                dir.live = dir.durable.clone();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn inode_count(&self) -> usize {
        self.inodes.len()
    }

    /// Drops what no name, durable or not, and no handle can reach any more.
    fn forget_nameless(&mut self) {
        let named = self.reachable(|dir| {
            let pending = dir.unsynced.iter().flat_map(|change| &change.names);
            let pending = pending.filter_map(|(_, id)| *id);
            dir.live
                .values()
                .chain(dir.durable.values())
                .copied()
                .chain(pending)
                .collect()
        });
        let handles = &self.handles;
        self.inodes
            .retain(|id, _| handles.contains_key(id) || named.contains(id));
    }

    fn reachable(&self, children: impl Fn(&Dir) -> Vec<InodeId>) -> BTreeSet<InodeId> {
        let mut found = BTreeSet::from([ROOT]);
        let mut waiting = vec![ROOT];
        while let Some(id) = waiting.pop() {
            if let Some(Inode::Dir(dir)) = self.inode(id) {
                waiting.extend(
                    children(dir)
                        .into_iter()
                        .filter(|child| found.insert(*child)),
                );
            }
        }
        found
    }

    fn collect_names(&self, id: InodeId, names: &mut Vec<(InodeId, String)>) -> io::Result<()> {
        for (name, child) in &self.dir(id)?.live {
            if self.is_dir(*child) {
                self.collect_names(*child, names)?;
            }
            names.push((id, name.clone()));
        }
        Ok(())
    }

    fn add(&mut self, dir: InodeId, name: String, inode: Inode) -> InodeId {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Arc::new(inode));
        self.change(dir, vec![(name, Some(id))]);
        id
    }

    fn change(&mut self, dir: InodeId, names: Vec<(String, Option<InodeId>)>) {
        let change = NameChange {
            number: self.next_change,
            names,
        };
        self.next_change += 1;
        let dir = self.dir_mut(dir).expect("only names in folders change");
        change.apply(&mut dir.live);
        dir.unsynced.push(change);
    }

    /// The folder and the name of a file or folder to be made.
    fn free_name(&self, path: &[String]) -> io::Result<(InodeId, String)> {
        let (dir, name) = self.parent(path)?;
        if self.dir(dir)?.live.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        Ok((dir, name))
    }

    fn parent(&self, path: &[String]) -> io::Result<(InodeId, String)> {
        let (name, parent) = path.split_last().ok_or(ErrorKind::InvalidInput)?;
        let dir = self.find(parent)?;
        self.dir(dir)?;
        Ok((dir, name.clone()))
    }

    fn is_dir(&self, id: InodeId) -> bool {
        matches!(self.inode(id), Some(Inode::Dir(_)))
    }

    fn inode(&self, id: InodeId) -> Option<&Inode> {
        self.inodes.get(&id).map(Arc::as_ref)
    }

    fn dir(&self, id: InodeId) -> io::Result<&Dir> {
        match self.inode(id) {
            Some(Inode::Dir(dir)) => Ok(dir),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn dir_mut(&mut self, id: InodeId) -> io::Result<&mut Dir> {
        self.version += 1;
        match self.inodes.get_mut(&id).map(Arc::make_mut) {
            Some(Inode::Dir(dir)) => Ok(dir),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.inodes.values().filter_map(|inode| match &**inode {
            Inode::Dir(dir) => Some(dir),
            Inode::File(_) => None,
        })
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        for (name, id) in &self.names {
            match id {
                Some(id) => names.insert(name.clone(), *id),
                None => names.remove(name),
            };
        }
    }
}
