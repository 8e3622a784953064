//! Exactly-once: one session, one number for each request, one low-water mark.
//!
//! A request that carries (session, number) is done once, however often it is sent: the cluster
//! remembers the outcome until we say, by `acked_below`, that we hold it.
//!
//! # Invariants
//! - A number is never given to a second request.
//! - `acked_below` never exceeds a number whose caller still waits, and never falls.
//! - Fewer than [`WINDOW`] numbers lie between `acked_below` and the next one, so the cluster's
//!   own bound on remembered outcomes is never met.

use std::collections::BTreeSet;
use std::sync::Arc;

use engine_proto::v1::RequestId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error::Result;

/// Most numbers above the low-water mark; the cluster remembers 1024 outcomes.
const WINDOW: u64 = 1_000;

/// The client's session; opened on first use.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    shared: Arc<Shared>,
    /// One opening at a time.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Shared {
    current: Mutex<Option<Session>>,
    settled: Notify,
}

#[derive(Debug)]
struct Session {
    id: u64,
    numbers: Numbers,
}

impl Sessions {
    /// A number for one request. Waits while too many are open; `open` asks the cluster for a
    /// session if there is none.
    pub(crate) async fn ticket<F>(&self, open: impl Fn() -> F) -> Result<Ticket>
    where
        F: Future<Output = Result<u64>>,
    {
        loop {
            // Registered before the look, so that no settling between the two is missed.
            let settled = self.shared.settled.notified();
            match self.shared.take() {
                Taken::Ticket(ticket) => return Ok(ticket),
                Taken::Full => settled.await,
                Taken::NoSession => {
                    let _one_at_a_time = self.opening.lock().await;
                    if self.shared.current.lock().is_none() {
                        let id = open().await?;
                        *self.shared.current.lock() = Some(Session {
                            id,
                            numbers: Numbers::default(),
                        });
                    }
                }
            }
        }
    }

    /// Forgets the session `id`, which the cluster has forgotten; a newer one stays.
    pub(crate) fn forget(&self, id: u64) {
        let mut current = self.shared.current.lock();
        if current.as_ref().is_some_and(|session| session.id == id) {
            *current = None;
        }
        drop(current);
        self.shared.settled.notify_waiters();
    }

    /// Takes the session away, for closing.
    pub(crate) fn take(&self) -> Option<u64> {
        let taken = self.shared.current.lock().take().map(|session| session.id);
        self.shared.settled.notify_waiters();
        taken
    }
}

enum Taken {
    Ticket(Ticket),
    Full,
    NoSession,
}

impl Shared {
    fn take(self: &Arc<Self>) -> Taken {
        let mut current = self.current.lock();
        let Some(session) = current.as_mut() else {
            return Taken::NoSession;
        };
        match session.numbers.take() {
            Some(number) => Taken::Ticket(Ticket {
                shared: Arc::clone(self),
                session: session.id,
                number,
            }),
            None => Taken::Full,
        }
    }
}

/// One request's number. Dropping it tells that the request will not be sent again.
#[derive(Debug)]
pub(crate) struct Ticket {
    shared: Arc<Shared>,
    session: u64,
    number: u64,
}

impl Ticket {
    /// What a try carries. The low-water mark is as of now, the rest never changes.
    pub(crate) fn request_id(&self) -> RequestId {
        let current = self.shared.current.lock();
        let acked_below = current
            .as_ref()
            .filter(|session| session.id == self.session)
            .map_or(0, |session| session.numbers.acked_below());
        RequestId {
            session: self.session,
            number: self.number,
            acked_below,
        }
    }

    pub(crate) fn session(&self) -> u64 {
        self.session
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut current = self.shared.current.lock();
        if let Some(session) = current
            .as_mut()
            .filter(|current| current.id == self.session)
        {
            session.numbers.settle(self.number);
        }
        drop(current);
        self.shared.settled.notify_waiters();
    }
}

/// Numbers from 1, and which of them are still open.
#[derive(Debug)]
struct Numbers {
    next: u64,
    open: BTreeSet<u64>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            next: 1,
            open: BTreeSet::new(),
        }
    }
}

impl Numbers {
    /// The next number, unless the window is full.
    fn take(&mut self) -> Option<u64> {
        if self.next - self.acked_below() >= WINDOW {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(number);
        Some(number)
    }

    fn settle(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// All numbers below this one are settled.
    fn acked_below(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn the_low_water_mark_waits_for_the_oldest_open_number() {
        let mut numbers = Numbers::default();
        let taken: Vec<u64> = (0..4).filter_map(|_| numbers.take()).collect();
        assert_eq!(taken, [1, 2, 3, 4]);
        assert_eq!(numbers.acked_below(), 1);
        numbers.settle(3);
        numbers.settle(2);
        assert_eq!(numbers.acked_below(), 1, "1 is still open");
        numbers.settle(1);
        assert_eq!(numbers.acked_below(), 4);
        numbers.settle(4);
        assert_eq!(numbers.acked_below(), 5, "nothing is open");
    }

    #[test]
    fn the_window_bounds_how_far_numbers_run_ahead() {
        let mut numbers = Numbers::default();
        while numbers.take().is_some() {}
        assert_eq!(numbers.next - numbers.acked_below(), WINDOW);
        numbers.settle(2);
        assert_eq!(numbers.take(), None, "1 holds the window");
        numbers.settle(1);
        assert!(numbers.take().is_some());
    }

    #[tokio::test]
    async fn one_session_is_opened_and_a_forgotten_one_is_replaced() {
        let sessions = Sessions::default();
        let opened = AtomicU64::new(0);
        let open = || async { Ok(opened.fetch_add(1, Ordering::Relaxed) + 1) };
        let first = sessions.ticket(open).await.expect("opens");
        let second = sessions.ticket(open).await.expect("is open");
        assert_eq!((first.session(), second.session()), (1, 1));
        assert_eq!(second.request_id().number, 2);
        assert_eq!(second.request_id().acked_below, 1);
        drop(first);
        assert_eq!(second.request_id().acked_below, 2);

        sessions.forget(1);
        let third = sessions.ticket(open).await.expect("opens again");
        assert_eq!((third.session(), third.request_id().number), (2, 1));
        sessions.forget(1);
        assert_eq!(sessions.take(), Some(2), "a late word on 1 leaves 2 alone");
        // A ticket of a forgotten session must not settle numbers of the new one.
        drop(second);
    }

    #[tokio::test]
    async fn a_full_window_waits_for_a_settled_number() {
        let sessions = Sessions::default();
        let open = || async { Ok(7) };
        let mut tickets = Vec::new();
        for _ in 0..WINDOW {
            tickets.push(sessions.ticket(open).await.expect("room"));
        }
        let waiting = sessions.ticket(open);
        tokio::pin!(waiting);
        assert!(
            futures::poll!(&mut waiting).is_pending(),
            "the window is full"
        );
        tickets.clear();
        let ticket = waiting.await.expect("room again");
        assert_eq!(ticket.request_id().number, WINDOW + 1);
    }
}
