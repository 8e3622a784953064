//! What a cluster shall be.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::machine::{Loopback, Machines};

/// What a cluster shall be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The program; see [`binary`](super::binary).
    pub program: PathBuf,
    /// How many voters from the start.
    pub voters: u64,
    /// Sizes and budgets of every node, as `engine::Options`; what is left out keeps its default.
    pub options: serde_json::Value,
    /// Where the cluster's folder is made; `None` means among the system's temporary files.
    pub place: Option<PathBuf>,
    /// On what the nodes run.
    pub machines: Arc<dyn Machines>,
}

impl Plan {
    /// Three voters with the program's defaults.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            voters: 3,
            options: json!({}),
            place: None,
            machines: Arc::new(Loopback::default()),
        }
    }
}
