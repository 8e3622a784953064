//! A scrub finds what nobody reads: it is counted and told, and a state is then repaired from a
//! peer; without one, and in the log, the node goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::env::vfs::OpenMode;
use engine::ids::NodeId;
use engine_raft::{Node, ScrubPlan, ScrubState, ScrubStatus};
use tokio::time::timeout;

use super::cluster::{Cluster, GROUP, PATIENCE};
use super::repair::{agree, damage_slightly, found, open, setup, stopped_by_damage, write};

/// Scrubs a node as fast as its disk reads.
async fn scrub(node: &Node) -> ScrubStatus {
    let scrubbing = node.scrub(Some(0)).expect("a healthy node");
    let ended = timeout(PATIENCE, scrubbing.done()).await;
    ended.expect("it ends in time")
}

fn hash(node: &Node) -> Vec<(String, u128)> {
    let replica = node.replica(GROUP).expect("it is in the group");
    let (hashes, _) = replica.hash(None, None, &|| true).expect("all is whole");
    let named = hashes.into_iter().map(|hash| (hash.name, hash.hash));
    named.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_find_is_counted_and_told_and_repaired_from_a_peer() {
    let mut cluster = found(3).await;
    let follower = cluster.follower().await.status().node;
    let healthy = scrub(cluster.node(follower)).await;
    assert_eq!(
        (&healthy.state, healthy.finds.len()),
        (&ScrubState::Finished, 0)
    );
    assert!(healthy.read_bytes > 0 && healthy.total_bytes > 0);

    // Messages: nobody reads them.
    damage_slightly(cluster.place(follower), "part");
    let found = scrub(cluster.node(follower)).await;
    assert_eq!(found.state, ScrubState::Finished);
    let [find] = found.finds.as_slice() else {
        panic!("one place is damaged: {found:?}");
    };
    let name = find.path.to_string_lossy();
    assert!(name.ends_with("/partitions/1-0/00000000000000000000.part"));
    assert!((1..=100).contains(&find.offset), "{find:?}");
    assert_eq!(found.errors_total, 1);

    stopped_by_damage(&mut cluster, follower).await;
    cluster.start(follower).await;
    let metrics = cluster.node(follower).status().metrics;
    assert_eq!((metrics.repairs, metrics.scrub_errors), (1, 1));
    assert!(metrics.scrub_finished_ms.is_some(), "it is remembered");
    write(&cluster, 70..75).await;
    agree(&cluster, 150, 75).await;
    let mut hashes = cluster.running.values().map(|running| hash(&running.node));
    let first = hashes.next().expect("there are three");
    assert!(hashes.all(|other| other == first), "the rows are the same");
    let again = scrub(cluster.node(follower)).await;
    assert_eq!((again.finds.len(), again.errors_total), (0, 1));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_peer_a_find_is_told_and_all_else_goes_on() {
    let mut cluster = found(1).await;
    damage_slightly(cluster.place(NodeId(1)), "part");
    let node = cluster.leader(GROUP).await;
    for round in 1..=2 {
        let found = scrub(node).await;
        assert_eq!((found.finds.len(), found.errors_total), (1, round));
    }
    assert_eq!(*node.failed().borrow(), None);
    write(&cluster, 70..72).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_log_and_in_the_identity_is_told_and_the_node_goes_on() {
    let mut cluster = found(3).await;
    let follower = cluster.follower().await.status().node;
    let place = cluster.place(follower);
    let names = place
        .env
        .vfs
        .list(Path::new("/node/log"))
        .expect("a folder");
    let segments = names
        .iter()
        .map(|entry| Path::new("/node/log").join(&entry.name));
    let oldest: PathBuf = segments
        .filter(|path| path.extension().is_some_and(|kind| kind == "seg"))
        .min()
        .expect("a segment");
    let flip = |path: &Path, at: u64| {
        let file = open(place, path);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("its byte");
        file.write_at(&[byte[0] ^ 0x10], at).expect("it is changed");
    };
    // Behind both headers and the Head, in an early entry.
    flip(&oldest, 9000);
    flip(Path::new("/node/node.json"), 5);
    let found = scrub(cluster.node(follower)).await;
    let files: Vec<_> = found.finds.iter().map(|find| find.path.clone()).collect();
    assert_eq!(files, [oldest.clone(), PathBuf::from("/node/node.json")]);
    assert_eq!(*cluster.node(follower).failed().borrow(), None);
    write(&cluster, 70..72).await;
    flip(&oldest, 9000);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_ends_with_whoever_asked_for_it_and_with_the_node() {
    let mut cluster = found(1).await;
    let node = cluster.leader(GROUP).await.clone();
    let slow = node.scrub(Some(1)).expect("a healthy node");
    let mut followed = node.scrub(Some(0)).expect("a healthy node");
    drop(slow);
    let ended = timeout(
        PATIENCE,
        followed
            .status()
            .wait_for(|status| status.state != ScrubState::Running),
    );
    let ended = ended
        .await
        .expect("in time")
        .expect("the node is there")
        .clone();
    let left = ScrubState::Ended("whoever asked for it has left".to_owned());
    assert_eq!(ended.state, left);
    assert_eq!(ended.finished_ms, None);
    assert_eq!(scrub(&node).await.state, ScrubState::Finished);

    let slow = node.scrub(Some(1)).expect("a healthy node");
    timeout(PATIENCE, cluster.stop_all())
        .await
        .expect("in time");
    let ended = timeout(PATIENCE, slow.done()).await.expect("in time");
    assert_eq!(ended.state, ScrubState::Ended("the node stops".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_scrubs_by_itself_when_it_is_due_and_remembers_when_it_did() {
    let mut setup = setup();
    setup.scrub = ScrubPlan {
        every: Some(Duration::from_millis(100)),
        bytes_per_second: 0,
    };
    let mut cluster = Cluster::found(1, &setup).await;
    let finished = async |cluster: &Cluster, after: u64| {
        let node = cluster.leader(GROUP).await.clone();
        let wait = async {
            loop {
                let metrics = node.status().metrics;
                if let Some(ms) = metrics.scrub_finished_ms.filter(|ms| *ms > after) {
                    return ms;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.expect("it is due soon")
    };
    let first = finished(&cluster, 0).await;
    let second = finished(&cluster, first).await;
    assert!(second >= first + 100, "{first}, then {second}");
    cluster.stop_all().await;

    // Not due for a week: what is known is what was remembered.
    let place = cluster.places.first_mut().expect("one node");
    place.setup.scrub = ScrubPlan::default();
    let file = place
        .env
        .vfs
        .open(Path::new("/node/scrub.json"), OpenMode::Read);
    assert!(file.is_ok(), "there is a record");
    cluster.start(NodeId(1)).await;
    let metrics = cluster.node(NodeId(1)).status().metrics;
    assert!(metrics.scrub_finished_ms.is_some_and(|ms| ms >= second));
    cluster.stop_all().await;
}
