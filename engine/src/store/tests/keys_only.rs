//! Walks over keys alone: which files they read.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::env::File;
use crate::env::vfs::mem::MemVfs;
use crate::env::vfs::{DirEntry, Space};

/// A disk that counts the bytes read from blob files.
#[derive(Debug, Default)]
struct Counting {
    inner: MemVfs,
    blob_bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn File>,
    read: Arc<AtomicU64>,
}

impl Vfs for Counting {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let inner = self.inner.open(path, mode)?;
        if path.extension().is_none_or(|kind| kind != "blob") {
            return Ok(inner);
        }
        let read = Arc::clone(&self.blob_bytes);
        Ok(Arc::new(CountingFile { inner, read }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn std::fmt::Debug + Send + Sync>> {
        self.inner.lock(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }
}

impl File for CountingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_at(buf, offset)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(buf, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.inner.preallocate(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

#[test]
fn a_walk_over_keys_yields_the_same_rows_and_reads_no_blob_file() {
    let disk = Arc::new(Counting::default());
    let read = Arc::clone(&disk.blob_bytes);
    let env = Env {
        vfs: disk,
        ..Env::memory()
    };
    let store = open(&env, tiny());
    // Most are long enough for a blob file; some rows go, some come in a second table.
    for revision in 1..4u64 {
        let writes: Vec<RowWrite> = (0..20)
            .map(|n| match (n + revision) % 5 {
                0 => delete(&format!("row/{n}")),
                1 => put(&format!("row/{n}"), "short"),
                _ => put(&format!("row/{n}"), &"long".repeat(200)),
            })
            .collect();
        let deleted = [KeyRange::prefix(Bytes::from_static(b"row/1"))];
        let deleted = &deleted[..usize::from(revision == 2)];
        store
            .write(Revision(revision), &writes, deleted)
            .expect("the store runs");
        if revision < 3 {
            store.freeze(blob(revision));
            store.flush().expect("the disk works");
        }
    }
    assert!(store.stats().blob_files > 0);
    for at in 1..4 {
        for reverse in [false, true] {
            read.store(0, Ordering::Relaxed);
            let keys = store.scan_keys(KeyRange::all(), Revision(at), reverse);
            let keys: crate::Result<Rows> = keys.expect("the disk works").collect();
            assert_eq!(read.load(Ordering::Relaxed), 0, "at {at}");
            let rows = scan(&store, KeyRange::all(), at, reverse).expect("the disk works");
            if at < 3 {
                assert!(read.load(Ordering::Relaxed) > 8000, "at {at}");
            }
            let without = rows.into_iter().map(|(key, row)| {
                let value = Bytes::new();
                (key, Row { value, ..row })
            });
            assert_eq!(keys.expect("the disk works"), without.collect::<Rows>());
        }
    }
}
