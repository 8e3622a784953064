//! Watchers see every change once, in order, and as it was: whatever the commits, wherever they
//! start, however often they begin anew, from memory or from the disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::command::{Command, Commit, Expiry, Op, Outcome, RowRef};
use engine::env::Env;
use engine::env::clock::ManualClock;
use engine::ids::Revision;
use engine::limits::{WATCH_BYTES_MAX, WATCH_EVENTS_MAX};
use engine::query::{
    Change, Keys, RowView, ScanRequest, WatchEvent, WatchPosition, WatchRequest, WatchedCommit,
};
use engine::replica::{Replica, Watch};
use engine::{Engine, ErrorKind, Options};
use proptest::prelude::*;

const KEYSPACE: &str = "default";

struct World {
    env: Env,
    clock: Arc<ManualClock>,
    engine: Option<Engine>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(1_000));
        let env = Env {
            clock: clock.clone(),
            ..Env::memory()
        };
        let mut world = Self {
            env,
            clock,
            engine: None,
        };
        world.reopen();
        world
    }

    /// Stops and starts: what stood in memory is gone, but for what the log replays.
    fn reopen(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.replica().begin_checkpoint().expect("there is room");
            engine
                .replica()
                .wait_for_checkpoint()
                .expect("there is room");
            engine.close().expect("it runs");
        }
        let options = Options {
            memtable_bytes: 4096,
            table_bytes: 4096,
            level_base_bytes: 4096,
            ..Options::default()
        };
        let opened = Engine::open_in(self.env.clone(), Path::new("/engine"), options);
        self.engine = Some(opened.expect("a good folder"));
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("it is open")
    }

    fn replica(&self) -> &Replica {
        self.engine().replica()
    }

    fn commit(&self, ops: Vec<Op>) -> Revision {
        let commit = Commit {
            ops,
            ..Commit::default()
        };
        match self.engine().commit(commit).expect("the disk works") {
            Outcome::Committed { revision, .. } => revision,
            refused => panic!("{refused:?}"),
        }
    }

    fn rows(&self, keys: &Keys) -> BTreeMap<Bytes, RowView> {
        let scan = ScanRequest {
            keyspace: KEYSPACE.to_owned(),
            ..ScanRequest::default()
        };
        let page = self.replica().scan(&scan).expect("the disk works");
        assert!(!page.more, "all rows fit into a page");
        let rows = page.rows.into_iter().map(|row| (row.key.clone(), row));
        rows.filter(|(key, _)| watched(keys, key)).collect()
    }
}

fn watched(keys: &Keys, key: &Bytes) -> bool {
    match keys {
        Keys::One(one) => one == key,
        Keys::Prefix(prefix) => key.starts_with(prefix),
        Keys::Range(start, end) => start <= key && end.as_ref().is_none_or(|end| key < end),
    }
}

fn watch(replica: &Replica, keys: &Keys) -> Watch {
    let request = WatchRequest {
        keyspace: KEYSPACE.to_owned(),
        keys: keys.clone(),
        no_puts: false,
        no_deletes: false,
        previous: true,
        keys_only: false,
    };
    let watch = replica.watch(request, Box::new(|| ()));
    watch.expect("a keyspace that is there")
}

/// All that there is, in whole commits.
fn drain(watch: &Watch, from: WatchPosition) -> (Vec<WatchedCommit>, WatchPosition) {
    let mut commits: Vec<WatchedCommit> = Vec::new();
    let mut position = from;
    loop {
        let page = watch.page(position).expect("history is kept");
        assert!(page.next >= position, "{position:?} to {:?}", page.next);
        for commit in page.commits {
            match commits.last_mut().filter(|last| !last.complete) {
                Some(last) => {
                    assert_eq!(last.revision, commit.revision, "a part of the same commit");
                    last.events.extend(commit.events);
                    last.complete = commit.complete;
                }
                None => commits.push(commit),
            }
        }
        position = page.next;
        if !page.more {
            assert!(commits.last().is_none_or(|last| last.complete));
            return (commits, position);
        }
    }
}

/// A watcher that keeps its own copy of the rows it watches, from events alone.
struct Follower {
    keys: Keys,
    position: WatchPosition,
    rows: BTreeMap<Bytes, RowView>,
}

impl Follower {
    /// Begins at the newest revision.
    fn new(world: &World, keys: Keys) -> Self {
        let position = watch(world.replica(), &keys)
            .start(None)
            .expect("now can be watched");
        Self {
            rows: world.rows(&keys),
            keys,
            position,
        }
    }

