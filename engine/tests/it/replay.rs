//! What a restart replays, and what it refuses.

use std::path::Path;

use bytes::Bytes;
use engine::command::{Commit, Op, RowRef};
use engine::env::Env;
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
        ops: vec![Op::Put { row, value }],
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
