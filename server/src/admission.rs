//! Who may come in: bounds on what one node works at, and on how long a request may take.
//!
//! Too much work is refused at once (`OVERLOADED`), so that what was let in is answered in time.
//! A fetch that waits for messages does no work: it counts against a bound of its own. So does a
//! stream of pages, which holds some of them while its reader takes its time.
//!
//! # Invariants
//! - Requests at work `<= requests_max`, their bytes `<= bytes_max`, waiting fetches `<= waits_max`,
//!   streams of pages `<= scans_max`.
//! - Every request has a deadline: the caller's `grpc-timeout`, or [`DEADLINE_DEFAULT`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use crate::error::Error;

/// A request's time if the caller names none.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

/// The longest time that a caller may name: a forgotten request ends some day.
const DEADLINE_MAX: Duration = Duration::from_mins(10);

/// The transport cuts a request off at its deadline, without details. We are a little earlier.
const ANSWER_MARGIN_MAX: Duration = Duration::from_millis(20);

/// How much one node works at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Most requests at work, counting those inside of streams.
    pub requests_max: usize,
    /// Most bytes of requests at work.
    pub bytes_max: u32,
    /// Most fetches that wait for messages, and watches.
    pub waits_max: usize,
    /// How long a watcher may take no message before it is cut off.
    pub stalled_max: Duration,
    /// Most streams of pages. Each holds up to three pages, which are 1 MiB as a rule and 3 MiB at
    /// the most.
    pub scans_max: usize,
}

impl Default for AdmissionLimits {
    /// Enough for thousands of clients, and little beside the caches.
    fn default() -> Self {
        Self {
            requests_max: 65_536,
            bytes_max: 256 * 1024 * 1024,
            waits_max: 65_536,
            stalled_max: Duration::from_secs(30),
            scans_max: 64,
        }
    }
}

/// The doorkeeper of a node.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    requests: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    waits: Arc<Semaphore>,
    stalled_max: Duration,
    scans: Arc<Semaphore>,
}

/// A request is at work until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _request: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Admission {
    /// An open door.
    pub(crate) fn new(limits: AdmissionLimits) -> Self {
        // A u32 of bytes always fits: semaphores count in usize.
        let bytes = usize::try_from(limits.bytes_max).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))),
            waits: Arc::new(Semaphore::new(limits.waits_max)),
            stalled_max: limits.stalled_max,
            scans: Arc::new(Semaphore::new(limits.scans_max)),
        }
    }

    /// Lets a request of `bytes` in, or refuses it at once.
    pub(crate) fn enter(&self, bytes: usize) -> Result<Permit, Error> {
        let overloaded = |_| Error::Overloaded("requests at work");
        let bytes =
            u32::try_from(bytes).map_err(|_| Error::Overloaded("bytes of requests at work"))?;
        Ok(Permit {
            _request: Arc::clone(&self.requests)
                .try_acquire_owned()
                .map_err(overloaded)?,
            _bytes: Arc::clone(&self.bytes)
                .try_acquire_many_owned(bytes)
                .map_err(|_| Error::Overloaded("bytes of requests at work"))?,
        })
    }

    /// How long a watcher may take no message.
    pub(crate) fn stalled_max(&self) -> Duration {
        self.stalled_max
    }

    /// Lets a fetch wait, or refuses it at once.
    pub(crate) fn wait(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.waits)
            .try_acquire_owned()
            .map_err(|_| Error::Overloaded("waiting fetches and watches"))
    }

    /// Lets a stream of pages begin, or refuses it at once.
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.scans)
            .try_acquire_owned()
            .map_err(|_| Error::Overloaded("streams of pages"))
    }
}

/// When a request that arrives now must be answered.
pub(crate) fn deadline(metadata: &MetadataMap) -> Instant {
    let time = match named(metadata) {
        Some(time) => time.saturating_sub(ANSWER_MARGIN_MAX.min(time / 8)),
        None => DEADLINE_DEFAULT,
    };
    Instant::now() + time.min(DEADLINE_MAX)
}

/// Whether the caller says how long it waits.
pub(crate) fn names_deadline(metadata: &MetadataMap) -> bool {
    named(metadata).is_some()
}

fn named(metadata: &MetadataMap) -> Option<Duration> {
    metadata
        .get("grpc-timeout")
        .and_then(|value| value.to_str().ok())
        .and_then(timeout)
}

/// Reads gRPC's own notation: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        let table = [
            ("5S", Some(Duration::from_secs(5))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_hours(99_999_999))),
            ("7u", Some(Duration::from_micros(7))),
            ("7n", Some(Duration::from_nanos(7))),
            ("2M", Some(Duration::from_mins(2))),
            ("", None),
            ("S", None),
            ("123456789S", None),
            ("-1S", None),
            ("5s", None),
            ("5ü", None),
        ];
        for (text, expected) in table {
            assert_eq!(timeout(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_full_node_refuses_and_a_finished_request_makes_room() {
        let admission = Admission::new(AdmissionLimits {
            requests_max: 2,
            bytes_max: 100,
            waits_max: 1,
            scans_max: 0,
            ..AdmissionLimits::default()
        });
        let first = admission.enter(60).expect("room for the first");
        assert!(matches!(admission.enter(60), Err(Error::Overloaded(_))));
        let second = admission.enter(40).expect("room for the second");
        assert!(matches!(admission.enter(0), Err(Error::Overloaded(_))));
        drop(first);
        admission.enter(60).expect("room again");
        drop(second);

        let waiting = admission.wait().expect("one may wait");
        assert!(matches!(admission.wait(), Err(Error::Overloaded(_))));
        drop(waiting);
        let _again = admission.wait().expect("one may wait again");
        assert!(matches!(admission.stream(), Err(Error::Overloaded(_))));
    }
}
