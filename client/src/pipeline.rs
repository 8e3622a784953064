//! Many commits in flight on one stream: a streamed commit costs an eighth of a unary call.
//!
//! ```text
//! send ──► waiting for room ──► unanswered ──► answered
//!                                   │  ▲
//!                  stream broke ────┘  └──── new stream: all unanswered are sent again,
//!                                            under their numbers, in their order
//! ```
//!
//! Answers may come in any order, and commits in flight together may be done in any order: for
//! two commits that touch one row, await the first.
//!
//! # Invariants
//! - At most `in_flight` commits are unanswered.
//! - Without a session nothing is sent twice: a broken stream fails what it carried.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use engine_proto::v1 as pb;
use engine_proto::v1::commit_client::CommitClient;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::call::{Calls, service};
use crate::commit::{Commit, Committed, Guarded, committed};
use crate::error::{Certainty, Error, Result, reason};
use crate::leader::To;
use crate::retry::{Backoff, Decision, Repeat, decide};
use crate::session::Ticket;

/// Most commits in flight: well below the outcomes that a session remembers.
const IN_FLIGHT_MAX: usize = 900;

/// How a pipeline behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineOptions {
    /// Most commits that are sent and not answered; 256, at most 900.
    pub in_flight: usize,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self { in_flight: 256 }
    }
}

/// A stream of commits; from [`Client::pipeline`](crate::Client::pipeline). What is in flight
/// when it is dropped is still brought to an end.
#[derive(Debug)]
pub struct Pipeline {
    calls: Arc<Calls>,
    room: Arc<Semaphore>,
    requests: mpsc::UnboundedSender<Entry>,
}

/// The answer to one commit, when it is there. Dropping it does not take the commit back.
#[derive(Debug)]
pub struct Pending {
    answer: oneshot::Receiver<Result<Guarded<Committed>>>,
}

impl Pipeline {
    pub(crate) fn start(calls: Arc<Calls>, options: PipelineOptions) -> Self {
        let in_flight = options.in_flight.clamp(1, IN_FLIGHT_MAX);
        // Unbounded, because `room` bounds it.
        let (requests, incoming) = mpsc::unbounded_channel();
        let worker = Worker {
            calls: Arc::clone(&calls),
            incoming,
            closed: false,
            in_flight,
            next_tag: 1,
            unanswered: BTreeMap::new(),
        };
        tokio::spawn(worker.run());
        Self {
            calls,
            room: Arc::new(Semaphore::new(in_flight)),
            requests,
        }
    }

    /// Hands a commit over; waits while too many are in flight. The deadline begins here.
    ///
    /// # Errors
    /// Those of opening a session. Everything else comes with the answer.
    pub async fn send(&self, commit: Commit) -> Result<Pending> {
        let deadline = Instant::now() + self.calls.options.deadline;
        let stopped = || Error::unsent("the pipeline has stopped");
        let Ok(room) = timeout(
            self.calls.options.deadline,
            Arc::clone(&self.room).acquire_owned(),
        )
        .await
        else {
            return Err(Error::unsent("the pipeline had no room in time"));
        };
        let room = room.map_err(|_| stopped())?;
        let ticket = if self.calls.options.sessions {
            Some(self.calls.ticket(deadline).await?)
        } else {
            None
        };
        let (reply, answer) = oneshot::channel();
        let entry = Entry {
            commit: commit.into_request(),
            ticket,
            deadline,
            sent: false,
            doubted: false,
            reply,
            _room: room,
        };
        self.requests.send(entry).map_err(|_| stopped())?;
        Ok(Pending { answer })
    }
}

impl Future for Pending {
    type Output = Result<Guarded<Committed>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer)
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|_| Err(Error::late("the pipeline was torn down"))))
    }
}

/// One commit that is not answered.
#[derive(Debug)]
struct Entry {
    commit: pb::CommitRequest,
    ticket: Option<Ticket>,
    deadline: Instant,
    /// On the present stream.
    sent: bool,
    /// An earlier stream may have done it.
    doubted: bool,
    reply: oneshot::Sender<Result<Guarded<Committed>>>,
    _room: OwnedSemaphorePermit,
}

