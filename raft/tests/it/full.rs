//! One node's disk is full: a follower steps aside and catches up, a leader refuses writes.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::command::{Command, Commit, Op, Outcome};
use engine::disk::DiskState;
use engine::env::vfs::sim::SimVfs;
use engine::ids::NodeId;
use engine::{ErrorKind, Options};
use engine_raft::{Error, Node, Timings};
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, GROUP, PATIENCE, Setup, patient, put, read, read_local, row};

/// Three nodes whose disks are the test's; checkpoints come often, so that a full disk is
/// noticed soon.
async fn found(entries_kept: u64) -> (Cluster, BTreeMap<NodeId, SimVfs>) {
    let disks: BTreeMap<_, _> = (1..=3).map(|id| (NodeId(id), SimVfs::new(id))).collect();
    let setup = Setup {
        options: Options {
            log_segment_bytes: 17 << 20,
            memtable_bytes: 4096,
            checkpoint_bytes: 4096,
            ..Options::default()
        },
        timings: Timings {
            entries_kept,
            ..patient()
        },
        disks: disks.clone(),
        ..Setup::default()
    };
    (Cluster::found(3, &setup).await, disks)
}

fn value(number: u64) -> String {
    format!("{number}-{}", "x".repeat(500))
}

async fn write(cluster: &Cluster, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let outcome = cluster
            .write(GROUP, &format!("key-{number}"), &value(number))
            .await;
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
}

/// Waits until something holds that no event tells.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

fn applied(node: &Node) -> Option<engine::ids::LogId> {
    node.replica(GROUP).expect("the group is there").applied()
}

/// All nodes come to one state, which holds all that was acknowledged, also after a restart.
async fn agree(cluster: &mut Cluster, numbers: u64) {
    for round in 0..2 {
        if round == 1 {
            cluster.stop_all().await;
            for id in 1..=3 {
                cluster.start(NodeId(id)).await;
            }
        }
        // A barrier: everything acknowledged is applied on this node.
        for id in 1..=3 {
            let node = cluster.node(NodeId(id));
            until("it catches up", || {
                read_local(node, GROUP, &format!("key-{}", numbers - 1)).is_some()
            })
            .await;
            for number in 0..numbers {
                let found = read_local(node, GROUP, &format!("key-{number}"));
                assert_eq!(found, Some(value(number)), "node {id}");
            }
        }
        let digests = || {
            let views = (1..=3).map(|id| {
                let replica = cluster.node(NodeId(id)).replica(GROUP);
                let view = replica.expect("the group is there").view();
                (view.applied, view.digest)
            });
            views.collect::<Vec<_>>()
        };
        until("all digests are equal", || {
            digests().windows(2).all(|pair| pair[0] == pair[1])
        })
        .await;
    }
}

/// With few entries kept, the follower is sent a checkpoint; with many, entries.
async fn a_full_follower(entries_kept: u64) {
    let (mut cluster, disks) = found(entries_kept).await;
    write(&cluster, 0..20).await;
    let full = cluster.follower().await.status().node;
    disks[&full].fill_at(0);
    write(&cluster, 20..160).await;

    let node = cluster.node(full);
    until("the full disk is noticed", || node.status().disk.refused).await;
    write(&cluster, 160..200).await;
    let disk = node.status().disk;
    assert_eq!((disk.state, disk.free_bytes), (DiskState::ReadOnly, 0));
    assert_eq!(*node.failed().borrow(), None, "it goes on");
    assert_eq!(
        read_local(node, GROUP, "key-3"),
        Some(value(3)),
        "it serves what it has"
    );
    let leader = cluster.leader(GROUP).await;
    assert!(
        applied(node) < applied(leader),
        "it does not take what it could not keep"
    );
    assert_eq!(
        node.leader(GROUP).map(|(id, _)| id),
        Some(leader.status().node)
    );

    disks[&full].make_room();
    until("the room is noticed", || {
        node.status().disk.state == DiskState::Healthy
    })
    .await;
    write(&cluster, 200..220).await;
    agree(&mut cluster, 220).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_follower_steps_aside_and_is_sent_entries_when_it_has_room() {
    a_full_follower(100_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_follower_steps_aside_and_is_sent_a_checkpoint_when_it_has_room() {
    a_full_follower(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_leader_refuses_writes_and_another_may_lead() {
    let (mut cluster, disks) = found(100_000).await;
    write(&cluster, 0..20).await;
    let full = cluster.leader(GROUP).await.status().node;
    let node = cluster.node(full);
    disks[&full].fill_at(0);
    until("the full disk is noticed", || {
        node.status().disk.state == DiskState::ReadOnly
    })
    .await;
    let refused = node.propose(GROUP, put("key-20", "refused")).await;
    let Err(Error::Engine(refused)) = refused else {
        panic!("a write on a full disk: {refused:?}");
    };
    assert_eq!(refused.kind(), ErrorKind::Full);
    assert!(refused.to_string().contains("free space"), "{refused}");

    // Far more than the memory that a checkpoint gives back: it waits for room, these do not.
    for number in 0..50 {
        let delete = Command::Commit(Commit {
            ops: vec![Op::Delete {
                row: row(&format!("nothing-{number}")),
            }],
            ..Commit::default()
        });
        let deleted = node.propose(GROUP, delete).await.expect("deletes go on");
        assert!(matches!(deleted, Outcome::Committed { .. }), "{deleted:?}");
    }
    for running in cluster.running.values() {
        assert_eq!(read(&running.node, GROUP, "key-20").await, None);
        assert_eq!(read(&running.node, GROUP, "key-3").await, Some(value(3)));
    }

    let other = cluster.follower().await.status().node;
    node.transfer_leader(other).await.expect("it hands over");
    write(&cluster, 20..60).await;
    disks[&full].make_room();
    agree(&mut cluster, 60).await;
    cluster.stop_all().await;
}
