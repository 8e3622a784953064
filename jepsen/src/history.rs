//! What clients asked for and what they were told, in the order of time.
//!
//! ```text
//! {"process":3,"time_us":1042,"phase":"invoke","function":"put","key":"own-3-1","value":"3-17"}
//! {"process":3,"time_us":2117,"phase":"ok","function":"put","key":"own-3-1","value":"3-17","revision":88,"version":4}
//! ```
//!
//! # Invariants
//! - Times never go back along the list.
//! - A process has at most one open operation.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Who: a client until its first `info`, then a new number.
    pub process: u64,
    /// When, since the history began, in microseconds.
    pub time_us: u64,
    /// Where in its life the operation is.
    pub phase: Phase,
    /// What was asked for.
    #[serde(flatten)]
    pub act: Act,
    /// What was answered; only with `ok`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why there is no answer; only with `fail` and `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Where in its life an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen and never will.
    Fail,
    /// Nobody knows.
    Info,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case")]
pub enum Act {
    /// Writes a row that only this process writes.
    Put {
        /// The row.
        key: String,
        /// Unique for the key.
        value: String,
    },
    /// Replaces a shared row's value, if it is still the expected one.
    Cas {
        /// The row.
        key: String,
        /// `None` if the row must be absent.
        expected: Option<String>,
        /// Unique for the key.
        value: String,
    },
    /// Reads a shared row, linearizably.
    Read {
        /// The row.
        key: String,
    },
    /// Appends a message.
    Produce {
        /// Its key, which only this process uses.
        key: String,
        /// Grows by one with each message of the key.
        sequence: u64,
    },
    /// Writes a row and appends a message in one commit.
    Commit {
        /// The row, written once.
        row: String,
        /// The message's key.
        key: String,
        /// The message's sequence; the row's value too.
        sequence: u64,
    },
}

impl Act {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self, Self::Read { .. })
    }

    /// The message that it appends: key and sequence.
    pub fn message(&self) -> Option<(&str, u64)> {
        match self {
            Self::Produce { key, sequence } | Self::Commit { key, sequence, .. } => {
                Some((key, *sequence))
            }
            Self::Put { .. } | Self::Cas { .. } | Self::Read { .. } => None,
        }
    }
}

/// What a successful operation was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The commit's revision, or the one that was read.
    pub revision: u64,
    /// Of a written row: how often it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// Of a read: the value; `None` if the row is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    /// Of a message: where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The partition.
    pub partition: u32,
    /// The offset there.
    pub offset: u64,
}

/// An operation from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who.
    pub process: u64,
    /// What.
    pub act: Act,
    /// When it began.
    pub invoked_us: u64,
    /// How it ended.
    pub end: End,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It happened.
    Ok {
        /// When its client knew.
        completed_us: u64,
        /// What its client was told.
        answer: Answer,
    },
    /// It did not happen.
    Fail,
    /// Nobody knows; it may happen at any later time.
    Unknown,
}

impl Call {
    /// When it was acknowledged, if it was.
    pub fn acknowledged_us(&self) -> Option<u64> {
        match self.end {
            End::Ok { completed_us, .. } => Some(completed_us),
            End::Fail | End::Unknown => None,
        }
    }

    /// The answer, if there was one.
    pub fn answer(&self) -> Option<&Answer> {
        match &self.end {
            End::Ok { answer, .. } => Some(answer),
            End::Fail | End::Unknown => None,
        }
    }
}

/// A finished history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// In the order of time.
    pub ops: Vec<Op>,
}

impl History {
    /// Pairs beginnings and ends, in the order of the beginnings.
    pub fn calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = Vec::with_capacity(self.ops.len() / 2);
        let mut open: BTreeMap<u64, usize> = BTreeMap::new();
        for op in &self.ops {
            if op.phase == Phase::Invoke {
                open.insert(op.process, calls.len());
                calls.push(Call {
                    process: op.process,
                    act: op.act.clone(),
                    invoked_us: op.time_us,
                    end: End::Unknown,
                });
                continue;
            }
            let Some(call) = open
                .remove(&op.process)
                .and_then(|index| calls.get_mut(index))
            else {
                continue;
            };
            call.end = match op.phase {
                Phase::Ok => End::Ok {
                    completed_us: op.time_us,
                    answer: op.answer.clone().unwrap_or_default(),
                },
                Phase::Fail => End::Fail,
                Phase::Info | Phase::Invoke => End::Unknown,
            };
        }
        calls
    }

    /// Writes one JSON object a line.
    pub fn write_jsonl(&self, mut to: impl Write) -> io::Result<()> {
        for op in &self.ops {
            serde_json::to_writer(&mut to, op)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }

    /// Reads what [`write_jsonl`](Self::write_jsonl) wrote.
    pub fn read_jsonl(text: &str) -> serde_json::Result<Self> {
        let ops = text
            .lines()
            .filter(|line| !line.is_empty())
            .map(serde_json::from_str)
            .collect::<serde_json::Result<_>>()?;
        Ok(Self { ops })
    }
}

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
    /// By process: when its open operation began, and which it is.
    open: BTreeMap<u64, (u64, Act)>,
    /// When each acknowledged write began, in the order of the acknowledgements.
    writes_invoked_us: Vec<u64>,
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
        let mut recorded = self.recorded.lock();
        // Under the lock, so that times never go back along the list.
        let time_us = self.now_us();
        let before = recorded.open.insert(process, (time_us, act.clone()));
        assert!(
            before.is_none(),
            "process {process} has an open operation already"
        );
        recorded.ops.push(Op {
            process,
            time_us,
            phase: Phase::Invoke,
            act,
            answer: None,
            error: None,
        });
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

    /// The history until now.
    pub fn history(&self) -> History {
        History {
            ops: self.recorded.lock().ops.clone(),
        }
    }

    fn complete(&self, process: u64, phase: Phase, answer: Option<Answer>, error: Option<String>) {
        let mut recorded = self.recorded.lock();
        let time_us = self.now_us();
        let (invoked_us, act) = recorded
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

    #[test]
    fn ends_meet_the_beginnings_of_their_process() {
        let recorder = Recorder::default();
        recorder.invoke(1, put("a"));
        recorder.invoke(2, put("b"));
        recorder.invoke(3, put("c"));
        recorder.fail(2, "refused");
        recorder.ok(
            1,
            Answer {
                revision: 7,
                ..Answer::default()
            },
        );
        let calls = recorder.history().calls();
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[0].answer().map(|answer| answer.revision), Some(7));
        assert_eq!(calls[1].end, End::Fail);
        assert_eq!(calls[2].end, End::Unknown, "never answered");
    }

    #[test]
    fn a_history_survives_as_lines_of_json() {
        let recorder = Recorder::default();
        recorder.invoke(
            1,
            Act::Cas {
                key: "r".to_owned(),
                expected: None,
                value: "x".to_owned(),
            },
        );
        recorder.info(1, "no answer");
        recorder.invoke(
            2,
            Act::Produce {
                key: "k".to_owned(),
                sequence: 4,
            },
        );
        recorder.ok(
            2,
            Answer {
                revision: 9,
                place: Some(Place {
                    partition: 1,
                    offset: 3,
                }),
                ..Answer::default()
            },
        );
        let history = recorder.history();
        let mut text = Vec::new();
        history.write_jsonl(&mut text).expect("memory takes it");
        let text = String::from_utf8(text).expect("JSON is text");
        assert_eq!(text.lines().count(), 4);
        assert!(text.contains(r#""function":"produce""#), "{text}");
        assert_eq!(
            History::read_jsonl(&text).expect("it was just written"),
            history
        );
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
