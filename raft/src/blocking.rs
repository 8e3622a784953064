//! Long work of the engine, away from the threads that must answer heartbeats.

use std::io;

use engine::env::Workers;

/// Does `work` on a thread for such work; on the caller's, where there is no other.
pub(crate) async fn blocking<A: Send + 'static>(
    workers: &dyn Workers,
    work: impl FnOnce() -> A + Send + 'static,
) -> io::Result<A> {
    if workers.is_threadless() {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other)
}
