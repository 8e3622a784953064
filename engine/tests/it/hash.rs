//! Hashes of keyspaces: a function of the rows, however a replica keeps them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use engine::command::{Batch, Command, Commit, Expiry, Op, Payload, RowRef};
use engine::env::vfs::mem::MemVfs;
use engine::env::{Env, Vfs};
use engine::ids::{GroupId, LogId, LogIndex, Revision};
use engine::replica::{KeyspaceHash, Replica, Shared};
use engine::{DEFAULT_KEYSPACE, ErrorKind, Options};

/// A replica, and how many entries it was given.
struct Group {
    shared: Shared,
    replica: Replica,
    applied: u64,
}

impl Group {
    fn new(memtable_bytes: usize) -> Self {
        let vfs: Arc<dyn Vfs> = Arc::new(MemVfs::new());
        let options = Options {
            memtable_bytes,
            table_bytes: 4096,
            blob_threshold_bytes: 1024,
            ..Options::default()
        };
        let options = options.validate().expect("options that can be used");
        let shared = Shared::new(Env::simulated(vfs, 3), options);
        let replica = open(&shared);
        Self {
            shared,
            replica,
            applied: 0,
        }
    }

    fn apply(&mut self, now_ms: u64, command: Command) {
        self.applied += 1;
        let batch = Payload::Batch(Batch {
            now_ms,
            commands: vec![command],
        });
        let applied = self.replica.apply(LogId::new(1, self.applied), &batch);
        applied.expect("the disk works");
    }

    fn commit(&mut self, ops: Vec<Op>) {
        self.apply(
            1_000,
            Command::Commit(Commit {
                ops,
                ..Commit::default()
            }),
        );
    }

    /// Rows that are written again and again, large ones, and a set.
    fn story(&mut self) {
        for number in 0..200 {
            self.commit(vec![
                put(&format!("row-{:02}", number % 40), &format!("{number:05}")),
                put(&format!("large-{}", number % 7), &"x".repeat(1500 + number)),
                Op::SetAdd {
                    row: row("set"),
                    members: vec![Bytes::from(format!("member-{number}"))],
                    expiry: Expiry::Default,
                },
            ]);
        }
    }

    fn checkpoint(&self) {
        self.replica.begin_checkpoint().expect("the disk works");
        self.replica.wait_for_checkpoint().expect("the disk works");
    }

    fn hash_at(&self, at: Option<u64>) -> KeyspaceHash {
        let keyspace = Some(DEFAULT_KEYSPACE);
        let hashed = self.replica.hash(keyspace, at.map(Revision), &|| true);
        let (mut hashes, _) = hashed.expect("it can be read");
        hashes.pop().expect("one keyspace")
    }

    fn hash(&self) -> KeyspaceHash {
        self.hash_at(None)
    }
}

fn open(shared: &Shared) -> Replica {
    Replica::open(shared, GroupId(0), Path::new("/node/group-0"), None).expect("it opens")
}

fn row(key: &str) -> RowRef {
    RowRef {
        keyspace: DEFAULT_KEYSPACE.to_owned(),
        key: Bytes::copy_from_slice(key.as_bytes()),
    }
}

fn put(key: &str, value: &str) -> Op {
    Op::put(row(key), Bytes::copy_from_slice(value.as_bytes()))
}

#[test]
fn equal_rows_have_one_hash_in_memtables_in_tables_and_after_a_restart() {
    let mut in_memory = Group::new(64 << 20);
    in_memory.story();
    let mut in_tables = Group::new(8 * 1024);
    in_tables.story();
    let expected = in_memory.hash();
    assert_eq!((expected.rows, expected.members), (48, 200));
    assert_eq!(in_tables.hash(), expected, "other flushes and merges");
    in_memory.checkpoint();
    assert_eq!(in_memory.hash(), expected, "flushed");
    for revision in [1, 40, 120, 199] {
        assert_eq!(
            in_memory.hash_at(Some(revision)),
            in_tables.hash_at(Some(revision))
        );
    }
    in_tables.checkpoint();
    in_tables.replica.close().expect("it closes");
    in_tables.replica = open(&in_tables.shared);
    assert_eq!(in_tables.hash(), expected, "opened again");
    // Everything that nobody can read is dropped, and all is merged into one level.
    let floor = in_tables.replica.revision();
    in_tables.apply(1_000, Command::RaiseFloor { revision: floor });
    in_tables.checkpoint();
    while in_tables.shared.env.workers.help() {}
    assert_eq!(in_tables.hash(), expected, "merged");
}

