//! Damaged files: found out, with the file's name, or harmless; never other data.

use super::*;
use crate::ErrorKind;
use crate::env::vfs::mem::MemVfs;

/// Files of a folder, by name.
type Files = Vec<(String, Vec<u8>)>;

/// The files of a small store with several tables and edits, and what it holds.
fn small_store() -> (Files, Rows) {
    let env = Env::memory();
    let store = open(
        &env,
        StoreOptions {
            l0_tables: 9,
            ..tiny()
        },
    );
    for revision in 1..4u64 {
        let writes: Vec<RowWrite> = (0..6)
            .map(|n| put(&format!("row/{n}"), &format!("value {revision} {n}")))
            .collect();
        store
            .write(Revision(revision), &writes, &[])
            .expect("the store runs");
        store.freeze(blob(revision));
        store.flush().expect("the disk works");
    }
    let names = file_names(&env.vfs, &dir());
    let files = names
        .into_iter()
        .map(|name| {
            let bytes = read_file(&env.vfs, &dir().join(&name));
            (name, bytes)
        })
        .collect();
    let rows = scan(&store, KeyRange::all(), u64::MAX, false).expect("nothing is damaged");
    (files, rows)
}

/// Opens copies of the files and reads all rows, forward, backward and one by one.
fn read_all(files: &[(String, Vec<u8>)], keys: &[(Bytes, Row)]) -> crate::Result<Rows> {
    let env = Env {
        vfs: Arc::new(MemVfs::new()),
        ..Env::memory()
    };
    env.vfs.create_dir_all(&dir()).expect("a folder");
    for (name, bytes) in files {
        write_file(&env.vfs, &dir().join(name), bytes);
    }
    let store = Lsm::open(&env, &dir(), tiny(), BlockCache::new(1 << 20))?;
    assert_eq!(revision_of(store.checkpoint()), 3);
    let rows = scan(&store, KeyRange::all(), u64::MAX, false)?;
    let mut reversed = scan(&store, KeyRange::all(), u64::MAX, true)?;
    reversed.reverse();
    assert_eq!(rows, reversed);
    for revision in 1..3 {
        scan(&store, KeyRange::all(), revision, false)?;
    }
    for (key, row) in keys {
        assert_eq!(store.get(key, Revision(u64::MAX))?.as_ref(), Some(row));
    }
    while store.compact_step(Revision(0))? {}
    Ok(rows)
}

#[test]
fn every_changed_byte_of_every_file_is_found_out_or_harmless() {
    let (files, rows) = small_store();
    assert_eq!(read_all(&files, &rows).expect("nothing is damaged"), rows);
    let mut harmless = 0;
    for (index, (name, bytes)) in files.iter().enumerate() {
        for position in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut files = files.clone();
                files[index].1[position] ^= mask;
                match read_all(&files, &rows) {
                    Ok(found) => {
                        assert!(name.starts_with("MANIFEST"), "{name} at {position}");
                        assert_eq!(found, rows, "{name} at {position}");
                        harmless += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                        assert!(error.to_string().contains(name.as_str()), "{error}");
                    }
                }
            }
        }
    }
    // Only the last seal, thirteen bytes, may be damaged without harm.
    assert_eq!(harmless, 3 * 13);
}

#[test]
fn every_shortened_table_is_found_out() {
    let (files, rows) = small_store();
    for (index, (name, bytes)) in files.iter().enumerate() {
        if !is_table_file(name) {
            continue;
        }
        for len in 0..bytes.len() {
            let mut files = files.clone();
            files[index].1.truncate(len);
            let error = read_all(&files, &rows).expect_err("a table is cut");
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(name.as_str()), "{error}");
        }
    }
}

#[test]
fn a_shortened_manifest_is_found_out_or_holds_an_earlier_checkpoint() {
    let (files, _) = small_store();
    for (index, (name, bytes)) in files.iter().enumerate() {
        if is_table_file(name) {
            continue;
        }
        let mut earlier = 0;
        for len in 0..bytes.len() {
            let env = Env::memory();
            env.vfs.create_dir_all(&dir()).expect("a folder");
            for (other, (name, bytes)) in files.iter().enumerate() {
                let len = if other == index { len } else { bytes.len() };
                write_file(&env.vfs, &dir().join(name), &bytes[..len]);
            }
            match Lsm::open(&env, &dir(), tiny(), BlockCache::new(1 << 20)) {
                Ok(store) => {
                    let checkpoint = revision_of(store.checkpoint());
                    let rows = scan(&store, KeyRange::all(), u64::MAX, false);
                    let rows = rows.expect("the tables are whole");
                    let newest = rows.iter().map(|(_, row)| row.mod_revision.0).max();
                    assert_eq!(newest.unwrap_or(0), checkpoint, "{name} cut to {len}");
                    earlier += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    assert!(error.to_string().contains(name.as_str()), "{error}");
                }
            }
        }
        assert_eq!(earlier > 0, name.starts_with("MANIFEST"), "{name}");
    }
}

#[test]
fn a_missing_file_is_found_out() {
    let (files, rows) = small_store();
    for index in 0..files.len() {
        let mut files = files.clone();
        let (name, _) = files.remove(index);
        let error = read_all(&files, &rows).expect_err("a file is missing");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(name.as_str()), "{error}");
    }
}

#[test]
fn tables_that_changed_places_are_found_out() {
    let (mut files, rows) = small_store();
    let tables: Vec<usize> = (0..files.len())
        .filter(|index| is_table_file(&files[*index].0))
        .collect();
    let (a, b) = (tables[0], tables[1]);
    assert_eq!(files[a].1.len(), files[b].1.len());
    let moved = files[a].1.clone();
    files[a].1 = std::mem::replace(&mut files[b].1, moved);
    let error = read_all(&files, &rows).expect_err("the tables changed places");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn an_edit_torn_at_any_byte_is_cut() {
    let (files, _) = small_store();
    let manifest = files
        .iter()
        .position(|(name, _)| name.starts_with("MANIFEST"))
        .expect("there is one");
    let magic = 0x4d46_5245u32.to_le_bytes();
    let whole = files[manifest].1.clone();
    let frames: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(&magic))
        .collect();
    // Header, first edit and seal, then an edit and a seal for each flush.
    let [.., last_edit, last_seal] = frames[..] else {
        panic!("{frames:?}");
    };
    for len in last_edit..=last_seal {
        for garbage in [0, 40] {
            let env = Env::memory();
            env.vfs.create_dir_all(&dir()).expect("a folder");
            for (name, bytes) in &files {
                let mut bytes = bytes.clone();
                if name.starts_with("MANIFEST") {
                    bytes.truncate(len);
                    bytes.resize(len + garbage, 0xa5);
                }
                write_file(&env.vfs, &dir().join(name), &bytes);
            }
            let expected = if len == last_seal { 3 } else { 2 };
            for _ in 0..2 {
                let store = open(&env, tiny());
                assert_eq!(revision_of(store.checkpoint()), expected, "cut at {len}");
                let row = store.get(b"row/5", Revision(u64::MAX));
                let row = row.expect("nothing is damaged").expect("it was written");
                assert_eq!(row.mod_revision, Revision(expected));
            }
        }
    }
}
