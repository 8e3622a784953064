//! Random stories, each step compared with the model.

use proptest::prelude::*;

use super::super::RowIter;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(u8, Option<u16>)>),
    /// Two ranges are emptied, and rows written.
    Delete {
        ranges: [(u8, u8); 2],
        writes: Vec<(u8, Option<u16>)>,
    },
    Freeze,
    Flush,
    Compact {
        steps: u8,
        floor: u8,
    },
    CompactL0,
    /// Ended before, or left as a crash leaves it.
    Reopen {
        ended: bool,
    },
    Get {
        key: u8,
        at: u8,
    },
    Scan {
        range: (u8, u8),
        at: u8,
        reverse: bool,
    },
    LongScan {
        range: (u8, u8),
        at: u8,
        reverse: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        3 => (0u16..60).prop_map(Some),
        1 => (0u16..900).prop_map(Some),
        2 => Just(None),
    ];
    let range = || (any::<u8>(), any::<u8>());
    let writes = move |sizes| prop::collection::vec((any::<u8>(), value.clone()), sizes);
    prop_oneof![
        10 => writes(1..12).prop_map(Step::Write),
        2 => (range(), range(), writes(0..4))
            .prop_map(|(a, b, writes)| Step::Delete { ranges: [a, b], writes }),
        3 => Just(Step::Freeze),
        4 => Just(Step::Flush),
        4 => (1u8..6, any::<u8>()).prop_map(|(steps, floor)| Step::Compact { steps, floor }),
        1 => Just(Step::CompactL0),
        1 => any::<bool>().prop_map(|ended| Step::Reopen { ended }),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(key, at)| Step::Get { key, at }),
        3 => (range(), any::<u8>(), any::<bool>())
            .prop_map(|(range, at, reverse)| Step::Scan { range, at, reverse }),
        1 => (range(), any::<u8>(), any::<bool>())
            .prop_map(|(range, at, reverse)| Step::LongScan { range, at, reverse }),
    ]
}

/// Few keys, so that they meet; some are beginnings of others, one is empty.
fn key(number: u8) -> String {
    let number = number % 48;
    match number % 4 {
        0 => "k".repeat(usize::from(number / 4)),
        1 => format!("row/{:02}", number / 4),
        2 => format!("row/{:02}/tail", number / 4),
        _ => format!("{}z", char::from(b'a' + number / 4)),
    }
}

struct Story<S> {
    env: Env,
    dir: PathBuf,
    /// Gone only while it is opened again.
    store: Option<S>,
    model: Model,
    revision: u64,
    floor: u64,
    scans: Vec<(Box<dyn RowIter>, Rows)>,
}

impl<S: Backend> Story<S> {
    fn new(env: Env, dir: PathBuf) -> Self {
        let mut story = Self {
            env,
            dir,
            store: None,
            model: Model::default(),
            revision: 0,
            floor: 0,
            scans: Vec::new(),
        };
        story.open();
        story
    }

    fn open(&mut self) {
        let store = S::open_in(&self.env, &self.dir, tiny(), BlockCache::new(1 << 20));
        self.store = Some(store.expect("the folder is sound"));
    }

    fn store(&self) -> &S {
        self.store.as_ref().expect("it is open between steps")
    }

    /// Some revision that may be read.
    fn at(&self, choice: u8) -> u64 {
        let oldest = self.floor.min(self.revision);
        oldest + u64::from(choice) % (self.revision - oldest + 2)
    }

    fn range((a, b): (u8, u8)) -> KeyRange {
        KeyRange {
            start: if a < 40 { Bytes::new() } else { key(a).into() },
            end: (b >= 40).then(|| key(b).into()),
        }
    }

