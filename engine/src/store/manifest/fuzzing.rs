//! Manifests made of any bytes: see [`fuzzing`](crate::fuzzing).

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Edit, HEADER_BYTES, KIND_EDIT, KIND_SEAL, LogFile, Manifest, State, log_path, switch};
use crate::env::vfs::OpenMode;
use crate::env::vfs::mem::MemVfs;
use crate::env::{Env, Vfs};
use crate::inspect::{Seen, Severity};
use crate::{ErrorKind, inspect};

/// The body of an edit of either version.
pub(crate) fn edit(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    if let Ok((next_id, edit)) = Edit::decode(Bytes::copy_from_slice(rest), first % 2 == 0) {
        let again = Edit::decode(edit.encode(next_id).into(), false);
        assert_eq!(again, Ok((next_id, edit)));
    }
}

/// A file of frames and of bytes between them: opening it and looking at it must agree on
/// whether it is damaged.
pub(crate) fn manifest(data: &[u8]) {
    let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
    let env = Env::simulated(vfs.clone(), 1);
    let dir = Path::new("/store");
    vfs.create_dir_all(dir).expect("a folder in memory");
    let made = LogFile::create(&vfs, env.rng.as_ref(), dir, 1, &State::default());
    let mut log = made.expect("a file in memory");
    if data.first().is_some_and(|byte| byte % 2 == 1) {
        log.len = HEADER_BYTES as u64;
    }
    switch(&vfs, dir, 1).expect("a file in memory");
    let mut rest = data.get(1..).unwrap_or_default();
    while let [kind, len, tail @ ..] = rest {
        let (body, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        match kind % 4 {
            0 => log.append(KIND_EDIT, body),
            1 => log.append(KIND_SEAL, &[]),
            2 => log.append(KIND_EDIT, &State::default().encode_as_edit()),
            _ => log.write(body),
        }
        .expect("a file in memory");
    }
    let path = log_path(dir, 1);
    vfs.open(&path, OpenMode::ReadWrite)
        .and_then(|file| file.set_len(log.len))
        .expect("a file in memory");
    let mut damaged = false;
    inspect::manifest(&vfs, &path, &mut |seen| {
        // What a checkpoint means is not the store's matter.
        damaged |= matches!(&seen, Seen::Problem(found)
            if found.severity == Severity::Damage && !found.what.starts_with("its checkpoint"));
    })
    .expect("damage is no error of a look");
    match Manifest::open(&env, dir) {
        Ok(_) => assert!(!damaged, "a look sees damage that opening does not"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(damaged, "a look does not see: {error}");
        }
    }
}
