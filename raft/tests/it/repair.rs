//! A node whose state is damaged becomes whole again by itself, or waits and takes no part.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::command::{Commit, NewMessage, Op, Outcome};
use engine::env::vfs::OpenMode;
use engine::env::{File, Vfs};
use engine::ids::{GroupId, NodeId, Offset, PartitionId};
use engine::query::{FetchRequest, ScanRequest};
use engine::replica::Replica;
use engine::{ErrorKind, Options};
use engine_proto::v1::PeerRequest;
use engine_proto::v1::peer_client::PeerClient;
use engine_raft::{Error, Joining, Node, RepairProgress, RepairStatus, Timings};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Code;

use super::cluster::{Cluster, GROUP, PATIENCE, Place, Running, Setup, patient};

const DIR: &str = "/node/group-0";

/// Files of each kind, small, and a log that soon forgets.
pub(super) fn setup() -> Setup {
    Setup {
        options: Options {
            memtable_bytes: 16 * 1024,
            table_bytes: 8 * 1024,
            blob_threshold_bytes: 1024,
            log_segment_bytes: 32 * 1024 * 1024,
            ..Options::default()
        },
        timings: Timings {
            entries_kept: 5,
            ..patient()
        },
        ..Setup::default()
    }
}

/// A row, a large row and a message in one commit.
fn commit(number: u64) -> engine::command::Command {
    let put = |key: String, bytes: usize| {
        Op::put(
            super::cluster::row(&key),
            format!("{number:05}").repeat(bytes / 5).into(),
        )
    };
    engine::command::Command::Commit(Commit {
        ops: vec![
            put(format!("row-{number:05}"), 200),
            put(format!("large-{number:05}"), 2000),
            Op::Publish {
                topic: "events".to_owned(),
                partition: None,
                message: NewMessage {
                    key: None,
                    value: format!("message {number}").repeat(20).into(),
                    headers: Vec::new(),
                },
            },
        ],
        ..Commit::default()
    })
}

