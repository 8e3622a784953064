//! The background tasks of a node: they end with it.

use std::future::Future;

use tokio::task::JoinSet;

/// Tasks that are stopped together.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    set: JoinSet<()>,
}

impl Tasks {
    pub(crate) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.set.spawn(task);
    }

    /// Stops all tasks and waits until they are gone.
    pub(crate) async fn stop(&mut self) {
        self.set.shutdown().await;
    }
}
