//! What tasks of a group want to know of its state without waiting for an apply.
//!
//! A replica's own questions take its writer's lock, and an apply may hold that for a flush.
//! So the state machine notes here, after each entry, the few figures that others watch.

use std::sync::atomic::{AtomicU64, Ordering};

use engine::ids::{LogId, LogIndex};
use engine::replica::Replica;
use tokio::sync::watch;

/// The applied state's figures; written by the state machine alone.
#[derive(Debug)]
pub(crate) struct View {
    applied: watch::Sender<Option<LogId>>,
    now_ms: AtomicU64,
    /// `u64::MAX` means never.
    due_ms: AtomicU64,
}

impl View {
    pub(crate) fn new(replica: &Replica) -> Self {
        let view = Self {
            applied: watch::Sender::new(None),
            now_ms: AtomicU64::new(0),
            due_ms: AtomicU64::new(u64::MAX),
        };
        view.note(replica);
        view
    }

    /// Takes note of the state after an entry or an installed checkpoint.
    pub(crate) fn note(&self, replica: &Replica) {
        self.now_ms.store(replica.now_ms(), Ordering::Relaxed);
        let due_ms = replica.next_due_ms().unwrap_or(u64::MAX);
        self.due_ms.store(due_ms, Ordering::Relaxed);
        self.applied.send_replace(replica.applied());
    }

    /// The last applied entry.
    pub(crate) fn applied(&self) -> Option<LogId> {
        *self.applied.borrow()
    }

    /// The latest time in an entry.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// When a tick will have something to do.
    pub(crate) fn due_ms(&self) -> u64 {
        self.due_ms.load(Ordering::Relaxed)
    }

    /// Waits until the entry at `index` is applied; `false` if the group stops before.
    pub(crate) async fn wait_applied(&self, index: LogIndex) -> bool {
        let mut applied = self.applied.subscribe();
        applied
            .wait_for(|applied| applied.map_or(LogIndex(0), |id| id.index) >= index)
            .await
            .is_ok()
    }
}
