//! Restarted nodes: what they may show, and which disks may come back.

use std::path::Path;
use std::sync::Arc;

use engine::ErrorKind;
use engine::env::vfs::OpenMode;
use engine::env::vfs::mem::MemVfs;
use engine::env::{Env, Vfs};
use engine::ids::NodeId;
use engine_raft::{Error, Timings};
use std::time::Duration;
use tokio::time::timeout;

use crate::cluster::{Cluster, GROUP, PATIENCE, Setup, patient, read};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_alone_answers_no_read_until_it_has_recovered() {
    let setup = Setup {
        timings: Timings {
            request: Duration::from_secs(2),
            ..patient()
        },
        ..Setup::default()
    };
    let mut cluster = Cluster::found(3, &setup).await;
    cluster.write(GROUP, "key", "value").await;
    for running in cluster.running.values() {
        assert_eq!(
            read(&running.node, GROUP, "key").await.as_deref(),
            Some("value")
        );
    }
    cluster.stop_all().await;

    cluster.start(NodeId(1)).await;
    let alone = cluster.node(NodeId(1));
    assert!(!alone.recovered(GROUP), "nobody has confirmed its log");
    let error = alone.read_barrier(GROUP).await;
    assert!(matches!(error, Err(Error::NoQuorum)), "{error:?}");

    cluster.start(NodeId(2)).await;
    for id in [1, 2] {
        let node = cluster.node(NodeId(id));
        let value = timeout(PATIENCE, read(node, GROUP, "key")).await;
        assert_eq!(value.expect("it recovers").as_deref(), Some("value"));
        assert!(node.recovered(GROUP));
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_copy_of_a_disk_is_refused() {
    let mut cluster = Cluster::found(3, &Setup::default()).await;
    let leader = cluster.leader(GROUP).await.status().node;
    let victim = (1..=3)
        .map(NodeId)
        .find(|id| *id != leader)
        .expect("three nodes");
    cluster.write(GROUP, "key", "1").await;
    cluster.stop(victim).await;
    let old = copy(cluster.place(victim).env.vfs.as_ref());

    // The real disk starts twice more, so the cluster knows a later start than the copy's next.
    for _ in 0..2 {
        cluster.start(victim).await;
        let started = cluster.node(victim).status().boot;
        let leader = cluster.leader(GROUP).await;
        let replica = leader.replica(GROUP).expect("group 0 is there");
        let known = async {
            while replica.boots().get(&victim) != Some(&started) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, known)
            .await
            .expect("the start is committed");
        cluster.stop(victim).await;
    }

    let place = cluster
        .places
        .iter_mut()
        .find(|place| place.id == victim)
        .expect("the node has a place");
    place.env = Env {
        vfs: Arc::new(old),
        ..place.env.clone()
    };
    cluster.start(victim).await;
    let mut failed = cluster.node(victim).failed();
    let reason = timeout(PATIENCE, failed.wait_for(Option::is_some))
        .await
        .expect("the old copy is noticed")
        .expect("the node watches itself")
        .clone()
        .expect("there is a reason");
    assert!(reason.contains("old copy"), "{reason}");
    assert!(reason.contains("id never used before"), "{reason}");
    cluster.stop(victim).await;
    // However often it is started, it does not count past what the cluster knows.
    for _ in 0..3 {
        let Err(error) = cluster.place(victim).try_start().await else {
            panic!("a refused folder starts");
        };
        assert!(error.to_string().contains("an old copy"), "{error}");
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_serves_one_process() {
    let mut cluster = Cluster::found(1, &Setup::default()).await;
    let place = cluster.place(NodeId(1));
    let Err(Error::Engine(error)) = place.try_start().await else {
        panic!("the folder is in use");
    };
    assert_eq!(error.kind(), ErrorKind::Locked);
    cluster.stop_all().await;
}

/// All files of a stopped node.
fn copy(from: &dyn Vfs) -> MemVfs {
    let to = MemVfs::new();
    copy_folder(from, &to, Path::new("/node"));
    to
}

fn copy_folder(from: &dyn Vfs, to: &MemVfs, dir: &Path) {
    to.create_dir_all(dir).expect("a folder in memory");
    for entry in from.list(dir).expect("the folder can be listed") {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            copy_folder(from, to, &path);
            continue;
        }
        let source = from.open(&path, OpenMode::Read).expect("the file opens");
        let len = source.len().expect("it has a length");
        let mut bytes = vec![0; usize::try_from(len).expect("it fits in memory")];
        source.read_exact_at(&mut bytes, 0).expect("it can be read");
        let copied = to
            .open(&path, OpenMode::CreateNew)
            .expect("the copy is new");
        copied.write_at(&bytes, 0).expect("it can be written");
    }
}

/// The second store behind every node: what it answers is what the log says, also after a start
/// from the log and the tables alone.
#[cfg(feature = "sled")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_over_sled_agrees_and_restarts() {
    let options = engine::Options {
        store: engine::StoreKind::Sled,
        memtable_bytes: 4096,
        ..Setup::default().options
    };
    let setup = Setup {
        options,
        ..Setup::default()
    };
    let mut cluster = Cluster::found(3, &setup).await;
    for number in 0..40 {
        let (key, value) = (format!("key-{}", number % 7), number.to_string());
        cluster.write(GROUP, &key, &value.repeat(100)).await;
    }
    for round in 0..2 {
        for running in cluster.running.values() {
            for number in 33..40 {
                let key = format!("key-{}", number % 7);
                let value = timeout(PATIENCE, read(&running.node, GROUP, &key)).await;
                let value = value.expect("it recovers");
                assert_eq!(value, Some(number.to_string().repeat(100)), "{round}");
            }
        }
        cluster.stop_all().await;
        for id in 1..=3 {
            cluster.start(NodeId(id)).await;
        }
    }
    cluster.stop_all().await;
}
