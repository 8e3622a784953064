//! One call from beginning to end: a deadline, a number if it writes, and tries until one answers.
//!
//! ```text
//! number ──► where? (leader.rs) ──► send ──► answer
//!    ▲            ▲                   │ failure
//!    │            └──── pause ◄─── again? (retry.rs) ──► give up: the error says whether it
//!    └──────────── new session ◄──────┘                  may have happened
//! ```

use std::time::Duration;

use engine_proto::v1::commit_client::CommitClient;
use engine_proto::v1::{OpenSessionRequest, RequestId};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::client::{ClientOptions, MESSAGE_BYTES_MAX};
use crate::error::{Certainty, Error, Result};
use crate::leader::{Leader, To, moves_on};
use crate::planted::{Planted, on};
use crate::retry::{Backoff, Decision, Repeat, decide};
use crate::session::{Sessions, Ticket};

/// What all clones of a client share.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) options: ClientOptions,
    pub(crate) leader: Leader,
    pub(crate) sessions: Sessions,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    to: To,
    repeat: Repeat,
    /// How long the server may wait on purpose; added to the deadline.
    wait: Duration,
}

impl Kind {
    /// Changes nothing.
    pub(crate) const READ: Self = Self {
        to: To::Leader,
        repeat: Repeat::Harmless,
        wait: Duration::ZERO,
    };
    /// Changes nothing, and is about the asked node.
    pub(crate) const LOCAL_READ: Self = Self {
        to: To::Seed,
        repeat: Repeat::Harmless,
        wait: Duration::ZERO,
    };
    /// Changes something; takes a number if the client uses sessions.
    pub(crate) const WRITE: Self = Self {
        to: To::Leader,
        repeat: Repeat::Numbered,
        wait: Duration::ZERO,
    };
    /// Changes something and cannot take a number.
    pub(crate) const ADMIN: Self = Self {
        to: To::Leader,
        repeat: Repeat::Harmful,
        wait: Duration::ZERO,
    };

    /// A read from any node that may be old, or from the leader.
    pub(crate) fn read(local: bool) -> Self {
        if local { Self::LOCAL_READ } else { Self::READ }
    }

    /// The same, of which the server waits on purpose.
    pub(crate) fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

/// One sending of a call.
#[derive(Debug)]
pub(crate) struct Try {
    /// The node's channel.
    pub(crate) channel: Channel,
    /// The request's number, for those that carry one.
    pub(crate) request: Option<RequestId>,
    timeout: Duration,
}

impl Try {
    /// Wraps a message with the try's deadline, which the server sees as `grpc-timeout`.
    pub(crate) fn message<M>(&self, message: M) -> tonic::Request<M> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.timeout);
        request
    }
}

impl Calls {
    /// Sends until an answer comes, a failure is final, or the deadline is over.
    pub(crate) async fn call<T, F>(&self, kind: Kind, mut send: impl FnMut(Try) -> F) -> Result<T>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + self.options.deadline + kind.wait;
        let repeat = match kind.repeat {
            Repeat::Numbered if !self.options.sessions => Repeat::Harmful,
            repeat => repeat,
        };
        let mut backoff = Backoff::new();
        let mut ticket: Option<Ticket> = None;
        let mut doubted = false;
        let mut last: Option<Error> = None;
        loop {
            if repeat == Repeat::Numbered && ticket.is_none() {
                ticket = Some(self.ticket(deadline).await?);
            }
            let target = self.leader.target(kind.to).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.over(last, doubted));
            }
            // A node that hangs must not use up the time of a call that another could serve.
            let patience = match repeat {
                Repeat::Harmful => left,
                Repeat::Harmless | Repeat::Numbered => {
                    left.min(self.options.try_timeout + kind.wait)
                }
            };
            let sent = send(Try {
                channel: target.channel,
                request: ticket.as_ref().map(Ticket::request_id),
                timeout: patience,
            });
            let error = match timeout(patience, sent).await {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => Error::from_status(status),
                Err(_) => Error::late(format!("no answer within {patience:?}")),
            };
            self.leader.learn(&target.address, &error);
            let decision = decide(repeat, &error, doubted);
            doubted |= error.certainty() == Certainty::Unknown && repeat != Repeat::Harmless;
            // What the cluster decided does not depend on the node that was asked.
            let error = if moves_on(&error) {
                error.at(&target.address)
            } else {
                error
            };
            tracing::debug!(%error, ?decision, "a try failed");
            let pause = match decision {
                Decision::GiveUp => return Err(settle(error, repeat, doubted)),
                Decision::ResendNow => backoff.pause_for_hint(),
                Decision::ResendLater => backoff.pause(),
                Decision::RenewSession => {
                    if let Some(ticket) = ticket.take() {
                        self.sessions.forget(ticket.session());
                    }
                    backoff.pause()
                }
            };
            if Instant::now() + pause >= deadline {
                return Err(settle(error, repeat, doubted));
            }
            if on(Planted::OtherNumber) {
                ticket = None;
            }
            last = Some(settle(error, repeat, false));
            sleep(pause).await;
        }
    }

    /// A number for a write, within its deadline.
    pub(crate) async fn ticket(&self, deadline: Instant) -> Result<Ticket> {
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, self.sessions.ticket(|| self.open_session())).await {
            Ok(ticket) => ticket.map_err(Error::harmless),
            Err(_) => Err(Error::unsent(
                "no session, or too many requests are open in it",
            )),
        }
    }

    /// Boxed, because a call takes a ticket and a ticket may make this call.
    fn open_session(&self) -> std::pin::Pin<Box<dyn Future<Output = Result<u64>> + Send + '_>> {
        // Opened twice, one session lies idle until it expires: harmless.
        let opening = self.call(Kind::READ, |attempt| async move {
            CommitClient::new(attempt.channel.clone())
                .open_session(attempt.message(OpenSessionRequest { group: 0 }))
                .await
        });
        Box::pin(async move { Ok(opening.await?.session) })
    }

    fn over(&self, last: Option<Error>, doubted: bool) -> Error {
        let error = last.unwrap_or_else(|| {
            Error::unsent(format!(
                "nothing could be sent within {:?}",
                self.options.deadline
            ))
        });
        if doubted { error.doubtful() } else { error }
    }
}

/// The certainty of the whole call, not only of its last try.
fn settle(error: Error, repeat: Repeat, doubted: bool) -> Error {
    match repeat {
        Repeat::Harmless => error.harmless(),
        _ if doubted => error.doubtful(),
        _ => error,
    }
}

/// A client of one service on a try's channel, with room for the largest page.
macro_rules! service {
    ($client:ident, $attempt:expr) => {
        $client::new($attempt.channel.clone())
            .max_decoding_message_size(crate::client::MESSAGE_BYTES_MAX)
    };
}
pub(crate) use service;

const _: () = assert!(MESSAGE_BYTES_MAX >= 8 * 1024 * 1024);
