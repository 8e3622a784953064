//! Whether a node serves: asked, not guessed from time.

use std::time::Duration;

use engine_client::{Client, ClientOptions, GroupStatus, NodeStatus};
use tokio::time::sleep;

use crate::failure::Result;

const ASK_EVERY: Duration = Duration::from_millis(50);
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// What one node says about itself, if it answers soon.
pub(crate) async fn ask(address: &str) -> Result<NodeStatus> {
    let client = Client::connect(ClientOptions {
        deadline: ANSWER_WITHIN,
        try_timeout: ANSWER_WITHIN,
        sessions: false,
        follow_leader: false,
        ..ClientOptions::new([address])
    })
    .await?;
    Ok(client.cluster().status().await?)
}

/// Waits until a node knows a leader and may serve reads.
pub(crate) async fn serving(address: &str) -> NodeStatus {
    loop {
        if let Ok(status) = ask(address).await
            && first_group(&status).is_some_and(|group| group.leader.is_some() && group.recovered)
        {
            return status;
        }
        sleep(ASK_EVERY).await;
    }
}

/// The group that always exists.
pub(crate) fn first_group(status: &NodeStatus) -> Option<&GroupStatus> {
    status.groups.iter().find(|group| group.group == 0)
}