    fn follow(&mut self, world: &World) {
        let from = self.position;
        let watch = watch(world.replica(), &self.keys);
        let (commits, next) = drain(&watch, from);
        let mut last = Revision(from.revision.0 - 1);
        for commit in &commits {
            assert!(commit.revision > last, "revisions ascend");
            last = commit.revision;
            for event in &commit.events {
                self.apply(commit, event);
            }
        }
        assert!(next.revision > last);
        self.position = next;
        assert_eq!(self.rows, world.rows(&self.keys), "of {:?}", self.keys);
    }

    fn apply(&mut self, commit: &WatchedCommit, event: &WatchEvent) {
        let (key, old) = match &event.change {
            Change::Put(row) => {
                assert!(watched(&self.keys, &row.key), "{:?}", row.key);
                assert_eq!(row.mod_revision, commit.revision);
                (&row.key, self.rows.insert(row.key.clone(), row.clone()))
            }
            Change::Deleted(key) | Change::Ended(key) => {
                let old = self.rows.remove(key);
                assert!(old.is_some(), "{key:?} was there before it went");
                (key, old)
            }
            Change::RangeDeleted(start, end) => {
                let range = Keys::Range(start.clone(), end.clone());
                self.rows.retain(|key, _| !watched(&range, key));
                return;
            }
            Change::KeyspaceDropped => panic!("nobody drops it"),
        };
        let old = old.filter(|old| match &event.change {
            // It had ended, and was written anew before it was swept.
            Change::Put(new) => new.version > 1 || new.create_revision == old.create_revision,
            _ => true,
        });
        assert_eq!(event.previous, old, "what was at {key:?} before");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Op>),
    Pass(u64),
    Follow(usize),
    Begin(Keys),
    Reopen,
}

fn any_key() -> impl Strategy<Value = Bytes> {
    "[abc]{1,2}".prop_map(Bytes::from)
}

fn any_op() -> impl Strategy<Value = Op> {
    let row = || {
        any_key().prop_map(|key| RowRef {
            keyspace: KEYSPACE.to_owned(),
            key,
        })
    };
    let expiry = prop_oneof![
        4 => Just(Expiry::Default),
        1 => (1..200u64).prop_map(Expiry::After),
        1 => Just(Expiry::Keep),
    ];
    let put = (row(), "[xyz]{0,40}", expiry).prop_map(|(row, value, expiry)| Op::Put {
        row,
        value: value.into(),
        expiry,
    });
    let delete = row().prop_map(|row| Op::Delete { row });
    let range = (any_key(), prop::option::of(any_key())).prop_map(|(start, end)| Op::DeleteRange {
        keyspace: KEYSPACE.to_owned(),
        start,
        end,
    });
    let add = (row(), "[mn]").prop_map(|(row, member)| Op::SetAdd {
        row,
        members: vec![member.into()],
        expiry: Expiry::Default,
    });
    let remove = (row(), "[mn]").prop_map(|(row, member)| Op::SetRemove {
        row,
        members: vec![member.into()],
    });
    prop_oneof![6 => put, 3 => delete, 1 => range, 2 => add, 1 => remove]
}

