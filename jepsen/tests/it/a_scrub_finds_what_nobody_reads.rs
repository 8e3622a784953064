//! A byte of a follower's state changes where nobody reads: a scrub names the place, the node
//! repairs itself, and `cluster verify` says so; a row that is planted on one node is told, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use bytes::Bytes;
use engine::env::{Env, Vfs};
use engine::store::{self, BlockCache, NewRow, RowMeta, RowWrite, StoreKind};
use engine::{DEFAULT_KEYSPACE, Options};
use engine_client::{Client, ClientOptions, NewMessage};
use engine_jepsen::cluster::{Cluster, binary};
use serde_json::Value;

use super::{PATIENCE, small_cluster};

/// Runs `engine-cli` against a cluster.
fn cli(cluster: &Cluster, arguments: &[&str]) -> Output {
    let program = binary::built().expect("engine-cli can be built");
    Command::new(program)
        .args(arguments)
        .args(["--endpoints", &cluster.client_addresses().join(",")])
        .args(["--output", "json"])
        .output()
        .expect("the program runs")
}

/// What it said, and its exit code.
fn said(output: &Output) -> (Option<i32>, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}\n{errors}"));
    (output.status.code(), json)
}

async fn client(cluster: &Cluster) -> Client {
    let client = Client::connect(ClientOptions::new(cluster.client_addresses()));
    client.await.expect("the seeds are addresses")
}

/// Writes messages and rows until each node has checkpoints with sealed files.
async fn fill(cluster: &Cluster) {
    let client = client(cluster).await;
    let (topics, log, kv) = (client.topics(), client.log(), client.kv());
    let made = topics.create("events", 1).await;
    made.expect("a healthy cluster");
    for number in 0..400 {
        let message = NewMessage {
            value: format!("{number:05}").repeat(200).into(),
            ..NewMessage::default()
        };
        let sent = log.produce("events", vec![message]).await;
        sent.expect("a healthy cluster");
        let key = format!("row-{number}");
        let put = kv.put(DEFAULT_KEYSPACE, key, "1").await;
        put.expect("a healthy cluster");
    }
}

/// Somebody who follows, and whose checkpoint covers something.
async fn follower(cluster: &mut Cluster) -> u64 {
    let leader = cluster.wait_for_leader(PATIENCE).await.expect("a leader");
    loop {
        for status in cluster.statuses().await {
            let group = status.groups.first().expect("group 0");
            if status.node_id != leader && group.checkpoint_index > 0 {
                return status.node_id;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The newest state in a node's folder.
fn state(cluster: &Cluster, node: u64) -> PathBuf {
    let group = cluster.folder().join(format!("node-{node}/group-0"));
    let entries = fs::read_dir(group).expect("the group's folder is there");
    let paths = entries.map(|entry| entry.expect("a readable name").path());
    let states = paths.filter(|path| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("state-")
    });
    states.max().expect("a state")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_finds_what_nobody_reads_and_verify_finds_what_differs() {
    let mut cluster = small_cluster().await;
    fill(&cluster).await;
    let victim = follower(&mut cluster).await;
    let (code, verified) = said(&cli(&cluster, &["cluster", "verify"]));
    assert_eq!(code, Some(0), "{verified}");

    let file = state(&cluster, victim).join("partitions/1-0/00000000000000000000.part");
    let mut bytes = fs::read(&file).expect("a readable file");
    bytes[5_000] ^= 1;
    fs::write(&file, bytes).expect("a writable file");
    let node = victim.to_string();
    let scrub = ["node", "scrub", &node, "--bytes-per-second", "1000000000"];
    let (code, scrubbed) = said(&cli(&cluster, &scrub));
    assert_eq!(code, Some(1), "{scrubbed}");
    let finds = scrubbed.get("finds").and_then(Value::as_array);
    let [find] = finds.expect("finds are told").as_slice() else {
        panic!("one place is damaged: {scrubbed}");
    };
    let named = find.get("file").and_then(Value::as_str).expect("a file");
    assert!(
        Path::new(named).ends_with("partitions/1-0/00000000000000000000.part"),
        "{find}"
    );
    let offset = find.get("offset").and_then(Value::as_u64);
    assert!(
        offset.is_some_and(|at| (3_000..=5_000).contains(&at)),
        "{find}"
    );

    restart_repaired(&mut cluster, victim).await;
    let agreed = cluster.wait_for_agreement(PATIENCE).await;
    agreed.expect("equal states");
    let (code, scrubbed) = said(&cli(&cluster, &scrub));
    assert_eq!(code, Some(0), "{scrubbed}");
    let (code, verified) = said(&cli(&cluster, &["cluster", "verify"]));
    assert_eq!(code, Some(0), "{verified}");

    plant(&mut cluster, victim).await;
    let agreed = cluster.wait_for_agreement(PATIENCE).await;
    agreed.expect("the digests know nothing of it");
    let (code, verified) = said(&cli(&cluster, &["cluster", "verify"]));
    assert_eq!(code, Some(1), "{verified}");
    let expected = serde_json::json!([
        {"of": DEFAULT_KEYSPACE, "is_keyspace": true, "nodes": [victim]}
    ]);
    assert_eq!(verified.get("differences"), Some(&expected), "{verified}");
}

/// Waits until the node has ended because of what was found, and starts it: it repairs itself, and
/// has not forgotten what was found.
async fn restart_repaired(cluster: &mut Cluster, victim: u64) {
    loop {
        let node = cluster.node_mut(victim).expect("it is there");
        let ended = node.ended().expect("the process can be looked after");
        if ended.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let node = cluster.node_mut(victim).expect("it is there");
    node.kill().expect("what has ended is forgotten");
    node.start().expect("the program starts");
    loop {
        if let Ok(status) = cluster.status(victim).await
            && let Some(repair) = status.repairs.first()
            && repair.state == "repaired"
        {
            let metrics = status.metrics.expect("a status has metrics");
            assert_eq!((metrics.repairs, metrics.scrub_errors_total), (1, 1));
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Puts a row into the store of one node, with right checksums, and into no other.
async fn plant(cluster: &mut Cluster, victim: u64) {
    let node = cluster.node_mut(victim).expect("it is there");
    let stopped = node.stop(PATIENCE).await;
    stopped.expect("it ends when it is asked to");
    let dir = state(cluster, victim).join("store");
    let env = Env::os();
    let vfs: Arc<dyn Vfs> = env.vfs.clone();
    let manifest = engine::inspect::manifest(&vfs, &dir, &mut |_| {});
    let checkpoint = manifest.expect("a whole manifest").checkpoint;
    let revision = checkpoint.expect("a checkpoint").revision;
    let options = Options::default().validate().expect("the defaults");
    let blocks = BlockCache::new(0);
    let store = store::open(StoreKind::Lsm, &env, &dir, options.store(), blocks);
    let store = store.expect("a whole store");
    let row = RowWrite {
        key: Bytes::from_static(b"\0\0\0\x01planted"),
        value: Some(NewRow {
            value: Bytes::from_static(b"here alone"),
            meta: RowMeta::of_bytes(revision, 1),
        }),
    };
    let written = store.write(revision, &[row], &[]);
    written.expect("a healthy disk");
    store.freeze(store.checkpoint().expect("there is one"));
    assert!(store.flush().expect("a healthy disk"));
    store.close();
    drop(store);
    let node = cluster.node_mut(victim).expect("it is there");
    node.start().expect("the program starts");
}