/// Writes numbers to whoever leads; all of them are acknowledged.
pub(super) async fn write(cluster: &Cluster, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let decide = async {
            loop {
                let leader = cluster.leader(GROUP).await;
                match leader.propose(GROUP, commit(number)).await {
                    Ok(Outcome::Committed { .. }) => return,
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => tracing::debug!(%error, "again"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, decide).await.expect("it is decided");
    }
}

pub(super) async fn found(count: u64) -> Cluster {
    let cluster = Cluster::found(count, &setup()).await;
    let created = engine::command::Command::CreateTopic {
        name: "events".to_owned(),
        partitions: 1,
    };
    let leader = cluster.leader(GROUP).await;
    leader.propose(GROUP, created).await.expect("a new topic");
    write(&cluster, 0..60).await;
    for running in cluster.running.values() {
        checkpoint(&running.node).await;
    }
    // The logs forget what the checkpoints cover.
    write(&cluster, 60..70).await;
    cluster
}

async fn checkpoint(node: &Node) {
    let replica = node.replica(GROUP).expect("the group is there");
    let made = node.blocking(move || {
        replica.begin_checkpoint()?;
        replica.wait_for_checkpoint()
    });
    made.await.expect("it ends").expect("a healthy disk");
}

fn files(vfs: &dyn Vfs, dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in vfs.list(dir).expect("a folder") {
        let path = dir.join(entry.name);
        if entry.is_dir {
            files(vfs, &path, found);
        } else {
            found.push(path);
        }
    }
}

/// Changes bytes all over the files of the state whose names hold `kind`; answers their names.
fn damage(place: &Place, kind: &str) -> Vec<PathBuf> {
    let mut names = Vec::new();
    files(place.env.vfs.as_ref(), Path::new(DIR), &mut names);
    names.retain(|name| name.to_string_lossy().contains("/state-"));
    names.retain(|name| {
        name.file_name()
            .is_some_and(|n| n.to_string_lossy().contains(kind))
    });
    assert!(!names.is_empty(), "there are files of kind {kind}");
    for name in &names {
        let file = open(place, name);
        let len = file.len().expect("a length");
        for part in 0..16 {
            flip(file.as_ref(), len * part / 16);
        }
    }
    names
}

/// Changes a byte near the beginning of each file of this kind.
pub(super) fn damage_slightly(place: &Place, kind: &str) {
    let mut names = Vec::new();
    files(place.env.vfs.as_ref(), Path::new(DIR), &mut names);
    names.retain(|name| name.extension().is_some_and(|here| here == kind));
    assert!(!names.is_empty(), "there are files of kind {kind}");
    for name in &names {
        flip(open(place, name).as_ref(), 100);
    }
}

pub(super) fn open(place: &Place, name: &Path) -> Arc<dyn File> {
    let file = place.env.vfs.open(name, OpenMode::ReadWrite);
    file.expect("the file is there")
}

fn flip(file: &dyn File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("its bytes");
    let written = file.write_at(&[byte[0] ^ 0x10], at);
    written.expect("a healthy disk");
}

/// Begins to start a node, which waits until it is repaired.
async fn begin(place: &Place) -> (Running, JoinHandle<Result<Node, Error>>) {
    let joining = Joining::open(place.config()).await.expect("it opens");
    let running = place.serve(joining.node().clone()).await;
    (running, tokio::spawn(joining.join()))
}

/// Waits until a node has stopped because of damage, and takes it out.
pub(super) async fn stopped_by_damage(cluster: &mut Cluster, id: NodeId) {
    let mut failed = cluster.node(id).failed();
    let reason = timeout(PATIENCE, failed.wait_for(Option::is_some)).await;
    let reason = reason.expect("in time").expect("it is told").clone();
    assert!(
        reason
            .as_deref()
            .is_some_and(|reason| reason.contains("damaged at byte")),
        "{reason:?}"
    );
    let running = cluster.running.remove(&id).expect("it runs");
    running.try_stop().await.expect_err("it has failed");
}

/// Everything that can be read of a state, which no damage may hide.
fn read_all(replica: &Replica) -> engine::Result<(usize, usize)> {
    let mut after = None;
    let mut rows = 0;
    loop {
        let page = replica.scan(&ScanRequest {
            keyspace: "default".to_owned(),
            after: after.clone(),
            ..ScanRequest::default()
        })?;
        rows += page.rows.len();
        after = page.rows.last().map(|row| row.key.clone());
        if !page.more {
            break;
        }
    }
    let messages = replica.fetch(&FetchRequest {
        topic: "events".to_owned(),
        partition: PartitionId(0),
        from: Offset(0),
        limit: 0,
    })?;
    Ok((rows, messages.messages.len()))
}

/// Starts a damaged node until it is repaired: at once if the damage is seen at the start, else
/// once more after a read has met it. Answers what it says of the repair.
async fn repaired(cluster: &mut Cluster, id: NodeId) -> RepairStatus {
    cluster.start(id).await;
    if cluster.node(id).status().repairs.is_empty() {
        let replica = cluster.node(id).replica(GROUP).expect("it is there");
        let error = read_all(&replica).expect_err("its files are damaged");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        stopped_by_damage(cluster, id).await;
        cluster.start(id).await;
    }
    let status = cluster.node(id).status();
    assert_eq!(status.metrics.repairs, 1);
    status.repairs.into_iter().next().expect("it was repaired")
}

/// Waits until all running nodes have one state, and checks that it is complete.
pub(super) async fn agree(cluster: &Cluster, rows: usize, messages: usize) {
    for running in cluster.running.values() {
        let barrier = timeout(PATIENCE, running.node.read_barrier(GROUP)).await;
        barrier.expect("in time").expect("a majority runs");
    }
    let states = |cluster: &Cluster| -> Vec<_> {
        let nodes = cluster.running.values();
        nodes
            .map(|running| running.node.replica(GROUP).expect("it is there").view())
            .map(|view| (view.applied, view.revision, view.digest))
            .collect()
    };
    let equal = async {
        loop {
            let states = states(cluster);
            if states.windows(2).all(|two| two[0] == two[1]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = timeout(PATIENCE, equal).await;
    waited.unwrap_or_else(|_| panic!("no equal states: {:?}", states(cluster)));
    for (id, running) in &cluster.running {
        let replica = running.node.replica(GROUP).expect("it is there");
        let found = read_all(&replica).expect("nothing is damaged");
        assert_eq!(found, (rows, messages), "node {id}");
    }
}

fn assert_kept(place: &Place, repair: &RepairStatus, damaged: &[PathBuf]) {
    let RepairProgress::Repaired { quarantine, .. } = &repair.progress else {
        panic!("{repair:?}");
    };
    for name in damaged {
        let below = name.strip_prefix(DIR).expect("a file of the group");
        let below: PathBuf = below.components().skip(1).collect();
        let kept = quarantine.join(below);
        let there = place.env.vfs.exists(&kept).expect("a healthy disk");
        assert!(there, "{} is not kept", kept.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_file_of_one_in_three_is_damaged_it_repairs_itself() {
    let mut cluster = found(3).await;
    let mut written = 70;
    for kind in ["CURRENT", "MANIFEST", ".table", ".blob", ".part"] {
        let victim = cluster.follower().await.status().node;
        checkpoint(cluster.node(victim)).await;
        cluster.stop(victim).await;
        let damaged = damage(cluster.place(victim), kind);
        write(&cluster, written..written + 20).await;
        written += 20;
        let repair = repaired(&mut cluster, victim).await;
        assert!(
            repair.damage.path.to_string_lossy().contains("state-"),
            "{kind}: {repair:?}"
        );
        assert_kept(cluster.place(victim), &repair, &damaged);
        write(&cluster, written..written + 5).await;
        written += 5;
        let count = usize::try_from(written).expect("a small number");
        agree(&cluster, 2 * count, count).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_five_repair_themselves_at_once() {
    let mut cluster = found(5).await;
    let leader = cluster.leader(GROUP).await.status().node;
    let followers = cluster.places.iter().map(|place| place.id);
    let victims: Vec<_> = followers.filter(|id| *id != leader).take(2).collect();
    let mut damaged = Vec::new();
    for (victim, kind) in victims.iter().zip(["MANIFEST", ".table"]) {
        cluster.stop(*victim).await;
        damaged.push(damage(cluster.place(*victim), kind));
    }
    write(&cluster, 70..90).await;
    for (victim, damaged) in victims.iter().zip(&damaged) {
        let repair = repaired(&mut cluster, *victim).await;
        assert_kept(cluster.place(*victim), &repair, damaged);
    }
    agree(&cluster, 180, 90).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_peer_it_waits_and_neither_votes_nor_reads() {
    let mut cluster = found(3).await;
    cluster.stop_all().await;
    let damaged = damage(cluster.place(NodeId(1)), "CURRENT");

    let place = cluster.place(NodeId(1));
    let (running, join) = begin(place).await;
    let node = running.node.clone();
    let waits = async {
        loop {
            let repair = node.status().repairs.into_iter().next();
            if let Some(RepairStatus {
                progress: RepairProgress::Repairing(doing),
                ..
            }) = &repair
                && doing.starts_with("waits for a peer")
            {
                assert!(
                    doing.contains("node 2") && doing.contains("node 3"),
                    "{doing}"
                );
                return repair.expect("it was just seen");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let repair = timeout(PATIENCE, waits).await.expect("it says so");
    assert!(repair.damage.path.ends_with("CURRENT"), "{repair:?}");
    node.replica(GROUP).expect_err("nothing can be read");
    let mut client = PeerClient::connect(format!("http://{}", place.address))
        .await
        .expect("it is there");
    for kind in [1, 2] {
        let vote = PeerRequest {
            cluster_id: 7,
            from: 2,
            boot: 1,
            to: 1,
            group: GroupId(0).0,
            kind,
            body: Vec::new().into(),
        };
        let refused = client.vote(vote).await.expect_err("it does not vote");
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }

    // One peer is enough, though alone it is no majority: what was asked for is committed.
    let second = cluster.place(NodeId(2)).start().await;
    let joined = timeout(PATIENCE, join).await.expect("it is repaired");
    joined.expect("the task ends").expect("it takes part");
    cluster.running.insert(NodeId(1), running);
    cluster.running.insert(NodeId(2), second);
    let repair = node.status().repairs.into_iter().next();
    let repair = repair.expect("it was repaired");
    assert_kept(cluster.place(NodeId(1)), &repair, &damaged);
    write(&cluster, 70..75).await;
    agree(&cluster, 150, 75).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_node_stops_when_it_is_asked_to_and_goes_on_waiting_later() {
    let mut cluster = found(3).await;
    cluster.stop_all().await;
    damage(cluster.place(NodeId(1)), "MANIFEST");
    for _ in 0..2 {
        let place = cluster.place(NodeId(1));
        let joining = Joining::open(place.config()).await.expect("it opens");
        let node = joining.node().clone();
        let join = tokio::spawn(joining.join());
        timeout(PATIENCE, node.repair_begun())
            .await
            .expect("it begins");
        node.shutdown().await.expect("it stops");
        let joined = timeout(PATIENCE, join).await.expect("it ends");
        joined.expect("the task ends").expect_err("it is stopping");
    }
    for id in [2, 3] {
        cluster.start(NodeId(id)).await;
    }
    repaired(&mut cluster, NodeId(1)).await;
    agree(&cluster, 140, 70).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_peers_refuses_to_start_and_changes_nothing() {
    let mut cluster = found(1).await;
    cluster.stop(NodeId(1)).await;
    let damaged = damage(cluster.place(NodeId(1)), "CURRENT");
    for _ in 0..2 {
        let refused = cluster.place(NodeId(1)).try_start().await;
        let error = refused.err().expect("its state is damaged").to_string();
        assert!(error.contains("CURRENT is damaged at byte"), "{error}");
    }
    let place = cluster.place(NodeId(1));
    let there = place.env.vfs.exists(&damaged[0]).expect("a healthy disk");
    assert!(there, "the damaged file stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_peers_goes_on_with_what_is_whole() {
    let mut cluster = found(1).await;
    cluster.stop(NodeId(1)).await;
    // In the first block, which no start reads.
    damage_slightly(cluster.place(NodeId(1)), "table");
    cluster.start(NodeId(1)).await;
    let node = cluster.leader(GROUP).await;
    let replica = node.replica(GROUP).expect("it is in the group");
    let error = read_all(&replica).expect_err("a block is damaged");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    write(&cluster, 70..75).await;
    assert_eq!(*node.failed().borrow(), None);
    cluster.stop_all().await;
}

/// Nobody has read what is damaged on the leader; whoever joins must not get it, and the leader
/// must hear of it, or nobody could ever join.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_checkpoint_a_new_node_refuses_repairs_itself() {
    let mut cluster = found(3).await;
    let leader = cluster.leader(GROUP).await.status().node;
    // Messages: no compaction comes by.
    damage_slightly(cluster.place(leader), "part");
    let new = NodeId(4);
    cluster.places.push(Place::new(new.0, &setup()).await);
    cluster.start(new).await;
    let member = cluster.place(new).member();
    let added = cluster.node(leader).add_learner(new, member).await;
    added.expect("it becomes a learner");
    stopped_by_damage(&mut cluster, leader).await;
    cluster.start(leader).await;
    let status = cluster.node(leader).status();
    assert_eq!(status.metrics.repairs, 1);
    write(&cluster, 70..75).await;
    agree(&cluster, 150, 75).await;
    cluster.stop_all().await;
}

/// The same between a node that repairs itself and the only peer it can ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_whose_checkpoint_repairs_nothing_repairs_itself() {
    let mut cluster = found(3).await;
    cluster.stop(NodeId(1)).await;
    cluster.stop(NodeId(3)).await;
    damage(cluster.place(NodeId(1)), "CURRENT");
    damage_slightly(cluster.place(NodeId(2)), "part");

    let (running, join) = begin(cluster.place(NodeId(1))).await;
    stopped_by_damage(&mut cluster, NodeId(2)).await;
    cluster.start(NodeId(3)).await;
    cluster.start(NodeId(2)).await;
    let joined = timeout(PATIENCE, join).await.expect("it is repaired");
    joined.expect("the task ends").expect("it takes part");
    cluster.running.insert(NodeId(1), running);
    for id in [1, 2] {
        assert_eq!(cluster.node(NodeId(id)).status().metrics.repairs, 1);
    }
    write(&cluster, 70..75).await;
    agree(&cluster, 150, 75).await;
    cluster.stop_all().await;
}
