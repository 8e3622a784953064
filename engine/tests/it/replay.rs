//! What a restart replays, and what it refuses.

use std::path::Path;

use bytes::Bytes;
use engine::command::{Command, Commit, NewMessage, Op, RowRef};
use engine::env::vfs::OpenMode;
use engine::env::{Env, Vfs};
use engine::inspect::{ManifestItem, Seen};
use engine::{Engine, ErrorKind, Options};

#[test]
fn a_state_older_than_the_purged_log_is_refused() {
    let env = Env::memory();
    let open = || Engine::open_in(env.clone(), Path::new("/node"), Options::default());
    let engine = open().expect("a new folder opens");
    let row = RowRef {
        keyspace: "default".to_owned(),
        key: Bytes::from_static(b"key"),
    };
    let value = Bytes::from_static(b"value");
    let commit = Commit {
        ops: vec![Op::put(row, value)],
        ..Commit::default()
    };
    engine.commit(commit).expect("the disk has room");
    let replica = engine.replica();
    replica.begin_checkpoint().expect("the disk has room");
    replica.wait_for_checkpoint().expect("the disk has room");
    engine.close().expect("a healthy engine closes");
    drop(engine);
    let state = Path::new("/node/group-0");
    env.vfs.remove_dir_all(state).expect("the folder is there");
    let error = open().expect_err("the log alone does not have everything");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

/// The names and lengths of all files below a folder.
fn files(vfs: &dyn Vfs, dir: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in vfs.list(dir).expect("the folder is there") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            found.extend(files(vfs, &path));
        } else {
            let file = vfs.open(&path, OpenMode::Read).expect("the file is there");
            found.push((path.display().to_string(), file.len().expect("a length")));
        }
    }
    found
}

#[test]
fn a_cut_manifest_is_refused_before_anything_is_removed() {
    let env = Env::memory();
    let options = Options {
        blob_threshold_bytes: 1024,
        ..Options::default()
    };
    let open = || Engine::open_in(env.clone(), Path::new("/node"), options.clone());
    let engine = open().expect("a new folder opens");
    let topic = Command::CreateTopic {
        name: "events".to_owned(),
        partitions: 1,
    };
    engine.execute(topic).expect("the disk has room");
    for key in ["one", "two"] {
        let put = Op::put(
            RowRef {
                keyspace: "default".to_owned(),
                key: key.into(),
            },
            vec![7; 2000].into(),
        );
        let publish = Op::Publish {
            topic: "events".to_owned(),
            partition: None,
            message: NewMessage::default(),
        };
        let commit = Commit {
            ops: vec![put, publish],
            ..Commit::default()
        };
        engine.commit(commit).expect("the disk has room");
        let replica = engine.replica();
        replica.begin_checkpoint().expect("the disk has room");
        replica.wait_for_checkpoint().expect("the disk has room");
    }
    engine.close().expect("a healthy engine closes");
    drop(engine);

    let store = Path::new("/node/group-0/state-000001/store");
    let mut edits = Vec::new();
    let manifest = engine::inspect::manifest(&env.vfs, store, &mut |seen| {
        if let Seen::Item(ManifestItem::Edit(edit)) = seen {
            edits.push(edit);
        }
    })
    .expect("the folder can be read");
    let last = edits.last().expect("the second checkpoint");
    assert_eq!(last.added.len(), 1, "it brings a table");
    let file = env.vfs.open(&manifest.path, OpenMode::ReadWrite);
    let file = file.expect("the manifest is there");
    let mut whole = vec![0; manifest.bytes];
    file.read_exact_at(&mut whole, 0).expect("it is so long");
    file.set_len(last.offset).expect("it can be cut");
    let before = files(env.vfs.as_ref(), Path::new("/node/group-0"));

    let error = open().expect_err("the log does not go on at the first checkpoint");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let after = files(env.vfs.as_ref(), Path::new("/node/group-0"));
    assert_eq!(after, before, "nothing was changed");
    // So the node is whole again once its manifest is.
    file.write_at(&whole, 0).expect("there is room");
    let engine = open().expect("it is as it was");
    let two = RowRef {
        keyspace: "default".to_owned(),
        key: "two".into(),
    };
    let found = engine.replica().get(&two, None).expect("no damage").row;
    assert_eq!(found.expect("it was acknowledged").value.len(), 2000);
}