impl Entry {
    fn repeat(&self) -> Repeat {
        if self.ticket.is_some() {
            Repeat::Numbered
        } else {
            Repeat::Harmful
        }
    }

    fn fail(self, error: Error) {
        let error = if self.doubted {
            error.doubtful()
        } else {
            error
        };
        // Nobody may be waiting any more.
        let _ = self.reply.send(Err(error));
    }
}

/// The task that owns the stream.
struct Worker {
    calls: Arc<Calls>,
    incoming: mpsc::UnboundedReceiver<Entry>,
    closed: bool,
    in_flight: usize,
    next_tag: u64,
    unanswered: BTreeMap<u64, Entry>,
}

/// Why a stream is not used any longer.
enum End {
    /// Everything is answered and nothing can come.
    Drained,
    /// It broke, or another node should be asked.
    Broken(Error),
}

impl Worker {
    async fn run(mut self) {
        let mut backoff = Backoff::new();
        loop {
            if self.unanswered.is_empty() {
                match self.incoming.recv().await {
                    Some(entry) => self.take(entry),
                    None => return,
                }
            }
            let answered_before = self.progress_mark();
            match self.serve_stream().await {
                End::Drained => return,
                End::Broken(error) => {
                    tracing::debug!(%error, "a commit stream ended");
                    if self.progress_mark() != answered_before {
                        backoff = Backoff::new();
                    }
                    self.doubt_or_fail(&error);
                    let pause = if error.leader.is_some() {
                        backoff.pause_for_hint()
                    } else {
                        backoff.pause()
                    };
                    sleep(pause).await;
                    self.expire(Instant::now());
                }
            }
        }
    }

    /// Grows with every commit taken or answered: tells whether a stream got anywhere.
    fn progress_mark(&self) -> (u64, usize) {
        (self.next_tag, self.unanswered.len())
    }

    fn take(&mut self, entry: Entry) {
        self.unanswered.insert(self.next_tag, entry);
        self.next_tag += 1;
    }

    async fn serve_stream(&mut self) -> End {
        let target = match self.calls.leader.target(To::Leader).await {
            Ok(target) => target,
            Err(error) => return End::Broken(error),
        };
        // Holds all that may be unanswered, so sending into it never waits.
        let (outbound, requests) = mpsc::channel(self.in_flight + 1);
        for (tag, entry) in &mut self.unanswered {
            send(&outbound, *tag, entry);
        }
        let mut client = service!(CommitClient, target);
        let opening = client.pipeline(ReceiverStream::new(requests));
        let end = match timeout(self.calls.options.try_timeout, opening).await {
            Ok(Ok(answers)) => self.serve(outbound, answers.into_inner()).await,
            Ok(Err(status)) => End::Broken(Error::from_status(status)),
            Err(_) => End::Broken(Error::late("no commit stream was opened in time")),
        };
        if let End::Broken(error) = &end {
            self.calls.leader.learn(&target.address, error);
        }
        end
    }

