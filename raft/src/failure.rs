//! The one reason why a node must stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Told once; everybody may watch.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    reason: Arc<watch::Sender<Option<String>>>,
}

impl Failure {
    pub(crate) fn new() -> Self {
        Self {
            reason: Arc::new(watch::Sender::new(None)),
        }
    }

    /// The node must stop. Only the first reason counts.
    pub(crate) fn fail(&self, reason: String) {
        self.reason.send_if_modified(|known| {
            if known.is_some() {
                return false;
            }
            tracing::error!(%reason, "the node must stop");
            *known = Some(reason);
            true
        });
    }

    pub(crate) fn reason(&self) -> Option<String> {
        self.reason.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Option<String>> {
        self.reason.subscribe()
    }
}
