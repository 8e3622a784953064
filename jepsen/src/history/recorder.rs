//! A history in the making, shared by all clients.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Act, Answer, History, Op, Phase};

/// A history in the making, shared by all clients.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    recorded: Mutex<Recorded>,
    /// How many writes were acknowledged.
    acknowledged: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Recorded {
    ops: Vec<Op>,
    /// By process: its open operation.
    open: BTreeMap<u64, Open>,
    /// When each acknowledged write began, in the order of the acknowledgements.
    writes_invoked_us: Vec<u64>,
}

/// An operation that has begun.
#[derive(Debug)]
struct Open {
    invoked_us: u64,
    act: Act,
    request: Option<String>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            recorded: Mutex::default(),
            acknowledged: watch::Sender::new(0),
        }
    }
}

impl Recorder {
    /// Microseconds since the history began.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// An operation begins.
    pub fn invoke(&self, process: u64, act: Act) {
        self.begin(process, act, None);
    }

    /// An operation begins that the client sends under a name, perhaps not for the first time.
    pub fn invoke_request(&self, process: u64, act: Act, request: impl Into<String>) {
        self.begin(process, act, Some(request.into()));
    }

    /// The open operation of a process ends: it happened.
    pub fn ok(&self, process: u64, answer: Answer) {
        self.complete(process, Phase::Ok, Some(answer), None);
    }

    /// The open operation of a process ends: it did not happen.
    pub fn fail(&self, process: u64, error: impl Into<String>) {
        self.complete(process, Phase::Fail, None, Some(error.into()));
    }

    /// The open operation of a process ends: nobody knows.
    pub fn info(&self, process: u64, error: impl Into<String>) {
        self.complete(process, Phase::Info, None, Some(error.into()));
    }

    /// Waits until so many writes that began at `since_us` or later are acknowledged; false if
    /// that takes longer than `patience`.
    pub async fn wait_for_writes(&self, since_us: u64, count: usize, patience: Duration) -> bool {
        let mut acknowledged = self.acknowledged.subscribe();
        let counted = async {
            let (mut seen, mut found) = (0, 0);
            loop {
                acknowledged.borrow_and_update();
                {
                    let recorded = self.recorded.lock();
                    let fresh = recorded.writes_invoked_us.get(seen..).unwrap_or_default();
                    found += fresh.iter().filter(|began| **began >= since_us).count();
                    seen += fresh.len();
                }
                if found >= count || acknowledged.changed().await.is_err() {
                    return found >= count;
                }
            }
        };
        tokio::time::timeout(patience, counted)
            .await
            .unwrap_or(false)
    }

    /// What was recorded after the first `count` lines.
    pub fn since(&self, count: usize) -> Vec<Op> {
        let recorded = self.recorded.lock();
        recorded.ops.get(count..).unwrap_or_default().to_vec()
    }

    /// The history until now.
    pub fn history(&self) -> History {
        History {
            ops: self.recorded.lock().ops.clone(),
        }
    }

    fn begin(&self, process: u64, act: Act, request: Option<String>) {
        let mut recorded = self.recorded.lock();
        // Under the lock, so that times never go back along the list.
        let time_us = self.now_us();
        let open = Open {
            invoked_us: time_us,
            act: act.clone(),
            request: request.clone(),
        };
        let before = recorded.open.insert(process, open);
        assert!(
            before.is_none(),
            "process {process} has an open operation already"
        );
        recorded.ops.push(Op {
            process,
            time_us,
            phase: Phase::Invoke,
            act,
            request,
            answer: None,
            error: None,
        });
    }

    fn complete(&self, process: u64, phase: Phase, answer: Option<Answer>, error: Option<String>) {
        let mut recorded = self.recorded.lock();
        let time_us = self.now_us();
        let Open {
            invoked_us,
            act,
            request,
        } = recorded
            .open
            .remove(&process)
            .expect("an operation ends only after it began");
        let acknowledged = phase == Phase::Ok && act.is_write();
        if acknowledged {
            recorded.writes_invoked_us.push(invoked_us);
        }
        recorded.ops.push(Op {
            process,
            time_us,
            phase,
            act,
            request,
            answer,
            error,
        });
        drop(recorded);
        if acknowledged {
            self.acknowledged.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str) -> Act {
        Act::Put {
            key: key.to_owned(),
            value: "1".to_owned(),
        }
    }

    #[tokio::test]
    async fn waiting_counts_only_writes_that_began_late_enough() {
        let recorder = Recorder::default();
        recorder.invoke(1, put("a"));
        while recorder.now_us() == 0 {
            tokio::task::yield_now().await;
        }
        let since = recorder.now_us() + 1;
        recorder.ok(1, Answer::default());
        let patience = Duration::from_millis(5);
        assert!(recorder.wait_for_writes(0, 1, patience).await);
        assert!(!recorder.wait_for_writes(since, 1, patience).await);
        while recorder.now_us() < since {
            tokio::task::yield_now().await;
        }
        let (waited, ()) = tokio::join!(
            recorder.wait_for_writes(since, 1, Duration::from_secs(5)),
            async {
                recorder.invoke(1, put("b"));
                recorder.ok(1, Answer::default());
            }
        );
        assert!(waited);
    }
}
