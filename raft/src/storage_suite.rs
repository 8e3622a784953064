//! openraft's own suite of storage tests, run over our log store and state machine.
//!
//! The suite writes and applies entries with holes before the first one, which no cluster does
//! and our log and replica refuse. So two thin wrappers fill such holes with blank entries.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;

use engine::command::Payload;
use engine::env::Env;
use engine::ids::{ClusterId, GroupId, LogIndex};
use engine::replica::{Replica, Shared};
use engine::segment::{Log, LogEntry, Write};
use engine::{Options, ValidOptions};
use futures::{Stream, StreamExt};
use openraft::storage::{
    EntryResponder, IOFlushed, LogState, RaftLogReader, RaftLogStorage, RaftStateMachine,
};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{OptionalSend, StorageError};
use tokio::sync::watch;

use crate::log_store::LogStore;
use crate::snapshot::{Builder, SnapshotData};
use crate::state_machine::{StateMachine, Synced};
use crate::types::{
    Entry, RaftLogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig, Vote, engine_log_id,
};
use crate::view::View;

const GROUP: GroupId = GroupId(0);

/// The log, its holes filled.
struct SuiteLog {
    log: Log,
    store: LogStore,
}

/// The state, its holes filled, and without waiting for a log that the suite does not write.
struct SuiteMachine {
    machine: StateMachine,
    _senders: (watch::Sender<()>, watch::Sender<()>),
}

impl RaftLogReader<TypeConfig> for SuiteLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        self.store.try_get_log_entries(range).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        self.store.read_vote().await
    }
}

impl RaftLogStorage<TypeConfig> for SuiteLog {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        self.store.get_log_state().await
    }

    async fn get_log_reader(&mut self) -> LogStore {
        self.store.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.store.save_vote(vote).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut log_id = engine_log_id(entries.first().expect("the suite writes entries").log_id);
        let first = log_id.index.0;
        let last = self.log.group(GROUP).last;
        for index in last.map_or(0, |last| last.index.0) + 1..first {
            log_id.index = LogIndex(index);
            let body = Payload::Blank.encode();
            let filler = vec![Write::Entry(LogEntry { log_id, body })];
            self.log
                .append_wait(GROUP, filler)
                .map_err(io::Error::other)?;
        }
        self.store.append(entries, callback).await
    }

    async fn truncate_after(&mut self, last: Option<RaftLogId>) -> io::Result<()> {
        self.store.truncate_after(last).await
    }

    async fn purge(&mut self, upto: RaftLogId) -> io::Result<()> {
        self.store.purge(upto).await
    }
}

impl RaftStateMachine<TypeConfig> for SuiteMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<RaftLogId>, StoredMembership)> {
        self.machine.applied_state().await
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let replica = self.machine.replica.clone();
        let filled = entries.inspect(move |item| {
            let Ok((entry, _)) = item else { return };
            let mut log_id = engine_log_id(entry.log_id);
            let until = log_id.index.0;
            let applied = replica.applied().map_or(0, |applied| applied.index.0);
            for index in applied + 1..until {
                log_id.index = LogIndex(index);
                replica
                    .apply(log_id, &Payload::Blank)
                    .expect("a blank entry can be applied");
            }
        });
        self.machine.apply(filled).await
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        self.machine.try_create_snapshot_builder(force).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        self.machine.get_snapshot_builder().await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        data: SnapshotData,
    ) -> io::Result<()> {
        self.machine.install_snapshot(meta, data).await
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.machine.get_current_snapshot().await
    }
}

struct Stores;

impl StoreBuilder<TypeConfig, SuiteLog, SuiteMachine, ()> for Stores {
    async fn build(&self) -> Result<((), SuiteLog, SuiteMachine), StorageError<TypeConfig>> {
        let env = Env::memory();
        let options = options();
        let log = Log::open(&env, Path::new("/node/log"), ClusterId(1), options.log())
            .expect("an empty log opens");
        let shared = Shared::new(env, options);
        let replica = Replica::open(&shared, GROUP, Path::new("/node/group-0"), None)
            .expect("an empty replica opens");
        let (ready, ready_changed) = watch::channel(());
        let (synced, synced_changed) = watch::channel(());
        let machine = StateMachine {
            view: Arc::new(View::new(&replica)),
            replica,
            synced: Synced {
                upto: Box::new(|| LogIndex(u64::MAX)),
                changed: synced_changed,
            },
            ready: ready_changed,
            boots: Arc::default(),
        };
        let store = LogStore::new(log.clone(), GROUP);
        let machine = SuiteMachine {
            machine,
            _senders: (ready, synced),
        };
        Ok(((), SuiteLog { log, store }, machine))
    }
}

fn options() -> ValidOptions {
    let options = Options {
        log_segment_bytes: 32 * 1024 * 1024,
        ..Options::default()
    };
    options.validate().expect("smaller segments are valid")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_storage_suite_of_openraft_passes() {
    Suite::test_all(Stores).await.expect("the suite");
}
