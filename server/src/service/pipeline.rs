//! Many requests on one stream: begun in order, answered as they complete.
//!
//! ```text
//!   requests ──► start (polled once, in order) ──► in flight (at most IN_FLIGHT_MAX) ──► answers
//! ```
//! The stream is driven by whoever sends its answers: a client that does not read them is not
//! read either, and a client that leaves takes what is in flight with it.

use std::task::Poll;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt, poll};
use tonic::{Status, Streaming};

use crate::closing::Closing;

/// Most unanswered requests of one stream.
const IN_FLIGHT_MAX: usize = 1024;

/// Answers every request of a stream; when the node closes, what is in flight is answered still.
pub(super) fn answers<Q, A, S, F>(
    requests: Streaming<Q>,
    closing: Closing,
    start: S,
) -> impl Stream<Item = Result<A, Status>> + Send + 'static
where
    Q: Send + 'static,
    A: Send + 'static,
    S: Fn(Q) -> F + Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let pipeline = Pipeline {
        requests,
        start,
        closing,
        in_flight: FuturesUnordered::new(),
        open: true,
        failed: None,
    };
    futures::stream::unfold(pipeline, |mut pipeline| async move {
        let answer = pipeline.next().await?;
        Some((answer, pipeline))
    })
}

struct Pipeline<Q, A, S> {
    requests: Streaming<Q>,
    start: S,
    closing: Closing,
    in_flight: FuturesUnordered<BoxFuture<'static, A>>,
    /// Whether more requests are taken.
    open: bool,
    /// Why none are; told after the last answer.
    failed: Option<Status>,
}

impl<Q, A, S, F> Pipeline<Q, A, S>
where
    Q: 'static,
    S: Fn(Q) -> F,
    F: Future<Output = A> + Send + 'static,
{
    async fn next(&mut self) -> Option<Result<A, Status>> {
        loop {
            let room = self.open && self.in_flight.len() < IN_FLIGHT_MAX;
            tokio::select! {
                biased;
                Some(answer) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                    return Some(Ok(answer));
                }
                request = self.requests.message(), if room => match request {
                    Ok(Some(request)) => {
                        let mut work = (self.start)(request).boxed();
                        // The first poll fixes the order in which requests are proposed.
                        match poll!(&mut work) {
                            Poll::Ready(answer) => return Some(Ok(answer)),
                            Poll::Pending => self.in_flight.push(work),
                        }
                    }
                    Ok(None) => self.open = false,
                    Err(status) => {
                        self.open = false;
                        self.failed = Some(status);
                    }
                },
                () = self.closing.wait(), if self.open => self.open = false,
                else => return self.failed.take().map(Err),
            }
        }
    }
}
