//! One scrub at work: its pace, what it has found, and what follows.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::Damage;
use engine::ids::GroupId;
use engine::scrub::Overseer;
use parking_lot::Mutex;

use super::{ScrubState, Scrubs, Told};
use crate::boot;
use crate::error::Error;
use crate::node::Inner;

/// How long a pause may last before the run looks whether it is to end.
const SLICE: Duration = Duration::from_millis(50);

/// How many bytes are read before followers are told.
const TELL_BYTES: u64 = 1 << 20;

/// See the module.
pub(super) struct Run {
    node: Arc<Inner>,
    bytes_per_second: u64,
    told: Arc<Told>,
    at_work: Mutex<AtWork>,
}

#[derive(Debug, Default)]
struct AtWork {
    /// Why it is to end.
    end: Option<&'static str>,
    /// When the next read may begin, on the clock that never goes back.
    next_read: Duration,
    untold_bytes: u64,
    /// What is being read: the log, or a group's state.
    part: Option<GroupId>,
    finds: Vec<(Option<GroupId>, Damage)>,
}

/// About how many bytes a scrub of a node will read.
fn total_bytes(node: &Inner) -> u64 {
    let groups = node.groups().values();
    let states: u64 = groups.map(|group| group.replica.scrub_bytes()).sum();
    node.log.scrub_bytes() + states
}

impl Run {
    pub(super) fn new(node: Arc<Inner>, bytes_per_second: u64, told: Arc<Told>) -> Self {
        Self {
            node,
            bytes_per_second,
            told,
            at_work: Mutex::default(),
        }
    }

    /// It reads no further; the first reason counts.
    pub(super) fn end(&self, why: &'static str) {
        self.at_work.lock().end.get_or_insert(why);
    }

    /// Reads everything, then does what follows from the finds. On a thread for long work.
    pub(super) fn work(self: &Arc<Self>) {
        let total_bytes = total_bytes(&self.node);
        self.told
            .send_modify(|status| status.total_bytes = total_bytes);
        let looked = self.look();
        let (finds, untold_bytes) = {
            let mut at_work = self.at_work.lock();
            (std::mem::take(&mut at_work.finds), at_work.untold_bytes)
        };
        let now_ms = self.node.shared.env.clock.wall_ms();
        let state = match looked {
            Ok(()) => ScrubState::Finished,
            Err(error) => ScrubState::Ended(match self.at_work.lock().end {
                Some(why) => why.to_owned(),
                None => error.to_string(),
            }),
        };
        let scrubs = &self.node.scrubs;
        let is_finished = state == ScrubState::Finished;
        self.told.send_if_modified(|status| {
            status.errors_total += finds.len() as u64;
            status.read_bytes += untold_bytes;
            if is_finished {
                status.finished_ms = Some(now_ms);
            }
            false
        });
        if is_finished {
            scrubs.remember(now_ms);
        } else if !finds.is_empty() {
            // The interval goes on.
            let (_, finished_ms) = scrubs.counters();
            let from_ms = finished_ms.or(scrubs.counted_from_ms);
            scrubs.remember(from_ms.unwrap_or(now_ms));
        }
        // Whoever asks from now on begins another.
        scrubs.running.lock().take();
        // Told before a replica stops, for the node ends then.
        self.told.send_modify(|status| status.state = state);
        self.follow(&finds);
    }

    /// The log first: it cannot be had again, and the sooner is known the better.
    fn look(self: &Arc<Self>) -> engine::Result<()> {
        let overseer: Arc<dyn Overseer> = Arc::clone(self) as _;
        self.node.log.scrub(&self.node.shared.env.vfs, &overseer)?;
        self.look_at_identity();
        for group in self.node.groups().values() {
            self.at_work.lock().part = Some(group.id);
            group.replica.scrub(&overseer)?;
        }
        Ok(())
    }

    fn look_at_identity(&self) {
        let Scrubs { env, dir, .. } = &self.node.scrubs;
        if let Err(Error::Engine(error)) = boot::check(env.vfs.as_ref(), dir) {
            let unread = || Damage {
                path: dir.clone(),
                offset: 0,
                what: error.to_string(),
            };
            self.found(&error.damage().cloned().unwrap_or_else(unread));
        }
    }

    fn follow(&self, finds: &[(Option<GroupId>, Damage)]) {
        for (part, damage) in finds {
            let Damage { path, offset, what } = damage;
            let file = path.display();
            let Some(group) = part.and_then(|part| self.node.groups().get(&part)) else {
                tracing::error!(
                    %file, offset, what,
                    "a scrub found damage in what no peer can give back: replace the node before \
                     it is stopped, for it will not start again"
                );
                continue;
            };
            tracing::error!(%file, offset, what, group = group.id.0, "a scrub found damage");
            group.replica.stop_for(damage);
        }
    }

    /// Waits for its turn; `false` once it is to end.
    fn wait(&self, bytes: u64) -> bool {
        let clock = &self.node.shared.env.clock;
        let begin = {
            let mut at_work = self.at_work.lock();
            let begin = at_work.next_read.max(clock.monotonic());
            let nanos = u128::from(bytes) * 1_000_000_000;
            let takes = nanos.checked_div(u128::from(self.bytes_per_second));
            let takes = u64::try_from(takes.unwrap_or(0)).unwrap_or(u64::MAX);
            at_work.next_read = begin.saturating_add(Duration::from_nanos(takes));
            begin
        };
        // In simulated time nobody waits on a thread.
        let patient = !self.node.shared.env.workers.is_threadless();
        loop {
            if *self.node.stopping().borrow() {
                self.end("the node stops");
            }
            if self.at_work.lock().end.is_some() {
                return false;
            }
            let left = begin.saturating_sub(clock.monotonic());
            if left.is_zero() || !patient {
                return true;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

impl Overseer for Run {
    fn may_read(&self, path: &Path, bytes: u64) -> bool {
        if !self.wait(bytes) {
            return false;
        }
        let untold_bytes = {
            let mut at_work = self.at_work.lock();
            at_work.untold_bytes += bytes;
            if at_work.untold_bytes >= TELL_BYTES {
                std::mem::take(&mut at_work.untold_bytes)
            } else {
                0
            }
        };
        self.told.send_if_modified(|status| {
            let is_other = status.file != path;
            if is_other {
                path.clone_into(&mut status.file);
            }
            status.read_bytes += untold_bytes;
            is_other || untold_bytes > 0
        });
        true
    }

    fn found(&self, damage: &Damage) {
        let mut at_work = self.at_work.lock();
        let part = at_work.part;
        at_work.finds.push((part, damage.clone()));
        drop(at_work);
        self.told
            .send_modify(|status| status.finds.push(damage.clone()));
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("at_work", &self.at_work)
            .finish_non_exhaustive()
    }
}
