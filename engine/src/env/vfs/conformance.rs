//! What every disk must do, checked the same way for each.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirEntry, File, OpenMode, Vfs};

/// Checks `vfs` inside `dir`, which does not exist yet.
pub(super) fn check(vfs: &dyn Vfs, dir: &Path) {
    let disk = Disk { vfs, dir };
    disk.folders_are_made_with_their_parents();
    disk.open_modes();
    disk.reads_and_writes();
    disk.lengths();
    disk.renames();
    disk.renames_of_folders();
    disk.hard_links();
    disk.lists_are_sorted();
    disk.removals();
    disk.removed_files_stay_readable_while_open();
    disk.locks_exclude();
    let space = vfs.space(dir).expect("there is room information");
    assert!(space.free_bytes <= space.total_bytes);
}

struct Disk<'a> {
    vfs: &'a dyn Vfs,
    dir: &'a Path,
}

impl Disk<'_> {
    fn folders_are_made_with_their_parents(&self) {
        assert!(!self.exists("."));
        self.vfs
            .create_dir_all(&self.path("a/b/c"))
            .expect("new folders");
        self.vfs.create_dir_all(&self.path("a/b/c")).expect("again");
        assert!(self.exists("a/b/c"));
        self.vfs
            .sync_dir(&self.path("a/b"))
            .expect("a folder can be synced");
        assert_eq!(
            fails(self.vfs.sync_dir(&self.path("none"))),
            ErrorKind::NotFound
        );
        self.create("a/file", b"");
        assert_eq!(
            fails(self.vfs.create_dir_all(&self.path("a/file"))),
            ErrorKind::AlreadyExists
        );
    }

    fn open_modes(&self) {
        assert_eq!(
            fails(self.open("modes", OpenMode::Read)),
            ErrorKind::NotFound
        );
        assert_eq!(
            fails(self.open("modes", OpenMode::ReadWrite)),
            ErrorKind::NotFound
        );
        assert_eq!(
            fails(self.open("none/modes", OpenMode::CreateNew)),
            ErrorKind::NotFound
        );
        self.create("modes", b"one");
        assert_eq!(
            fails(self.open("modes", OpenMode::CreateNew)),
            ErrorKind::AlreadyExists
        );
        let reader = self.open("modes", OpenMode::Read).expect("it is there");
        assert!(
            reader.write_at(b"two", 0).is_err(),
            "opened for reading only"
        );
        assert!(reader.set_len(0).is_err(), "opened for reading only");
        let writer = self
            .open("modes", OpenMode::ReadWrite)
            .expect("it is there");
        writer.write_at(b"two", 0).expect("opened for writing");
        assert_eq!(contents(reader.as_ref()), b"two");
        assert_eq!(
            fails(self.open("a", OpenMode::Read)),
            ErrorKind::IsADirectory
        );
    }

    fn reads_and_writes(&self) {
        let file = self.create("bytes", b"hello");
        let mut buf = [0xAA; 8];
        assert_eq!(file.read_at(&mut buf, 0).expect("a short read"), 5);
        assert_eq!(&buf, b"hello\xAA\xAA\xAA");
        assert_eq!(file.read_at(&mut buf, 5).expect("at the end"), 0);
        assert_eq!(file.read_at(&mut buf, 500).expect("past the end"), 0);
        assert_eq!(
            fails(file.read_exact_at(&mut buf, 0)),
            ErrorKind::UnexpectedEof
        );
        file.read_exact_at(&mut buf[..2], 3).expect("inside");
        assert_eq!(&buf[..2], b"lo");
        file.write_at(b"p!", 3).expect("overwrites");
        assert_eq!(contents(file.as_ref()), b"help!");
        file.write_at(b"far", 1000).expect("grows the file");
        assert_eq!(file.len().expect("length"), 1003);
        let grown = contents(file.as_ref());
        assert!(
            grown[5..1000].iter().all(|byte| *byte == 0),
            "the gap reads as zeroes"
        );
        assert_eq!(&grown[1000..], b"far");
        file.write_at(b"", 5000).expect("writes nothing");
        assert_eq!(file.len().expect("length"), 1003);
        file.sync_data().expect("a file can be synced");
    }

    fn lengths(&self) {
        let file = self.create("lengths", b"0123456789");
        file.set_len(4).expect("cuts");
        file.set_len(6).expect("grows");
        assert_eq!(contents(file.as_ref()), b"0123\0\0");
        file.preallocate(5000).expect("reserves");
        assert_eq!(file.len().expect("length"), 5000);
        file.preallocate(10).expect("reserves less than there is");
        assert_eq!(file.len().expect("length"), 5000);
        file.preallocate(0).expect("reserves nothing");
        let all = contents(file.as_ref());
        assert!(all.starts_with(b"0123\0") && all[4..].iter().all(|byte| *byte == 0));
        file.set_len(0).expect("empties");
        assert!(file.is_empty().expect("length"));
    }

    fn renames(&self) {
        let old = self.create("to", b"old");
        self.create("from", b"new");
        self.vfs
            .rename(&self.path("from"), &self.path("to"))
            .expect("replaces");
        assert!(!self.exists("from"));
        assert_eq!(self.read("to"), b"new");
        assert_eq!(
            contents(old.as_ref()),
            b"old",
            "a replaced file lives as long as its handle"
        );
        self.vfs
            .rename(&self.path("to"), &self.path("a/b/moved"))
            .expect("into another folder");
        assert_eq!(self.read("a/b/moved"), b"new");
        let again = self.vfs.rename(&self.path("to"), &self.path("other"));
        assert_eq!(fails(again), ErrorKind::NotFound);
        let nowhere = self
            .vfs
            .rename(&self.path("a/b/moved"), &self.path("none/file"));
        assert_eq!(fails(nowhere), ErrorKind::NotFound);
        let onto_folder = self
            .vfs
            .rename(&self.path("a/b/moved"), &self.path("a/b/c"));
        assert_eq!(fails(onto_folder), ErrorKind::IsADirectory);
        let itself = self.path("a/b/moved");
        self.vfs.rename(&itself, &itself).expect("to itself");
        assert_eq!(self.read("a/b/moved"), b"new");
    }

    fn renames_of_folders(&self) {
        self.vfs
            .create_dir_all(&self.path("old/deep"))
            .expect("new folders");
        self.create("old/deep/file", b"deep");
        self.create("older", b"a neighbour whose name begins alike");
        self.vfs
            .rename(&self.path("old"), &self.path("new"))
            .expect("a folder moves");
        assert!(!self.exists("old") && self.exists("older"));
        assert_eq!(self.read("new/deep/file"), b"deep");
        let onto_file = self.vfs.rename(&self.path("new"), &self.path("older"));
        assert_eq!(fails(onto_file), ErrorKind::NotADirectory);
        let onto_full = self.vfs.rename(&self.path("new"), &self.path("a"));
        assert_eq!(fails(onto_full), ErrorKind::DirectoryNotEmpty);
        let into_itself = self
            .vfs
            .rename(&self.path("new"), &self.path("new/deep/new"));
        assert_eq!(fails(into_itself), ErrorKind::InvalidInput);
    }

    fn hard_links(&self) {
        let file = self.create("first", b"one");
        self.vfs
            .hard_link(&self.path("first"), &self.path("second"))
            .expect("a second name");
        file.write_at(b"two", 0).expect("writes");
        assert_eq!(self.read("second"), b"two");
        let again = self
            .vfs
            .hard_link(&self.path("first"), &self.path("second"));
        assert_eq!(fails(again), ErrorKind::AlreadyExists);
        let nothing = self.vfs.hard_link(&self.path("none"), &self.path("third"));
        assert_eq!(fails(nothing), ErrorKind::NotFound);
        self.vfs
            .remove(&self.path("first"))
            .expect("the first name goes");
        assert_eq!(self.read("second"), b"two");
    }

    fn lists_are_sorted(&self) {
        self.vfs
            .create_dir_all(&self.path("list/b-folder/below"))
            .expect("new folders");
        for name in ["list/c", "list/a", "list/b", "list/b-folder/hidden"] {
            self.create(name, b"");
        }
        let expected: Vec<DirEntry> =
            [("a", false), ("b", false), ("b-folder", true), ("c", false)]
                .map(|(name, is_dir)| DirEntry {
                    name: name.to_owned(),
                    is_dir,
                })
                .into();
        assert_eq!(
            self.vfs.list(&self.path("list")).expect("a folder"),
            expected
        );
        assert_eq!(
            fails(self.vfs.list(&self.path("none"))),
            ErrorKind::NotFound
        );
        assert_eq!(
            fails(self.vfs.list(&self.path("list/a"))),
            ErrorKind::NotADirectory
        );
        assert_eq!(
            self.vfs.list(&self.path("a/b/c")).expect("an empty folder"),
            []
        );
    }

    fn removals(&self) {
        self.create("gone", b"");
        self.vfs.remove(&self.path("gone")).expect("removes a file");
        assert!(!self.exists("gone"));
        assert_eq!(
            fails(self.vfs.remove(&self.path("gone"))),
            ErrorKind::NotFound
        );
        assert!(
            self.vfs.remove(&self.path("a")).is_err(),
            "a folder is no file"
        );
        self.vfs
            .create_dir_all(&self.path("tree/deep"))
            .expect("new folders");
        self.create("tree/deep/file", b"");
        self.create("tree-beside", b"");
        self.vfs
            .remove_dir_all(&self.path("tree"))
            .expect("removes all");
        self.vfs
            .remove_dir_all(&self.path("tree"))
            .expect("nothing there any more");
        assert!(!self.exists("tree/deep/file") && !self.exists("tree"));
        assert!(self.exists("tree-beside"));
        self.create("gone", b"again");
        assert_eq!(self.read("gone"), b"again");
    }

    fn removed_files_stay_readable_while_open(&self) {
        let file = self.create("unlinked", b"still here");
        self.vfs
            .remove(&self.path("unlinked"))
            .expect("removes the name");
        file.write_at(b"S", 0).expect("the handle writes on");
        assert_eq!(contents(file.as_ref()), b"Still here");
    }

    fn locks_exclude(&self) {
        let path = self.path("LOCK");
        let guard = self.vfs.lock(&path).expect("free");
        assert!(self.exists("LOCK"));
        assert_eq!(fails(self.vfs.lock(&path)), ErrorKind::WouldBlock);
        drop(guard);
        drop(self.vfs.lock(&path).expect("free again"));
        self.vfs.lock(&path).expect("and again");
        assert_eq!(
            fails(self.vfs.lock(&self.path("none/LOCK"))),
            ErrorKind::NotFound
        );
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn exists(&self, name: &str) -> bool {
        self.vfs.exists(&self.path(name)).expect("the disk answers")
    }

    fn open(&self, name: &str, mode: OpenMode) -> std::io::Result<Arc<dyn File>> {
        self.vfs.open(&self.path(name), mode)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = self.open(name, OpenMode::CreateNew).expect("a new file");
        file.write_at(bytes, 0).expect("its first bytes");
        file
    }

    fn read(&self, name: &str) -> Vec<u8> {
        contents(
            self.open(name, OpenMode::Read)
                .expect("it is there")
                .as_ref(),
        )
    }
}

fn contents(file: &dyn File) -> Vec<u8> {
    let len = usize::try_from(file.len().expect("length")).expect("a small file");
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0).expect("all of it");
    bytes
}

fn fails<T>(result: std::io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.kind(),
    }
}
