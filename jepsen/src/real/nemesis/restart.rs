//! A rolling restart, as an operator does it: each node ends when asked and is back before the
//! next one goes.

use std::time::Duration;

use anyhow::Result;

use crate::real::field::{Field, STOP_MAX};

/// How long a node may take to answer again. Beside another fault it may not within any time.
const ANSWER_MAX: Duration = Duration::from_secs(5);

pub(super) async fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.pick(usize::MAX);
    for id in &nodes {
        // A frozen node hears nobody, and a starved one may not end in time: both are killed, which
        // is a fault like others.
        let is_deaf = field.paused.contains(id);
        if is_deaf {
            field.kill(&[*id])?;
        }
        let node = field.cluster.node_mut(*id)?;
        if is_deaf || node.stop(STOP_MAX).await.is_err() {
            field.count("nodes that had to be killed instead of stopped", 1);
        }
        let node = field.cluster.node_mut(*id)?;
        if node.pid().is_some() {
            node.kill()?;
        }
        node.start()?;
        // The next one goes anyway: that is what the other nemesis may have wanted.
        let _late = field.wait_for_answer(*id, ANSWER_MAX).await;
    }
    field.count("restarts", nodes.len());
    Ok(format!("restart {nodes:?} one after the other"))
}
