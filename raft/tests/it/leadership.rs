//! Leaders come and go; what was acknowledged stays.

use std::sync::Arc;
use std::time::Duration;

use engine::command::Outcome;
use engine::ids::NodeId;
use engine_raft::{Error, Timings};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, GROUP, PATIENCE, Setup, decide, patient, put, read, read_local};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_leader_and_a_restart_of_all() {
    let mut cluster = Cluster::found(3, &Setup::default()).await;
    let leader = Arc::new(cluster.leader(GROUP).await.clone());
    let mut writers = JoinSet::new();
    for task in 0..8 {
        let leader = Arc::clone(&leader);
        writers.spawn(async move {
            for number in 0..20 {
                let key = format!("{task}/{number}");
                let outcome = decide(&leader, GROUP, &key, &key).await;
                assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.expect("all writers succeed");
    }
    let old = leader.status().node;
    drop(leader);

    cluster.stop(old).await;
    let outcome = cluster.write(GROUP, "after", "the change").await;
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    cluster.start(old).await;
    for running in cluster.running.values() {
        for task in 0..8 {
            let key = format!("{task}/19");
            assert_eq!(read(&running.node, GROUP, &key).await, Some(key));
        }
        let after = read(&running.node, GROUP, "after").await;
        assert_eq!(after.as_deref(), Some("the change"));
    }

    cluster.stop_all().await;
    for id in 1..=3 {
        cluster.start(NodeId(id)).await;
    }
    for running in cluster.running.values() {
        let first = read(&running.node, GROUP, "0/0").await;
        assert_eq!(first.as_deref(), Some("0/0"));
        let after = read_local(&running.node, GROUP, "after");
        assert_eq!(after.as_deref(), Some("the change"));
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_reads_what_the_leader_has_just_acknowledged() {
    let mut cluster = Cluster::found(3, &Setup::default()).await;
    let leader = cluster.leader(GROUP).await;
    let follower = cluster.follower().await;
    for number in 0..50 {
        let value = number.to_string();
        decide(leader, GROUP, "counter", &value).await;
        assert_eq!(read(follower, GROUP, "counter").await, Some(value));
    }
    let error = follower.propose(GROUP, put("counter", "no")).await;
    let Err(Error::NotLeader {
        leader: Some((id, member)),
    }) = error
    else {
        panic!("a follower names the leader, not {error:?}");
    };
    assert_eq!(id, leader.status().node);
    assert_eq!(member, cluster.place(id).member());
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_on_request() {
    let mut cluster = Cluster::found(3, &Setup::default()).await;
    cluster.write(GROUP, "before", "1").await;
    let next = cluster.follower().await.status().node;
    let leader = cluster.leader(GROUP).await;
    timeout(PATIENCE, leader.transfer_leader(next))
        .await
        .expect("it ends")
        .expect("the follower takes over");
    let wait = async {
        while cluster.leader(GROUP).await.status().node != next {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("the new leader leads");
    cluster.write(GROUP, "after", "2").await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_decided_or_read() {
    let setup = Setup {
        timings: Timings {
            request: Duration::from_secs(2),
            ..patient()
        },
        ..Setup::default()
    };
    let mut cluster = Cluster::found(3, &setup).await;
    cluster.write(GROUP, "key", "before").await;
    let leader = cluster.leader(GROUP).await.status().node;
    for id in 1..=3 {
        if NodeId(id) != leader {
            cluster.stop(NodeId(id)).await;
        }
    }
    let alone = cluster.node(leader);
    let error = alone.propose(GROUP, put("key", "after")).await;
    assert!(
        matches!(
            error,
            Err(Error::NotLeader { .. } | Error::NoQuorum | Error::Timeout)
        ),
        "{error:?}"
    );
    let error = alone.read_barrier(GROUP).await;
    assert!(matches!(error, Err(Error::NoQuorum)), "{error:?}");
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_majority_refuses_what_waits_behind_its_entries() {
    const PROPOSED: usize = 12;
    /// Of a leader, in entries.
    const IN_FLIGHT_MAX: usize = 4;

    let setup = Setup {
        timings: Timings {
            request: PATIENCE,
            ..patient()
        },
        ..Setup::default()
    };
    let mut cluster = Cluster::found(3, &setup).await;
    let leader = cluster.leader(GROUP).await.clone();
    let old = leader.status().node;
    for id in (1..=3).map(NodeId).filter(|id| *id != old) {
        cluster.stop(id).await;
    }
    let last_log = || leader.status().groups[0].last_log;
    let mut proposed = JoinSet::new();
    for number in 0..PROPOSED {
        let before = last_log();
        let proposer = leader.clone();
        let command = put(&number.to_string(), "value");
        proposed.spawn(async move { proposer.propose(GROUP, command).await });
        // An entry each, as long as entries are taken.
        let taken = async {
            while last_log() == before {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_millis(50), taken).await.ok();
    }
    // Those that became entries may happen yet, so they wait; the others hear that nothing was done.
    for _ in IN_FLIGHT_MAX..PROPOSED {
        let answer = timeout(PATIENCE / 2, proposed.join_next()).await;
        let answer = answer.expect("nobody waits behind entries that nobody confirms");
        let answer = answer.expect("more were proposed").expect("no panic");
        assert!(
            matches!(answer, Err(Error::NotLeader { leader: None })),
            "{answer:?}"
        );
    }
    cluster.stop_all().await;
}