fn any_keys() -> impl Strategy<Value = Keys> {
    prop_oneof![
        any_key().prop_map(Keys::One),
        "[abc]{0,1}".prop_map(|prefix| Keys::Prefix(prefix.into())),
        (any_key(), any_key())
            .prop_filter("not empty", |(start, end)| start < end)
            .prop_map(|(start, end)| Keys::Range(start, Some(end))),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(any_op(), 1..4).prop_map(Step::Commit),
        2 => (1..150u64).prop_map(Step::Pass),
        3 => (0..8usize).prop_map(Step::Follow),
        2 => any_keys().prop_map(Step::Begin),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn events_lead_from_any_moment_to_any_later_one(
        steps in prop::collection::vec(any_step(), 1..60),
    ) {
        let mut world = World::new();
        let mut followers = vec![Follower::new(&world, Keys::Prefix(Bytes::new()))];
        for step in steps {
            match step {
                Step::Commit(ops) => {
                    let commit = Commit { ops, ..Commit::default() };
                    // Some are refused, and change nothing.
                    world.engine().commit(commit).expect("the disk works");
                }
                Step::Pass(ms) => {
                    world.clock.advance(Duration::from_millis(ms));
                }
                Step::Follow(place) => {
                    // What has ended is swept first: a scan hides it at once, events come with the sweep.
                    world.engine().execute(Command::Tick).expect("the disk works");
                    let count = followers.len();
                    followers[place % count].follow(&world);
                }
                Step::Begin(keys) => {
                    world.engine().execute(Command::Tick).expect("the disk works");
                    followers.push(Follower::new(&world, keys));
                }
                Step::Reopen => world.reopen(),
            }
        }
        world.engine().execute(Command::Tick).expect("the disk works");
        for follower in &mut followers {
            follower.follow(&world);
        }
    }
}

fn put(key: &str, value: &str) -> Op {
    let row = RowRef {
        keyspace: KEYSPACE.to_owned(),
        key: key.to_owned().into(),
    };
    Op::put(row, value.to_owned().into())
}

#[test]
fn whom_a_change_does_not_concern_is_not_woken() {
    let world = World::new();
    let woken = |keys: Keys| {
        let count = Arc::new(AtomicUsize::new(0));
        let request = WatchRequest {
            keyspace: KEYSPACE.to_owned(),
            keys,
            no_puts: false,
            no_deletes: false,
            previous: false,
            keys_only: false,
        };
        let counting = count.clone();
        let wake = Box::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
        });
        let watch = world.replica().watch(request, wake).expect("it is there");
        (watch, count)
    };
    let mine = woken(Keys::One("mine".into()));
    let prefix = woken(Keys::Prefix("mi".into()));
    let range = woken(Keys::Range("a".into(), Some("n".into())));
    let other = woken(Keys::One("other".into()));
    let start = mine.0.start(None).expect("now");
    world.commit(vec![put("mine", "1")]);
    world.commit(vec![put("mine", "2")]);
    let counts = [&mine, &prefix, &range, &other].map(|(_, count)| count.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 1, 1, 0], "once, until they have asked");

    // Who asks hears from where on, and is woken again.
    let (position, has_news) = mine.0.news(start);
    assert_eq!((position, has_news), (start, true));
    let page = mine.0.recent(position).expect("memory").expect("has it");
    assert_eq!(page.commits.len(), 2);
    let (position, has_news) = mine.0.news(page.next);
    assert_eq!((position, has_news), (page.next, false));
    world.commit(vec![put("else", "1")]);
    let (later, has_news) = mine.0.news(position);
    assert!(
        !has_news && later.revision > position.revision,
        "it may skip what is not its own"
    );
    world.commit(vec![put("mine", "3")]);
    assert_eq!(mine.1.load(Ordering::Relaxed), 2);

    // Who has left is not woken.
    drop(mine.0);
    world.commit(vec![put("mine", "4")]);
    assert_eq!(mine.1.load(Ordering::Relaxed), 2);
}

#[test]
fn a_large_commit_comes_in_parts_that_are_told() {
    let world = World::new();
    let count = WATCH_EVENTS_MAX + 500;
    let ops = (0..count).map(|number| put(&format!("{number:05}"), "v"));
    let revision = world.commit(ops.collect());
    let big = "b".repeat(WATCH_BYTES_MAX / 2);
    world.commit(vec![put("x", &big), put("y", &big), put("z", &big)]);
    let watch = watch(world.replica(), &Keys::Prefix(Bytes::new()));
    let start = watch.start(Some(revision)).expect("it is kept");
    let first = watch.page(start).expect("a page");
    assert_eq!(first.commits.len(), 1);
    assert!(!first.commits[0].complete && first.more);
    assert_eq!(first.commits[0].events.len(), WATCH_EVENTS_MAX);
    let (all, _) = drain(&watch, start);
    let events: Vec<_> = all.iter().map(|commit| commit.events.len()).collect();
    assert_eq!(events, [count, 3]);
}

#[test]
fn who_is_too_slow_is_told_where_history_begins() {
    let mut world = World::new();
    for number in 0..10 {
        world.commit(vec![put("k", &number.to_string())]);
    }
    let start = watch(world.replica(), &Keys::One("k".into()))
        .start(Some(Revision(3)))
        .expect("it is kept");
    world
        .engine()
        .execute(Command::RaiseFloor {
            revision: Revision(5),
        })
        .expect("the disk works");
    world.reopen();
    let watch = watch(world.replica(), &Keys::One("k".into()));
    let error = watch.page(start).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
    assert_eq!(world.replica().watch_floor(), Revision(5));
    let from = watch.start(Some(Revision(6))).expect("the rest is kept");
    assert_eq!(drain(&watch, from).0.len(), 5);
}