    async fn serve(
        &mut self,
        outbound: mpsc::Sender<pb::PipelineRequest>,
        mut answers: Streaming<pb::PipelineResponse>,
    ) -> End {
        let mut progress = Instant::now();
        loop {
            if self.closed && self.unanswered.is_empty() {
                return End::Drained;
            }
            let due = self
                .unanswered
                .values()
                .map(|entry| entry.deadline)
                .min()
                .unwrap_or_else(far);
            let stalled = if self.unanswered.is_empty() {
                far()
            } else {
                progress + self.calls.options.try_timeout
            };
            tokio::select! {
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => {
                        progress = Instant::now();
                        if let Err(error) = self.answer(answer, &outbound).await {
                            return End::Broken(error);
                        }
                    }
                    Ok(None) => return End::Broken(Error::connection_lost("the stream was closed")),
                    Err(status) => return End::Broken(Error::from_status(status)),
                },
                entry = self.incoming.recv(), if !self.closed => match entry {
                    Some(entry) => {
                        if self.unanswered.is_empty() {
                            progress = Instant::now();
                        }
                        let tag = self.next_tag;
                        self.take(entry);
                        if let Some(entry) = self.unanswered.get_mut(&tag) {
                            send(&outbound, tag, entry);
                        }
                    }
                    None => self.closed = true,
                },
                () = sleep_until(due) => self.expire(Instant::now()),
                () = sleep_until(stalled) => {
                    return End::Broken(Error::late("the commit stream hangs"));
                }
            }
        }
    }

    /// Brings one answer to its caller, or keeps the commit for another try. An error tells that
    /// the stream should be left.
    async fn answer(
        &mut self,
        answer: pb::PipelineResponse,
        outbound: &mpsc::Sender<pb::PipelineRequest>,
    ) -> Result<()> {
        let tag = answer.tag;
        let Some(mut entry) = self.unanswered.remove(&tag) else {
            return Ok(()); // Its deadline is over.
        };
        let error = match answer.outcome {
            Some(pb::pipeline_response::Outcome::Response(response)) => {
                // Nobody may be waiting any more.
                let _ = entry.reply.send(committed(response));
                return Ok(());
            }
            Some(pb::pipeline_response::Outcome::Failure(failure)) => Error::from_failure(failure),
            None => Error::bad_answer("an answer without an outcome"),
        };
        match decide(entry.repeat(), &error, entry.doubted) {
            Decision::ResendNow | Decision::ResendLater if entry.ticket.is_some() => {
                entry.doubted |= error.certainty() == Certainty::Unknown;
                entry.sent = false;
                self.unanswered.insert(tag, entry);
                Err(error)
            }
            Decision::RenewSession => {
                if let Some(ticket) = entry.ticket.take() {
                    self.calls.sessions.forget(ticket.session());
                }
                match self.calls.ticket(entry.deadline).await {
                    Ok(ticket) => {
                        entry.ticket = Some(ticket);
                        send(outbound, tag, &mut entry);
                        self.unanswered.insert(tag, entry);
                    }
                    Err(error) => entry.fail(error),
                }
                Ok(())
            }
            // Without a session the other commits on the stream would not survive leaving it.
            Decision::GiveUp | Decision::ResendNow | Decision::ResendLater => {
                entry.fail(error);
                Ok(())
            }
        }
    }

    /// After a broken stream: what it carried is in doubt, and without a number it has failed.
    fn doubt_or_fail(&mut self, error: &Error) {
        // Without a connection nothing was carried. Any other end leaves all others in doubt, also
        // one that is certain for the commit that caused it.
        let carried = !error.is(reason::UNREACHABLE);
        let hopeless = decide(Repeat::Numbered, error, false) == Decision::GiveUp;
        let mut kept = BTreeMap::new();
        for (tag, mut entry) in std::mem::take(&mut self.unanswered) {
            let in_doubt = entry.sent && carried;
            entry.sent = false;
            entry.doubted |= in_doubt;
            if hopeless || (in_doubt && entry.ticket.is_none()) {
                entry.fail(error.clone());
            } else {
                kept.insert(tag, entry);
            }
        }
        self.unanswered = kept;
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<u64> = self
            .unanswered
            .iter()
            .filter(|(_, entry)| entry.deadline <= now)
            .map(|(tag, _)| *tag)
            .collect();
        for tag in late {
            if let Some(mut entry) = self.unanswered.remove(&tag) {
                entry.doubted |= entry.sent;
                entry.fail(Error::unsent(format!(
                    "no answer within {:?}",
                    self.calls.options.deadline
                )));
            }
        }
    }
}

fn send(outbound: &mpsc::Sender<pb::PipelineRequest>, tag: u64, entry: &mut Entry) {
    let mut commit = entry.commit.clone();
    commit.request = entry.ticket.as_ref().map(Ticket::request_id);
    let request = pb::PipelineRequest {
        tag,
        commit: Some(commit),
    };
    // Refused only if the stream has just broken; its end sends everything again.
    entry.sent |= outbound.try_send(request).is_ok();
}

/// A moment that does not come.
fn far() -> Instant {
    Instant::now() + Duration::from_hours(24)
}