#[test]
fn a_changed_byte_a_new_row_and_a_lost_member_change_the_hash() {
    let mut group = Group::new(64 << 20);
    group.story();
    let revision = group.replica.revision().0;
    let hash = group.hash();
    let other = |group: &mut Group, ops: Vec<Op>| {
        group.commit(ops);
        group.hash().hash
    };
    let mut seen = std::collections::BTreeSet::from([hash.hash]);
    assert!(seen.insert(other(&mut group, vec![put("row-07", "00166")])));
    assert!(seen.insert(other(&mut group, vec![put("row-07x", "")])));
    let delete = Op::Delete {
        row: row("row-07x"),
    };
    assert!(
        !seen.insert(other(&mut group, vec![delete])),
        "as before it"
    );
    let remove = Op::SetRemove {
        row: row("set"),
        members: vec![Bytes::from_static(b"member-3")],
    };
    assert!(seen.insert(other(&mut group, vec![remove])));
    assert_eq!(group.hash_at(Some(revision)), hash, "the past is as it was");
}

#[test]
fn a_row_that_has_ended_counts_until_it_is_swept_so_that_time_changes_no_hash() {
    let mut group = Group::new(64 << 20);
    group.commit(vec![Op::Put {
        row: row("brief"),
        value: Bytes::from_static(b"1"),
        expiry: Expiry::At(2_000),
    }]);
    let before = group.hash();
    assert_eq!(before.rows, 1);
    let revision = group.replica.revision().0;
    // Time passes, and nothing is changed.
    group.apply(5_000, Command::OpenSession);
    assert_eq!(group.hash_at(Some(revision)), before);
    group.apply(5_000, Command::Tick);
    assert_eq!(group.hash().rows, 0, "it is swept");
    assert_eq!(group.hash_at(Some(revision)), before);
}

#[test]
fn keyspaces_are_hashed_each_for_itself_and_a_hash_can_be_ended() {
    let mut group = Group::new(64 << 20);
    group.apply(
        1_000,
        Command::CreateKeyspace {
            name: "other".to_owned(),
            options: engine::command::KeyspaceOptions::default(),
        },
    );
    group.story();
    let (all, revision) = group
        .replica
        .hash(None, None, &|| true)
        .expect("it can be read");
    let names: Vec<_> = all.iter().map(|hash| hash.name.as_str()).collect();
    assert_eq!(names, ["default", "other"]);
    assert_eq!(all.first(), Some(&group.hash()));
    assert_eq!(all.last().map(|hash| hash.rows), Some(0));
    assert_eq!(revision, group.replica.revision());
    let unknown = group.replica.hash(Some("none"), None, &|| true);
    assert_eq!(
        unknown.expect_err("it is unknown").kind(),
        ErrorKind::NotFound
    );
    let left = std::cell::Cell::new(10);
    let goes_on = || left.replace(left.get() - 1) > 0;
    let ended = group.replica.hash(None, None, &goes_on);
    assert_eq!(ended.expect_err("it is ended").kind(), ErrorKind::Stopped);
}

#[test]
fn the_digest_of_an_entry_is_known_until_it_is_long_past() {
    let mut group = Group::new(64 << 20);
    group.commit(vec![put("a", "1")]);
    let first = group.replica.view().digest;
    group.commit(vec![put("a", "2")]);
    assert_eq!(group.replica.digest_at(LogIndex(1)), Some(first));
    let last = group.replica.view().digest;
    assert_eq!(group.replica.digest_at(LogIndex(2)), Some(last));
    assert_ne!(first, last);
    assert_eq!(group.replica.digest_at(LogIndex(3)), None);
}
