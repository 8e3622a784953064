//! Nodes join, get a vote, and leave for ever.

use std::time::Duration;

use engine::Options;
use engine::ids::{LogIndex, NodeId};
use engine_raft::{Error, Node, Timings};
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, GROUP, PATIENCE, Place, Setup, decide, patient, read};

/// Checkpoints after little, and hardly any entry kept behind them.
fn small() -> Setup {
    Setup {
        options: Options {
            checkpoint_bytes: 64 * 1024,
            ..Setup::default().options
        },
        timings: Timings {
            entries_kept: 2,
            ..patient()
        },
        ..Setup::default()
    }
}

async fn join(cluster: &mut Cluster, id: u64, setup: &Setup) {
    let place = Place::new(id, setup).await;
    let running = place.start().await;
    let member = place.member();
    cluster.places.push(place);
    cluster.running.insert(NodeId(id), running);
    let leader = cluster.leader(GROUP).await;
    leader
        .add_learner(NodeId(id), member)
        .await
        .expect("a new node is added");
}

fn voters(node: &Node) -> Vec<u64> {
    let status = node.status();
    let group = status.groups.first().expect("group 0 is there");
    group.voters.iter().map(|voter| voter.node.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_that_joins_after_a_purge_is_sent_a_checkpoint() {
    let setup = small();
    let mut cluster = Cluster::found(1, &setup).await;
    let leader = cluster.leader(GROUP).await.clone();
    let value = "v".repeat(8 * 1024);
    for number in 0..64 {
        let key = format!("key-{number:03}");
        decide(&leader, GROUP, &key, &value).await;
    }
    let replica = leader.replica(GROUP).expect("group 0 is there");
    replica.begin_checkpoint().expect("a checkpoint begins");
    let checkpoint = tokio::task::spawn_blocking(move || replica.wait_for_checkpoint());
    checkpoint
        .await
        .expect("it ends")
        .expect("it becomes durable");
    let purged = async {
        while leader
            .purged(GROUP)
            .is_none_or(|id| id.index < LogIndex(10))
        {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, purged)
        .await
        .expect("the log is purged behind the checkpoint");

    join(&mut cluster, 2, &setup).await;
    let learner = cluster.node(NodeId(2));
    for number in 0..64 {
        let key = format!("key-{number:03}");
        assert_eq!(read(learner, GROUP, &key).await.as_ref(), Some(&value));
    }
    cluster.write(GROUP, "later", "entry").await;
    let learner = cluster.node(NodeId(2));
    assert_eq!(
        read(learner, GROUP, "later").await.as_deref(),
        Some("entry")
    );

    // What it was sent is its own: it survives its own restart.
    cluster.stop(NodeId(2)).await;
    cluster.start(NodeId(2)).await;
    let learner = cluster.node(NodeId(2));
    assert_eq!(read(learner, GROUP, "key-000").await, Some(value));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_has_removed_itself_orders_nothing() {
    let setup = Setup::default();
    let mut cluster = Cluster::found(3, &setup).await;
    let place = Place::new(4, &setup).await;
    let leader = cluster.leader(GROUP).await.clone();
    let own = leader.status().node;
    leader.remove(own).await.expect("the others have it");
    let orders = [
        leader.add_learner(NodeId(4), place.member()).await,
        leader.remove(own).await,
    ];
    for refused in orders {
        assert!(
            matches!(refused, Err(Error::NotLeader { .. })),
            "{refused:?}"
        );
    }
    cluster.stop(own).await;
    cluster.write(GROUP, "key", "value").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_replaced_and_its_id_never_comes_back() {
    let setup = Setup::default();
    let mut cluster = Cluster::found(3, &setup).await;
    cluster.write(GROUP, "key", "value").await;
    join(&mut cluster, 4, &setup).await;
    let leader = cluster.leader(GROUP).await.clone();
    leader.promote(NodeId(4)).await.expect("it has caught up");
    assert_eq!(voters(&leader), vec![1, 2, 3, 4]);
    leader.promote(NodeId(4)).await.expect("asked for again");

    let old = leader.status().node;
    let gone = (1..=3)
        .map(NodeId)
        .find(|id| *id != old)
        .expect("three nodes");
    let member = cluster.place(gone).member();
    cluster.stop(gone).await;
    leader.remove(gone).await.expect("it is removed");
    leader.remove(gone).await.expect("asked for again");
    let expected: Vec<u64> = (1..=4).filter(|id| NodeId(*id) != gone).collect();
    assert_eq!(voters(&leader), expected);

    let error = leader.add_learner(gone, member).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    let error = leader.promote(NodeId(9)).await;
    assert!(matches!(error, Err(Error::Invalid(_))), "{error:?}");
    let node = cluster.node(NodeId(4));
    assert_eq!(read(node, GROUP, "key").await.as_deref(), Some("value"));
    cluster.stop_all().await;
}
