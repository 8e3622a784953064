//! Several groups on one node.

use engine::ids::GroupId;

use crate::cluster::{Cluster, GROUP, Setup, decide, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_groups_are_two_states_on_one_log() {
    const OTHER: GroupId = GroupId(5);
    const WRITES: u64 = 100;

    let setup = Setup {
        groups: vec![GROUP, OTHER],
        ..Setup::default()
    };
    let mut cluster = Cluster::found(1, &setup).await;
    let node = cluster.leader(GROUP).await.clone();
    cluster.leader(OTHER).await;
    let before = node.metrics();
    let write = |group: GroupId| {
        let node = node.clone();
        async move {
            for number in 0..WRITES {
                let value = format!("{group}/{number}");
                decide(&node, group, "key", &value).await;
            }
        }
    };
    tokio::join!(write(GROUP), write(OTHER));
    let after = node.metrics();
    assert!(
        after.log_syncs - before.log_syncs < after.entries - before.entries,
        "two groups share syncs: {before:?} {after:?}"
    );
    for group in [GROUP, OTHER] {
        let value = read(&node, group, "key").await;
        assert_eq!(value, Some(format!("{group}/{}", WRITES - 1)));
    }
    let status = node.status();
    let groups: Vec<GroupId> = status.groups.iter().map(|group| group.group).collect();
    assert_eq!(groups, vec![GROUP, OTHER]);

    cluster.stop_all().await;
    cluster.start(engine::ids::NodeId(1)).await;
    let node = cluster.leader(OTHER).await;
    let value = read(node, OTHER, "key").await;
    assert_eq!(value, Some(format!("{OTHER}/{}", WRITES - 1)));
    cluster.stop_all().await;
}