    fn write(&mut self, writes: Vec<(u8, Option<u16>)>, deleted: &[KeyRange]) {
        self.revision += 1;
        let writes: Vec<RowWrite> = writes
            .into_iter()
            .map(|(number, len)| match len {
                None => delete(&key(number)),
                Some(len) => {
                    let mut write = put(&key(number), &"v".repeat(usize::from(len)));
                    let row = write.value.as_mut().expect("a put");
                    row.meta = RowMeta {
                        create_revision: Revision(self.revision - u64::from(len % 2)),
                        version: self.revision,
                        expires_at_ms: if len % 3 == 0 { NEVER_MS } else { len.into() },
                        kind: if len % 5 == 0 {
                            RowKind::Set
                        } else {
                            RowKind::Bytes
                        },
                    };
                    write
                }
            })
            .collect();
        self.store()
            .write(Revision(self.revision), &writes, deleted)
            .expect("the store runs");
        for range in deleted {
            self.model.delete_range(self.revision, range.clone());
        }
        self.model.write(self.revision, &writes);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(writes) => self.write(writes, &[]),
            Step::Delete { ranges, writes } => self.write(writes, &ranges.map(Self::range)),
            Step::Freeze => self.store().freeze(blob(self.revision)),
            Step::Flush => {
                self.store().flush().expect("the disk works");
            }
            Step::Compact { steps, floor } => {
                self.floor += u64::from(floor) % (self.revision.saturating_sub(self.floor) + 1);
                for _ in 0..steps {
                    self.store()
                        .compact_step(Revision(self.floor))
                        .expect("the disk works");
                }
            }
            Step::CompactL0 => {
                self.store().compact_l0();
            }
            Step::Reopen { ended } => {
                self.scans.clear();
                let before = self.store.take();
                if ended {
                    drop(before);
                } else {
                    // As a crash: nothing is dropped.
                    std::mem::forget(before);
                }
                self.open();
                self.revision = revision_of(self.store().checkpoint());
                self.model.cut(self.revision);
                self.assert_tidy();
            }
            Step::Get { key: number, at } => {
                let (key, at) = (key(number), self.at(at));
                let found = self.store().get(key.as_bytes(), Revision(at));
                let found = found.expect("nothing is damaged");
                assert_eq!(found, self.model.get(key.as_bytes(), at));
            }
            Step::Scan { range, at, reverse } => {
                let (range, at) = (Self::range(range), self.at(at));
                let found = scan(self.store(), range.clone(), at, reverse);
                let found = found.expect("nothing is damaged");
                assert_eq!(found, self.model.scan(&range, at, reverse));
            }
            Step::LongScan { range, at, reverse } => {
                let (range, at) = (Self::range(range), self.at(at));
                let mut expected = self.model.scan(&range, at, reverse);
                let mut rows = self
                    .store()
                    .scan(range, Revision(at), reverse)
                    .expect("nothing is damaged");
                for item in expected.drain(..expected.len().min(2)) {
                    let found = rows.next().expect("a row").expect("nothing is damaged");
                    assert_eq!(found, item);
                }
                self.scans.push((rows, expected));
            }
        }
    }

    /// The folder holds the tables of the levels and nothing else of the store.
    fn assert_tidy(&self) {
        let stats = self.store().stats();
        let tables: usize = stats.levels.iter().map(|level| level.tables).sum();
        let entries = self.env.vfs.list(&self.dir).expect("the folder is there");
        let files = entries.iter().filter(|entry| !entry.is_dir).count();
        assert_eq!(files, tables + stats.blob_files + 2, "{entries:?}");
    }

    fn end(mut self) {
        for (rows, expected) in self.scans.drain(..) {
            let found: crate::Result<Vec<_>> = rows.collect();
            assert_eq!(found.expect("nothing is damaged"), expected);
        }
        for at in self.floor.min(self.revision)..=self.revision {
            for reverse in [false, true] {
                let found = scan(self.store(), KeyRange::all(), at, reverse);
                let expected = self.model.scan(&KeyRange::all(), at, reverse);
                assert_eq!(found.expect("nothing is damaged"), expected, "at {at}");
            }
            for number in 0..48 {
                let key = key(number);
                let found = self.store().get(key.as_bytes(), Revision(at));
                let found = found.expect("nothing is damaged");
                assert_eq!(found, self.model.get(key.as_bytes(), at), "{key} at {at}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn any_story_reads_like_the_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut story = Story::<Lsm>::new(Env::memory(), dir());
        for step in steps {
            story.take(step);
        }
        story.end();
    }
}

#[cfg(feature = "sled")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_story_reads_like_the_model_from_a_temporary_sled(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut story = Story::<SledStore>::new(Env::memory(), dir());
        for step in steps {
            story.take(step);
        }
        story.end();
    }

    /// On a real disk sled's folder is taken up again after a clean end.
    #[test]
    fn any_story_reads_like_the_model_from_sled_on_a_disk(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut story = Story::<SledStore>::new(Env::os(), folder.path().join("store"));
        for step in steps {
            story.take(step);
        }
        story.end();
    }
}
