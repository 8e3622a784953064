//! A small file system fills up under a node: writes are refused, reads and deletes go on, also
//! after `kill -9`; with room, writes come back by themselves, and nothing acknowledged is lost.
//! The node's trace lies on the same file system, so it cannot be written either.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine_client::{Client, ClientOptions, Error, NodeStatus};
use engine_jepsen::cluster::{Cluster, Plan, binary};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{KEYSPACE, PATIENCE, tell};

/// Two log segments of 17 MiB, the reserve, and room for rows.
const DISK: &str = "size=112m";

/// A file system in memory; it goes with this.
struct Mount(PathBuf);

impl Mount {
    /// `Err` tells why this machine does not let us.
    fn new(path: &Path) -> Result<Self, String> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(path);
        let output = mount.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(Self(path.to_owned()))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: after a panic the cluster keeps its folder.
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        drop(done);
    }
}

/// One voter on the file system.
async fn start(place: &Path) -> Cluster {
    let plan = Plan {
        voters: 1,
        options: json!({
            "log_segment_bytes": 17 << 20,
            "memtable_bytes": 256 * 1024,
            "table_bytes": 256 * 1024,
            "level_base_bytes": 1024 * 1024,
            "checkpoint_bytes": 512 * 1024,
        }),
        place: Some(place.to_owned()),
        ..Plan::new(binary::built().expect("engine-cli can be built"))
    };
    Cluster::start(plan).await.expect("the node starts")
}

/// What was acknowledged.
#[derive(Default)]
struct Written {
    rows: BTreeMap<String, usize>,
    next: usize,
}

impl Written {
    /// One row of 64 KiB.
    async fn put(&mut self, client: &Client) -> Result<(), Error> {
        let (key, number) = (format!("row-{:06}", self.next), self.next);
        client
            .kv()
            .put(KEYSPACE, key.clone(), value(number))
            .await?;
        self.next += 1;
        self.rows.insert(key, number);
        Ok(())
    }

    /// Every row is there, and what was deleted is not.
    async fn check(&self, client: &Client) {
        for number in 0..self.next {
            let key = format!("row-{number:06}");
            let found = client.kv().get(KEYSPACE, key.clone()).await;
            let found = found.expect("reads go on").map(|row| row.value);
            let expected = self.rows.get(&key).map(|number| value(*number).into());
            assert_eq!(found, expected, "{key}");
        }
    }
}

fn value(number: usize) -> Vec<u8> {
    let number = number.to_le_bytes();
    number.into_iter().cycle().take(64 * 1024).collect()
}

/// Fills what is left, as somebody else's files would.
fn fill(path: &Path) {
    let mut ballast = File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("the file system takes a name");
    let mut piece = vec![0; 1 << 20];
    while !piece.is_empty() {
        if ballast.write_all(&piece).is_err() {
            piece.truncate(piece.len() / 2);
        }
    }
}

/// Waits until the node's disk is as wanted.
async fn until(cluster: &Cluster, wanted: impl Fn(&NodeStatus) -> bool) -> NodeStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(status) = cluster.status(1).await
            && wanted(&status)
        {
            return status;
        }
        assert!(
            Instant::now() < deadline,
            "the disk is not as wanted: {:?}\n{}",
            cluster.status(1).await,
            cluster.nodes()[0].trace_tail(20)
        );
        sleep(Duration::from_millis(50)).await;
    }
}

fn disk_is(state: &'static str) -> impl Fn(&NodeStatus) -> bool {
    move |status| status.disk.as_ref().is_some_and(|disk| disk.state == state)
}

/// A write is refused, and the refusal says that nothing was changed and what to do.
async fn assert_refused(client: &Client, written: &mut Written) {
    let refused = written.put(client).await.expect_err("the disk is full");
    assert!(refused.is("DISK_FULL"), "{refused}");
    assert_eq!(refused.certainty(), engine_client::Certainty::Certain);
    assert!(refused.to_string().contains("free space"), "{refused}");
}

async fn delete_some(client: &Client, written: &mut Written, count: usize) {
    for _ in 0..count {
        let (key, _) = written.rows.pop_first().expect("there are rows");
        let deleted = client.kv().delete(KEYSPACE, key).await;
        deleted.expect("deletes go on");
    }
}

async fn restart(cluster: &mut Cluster) {
    let node = cluster.node_mut(1).expect("it is there");
    node.kill().expect("it runs");
    node.start().expect("the program starts");
    let lead = cluster.wait_for_leader(PATIENCE).await;
    lead.expect("it starts on a full disk");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mount = match Mount::new(folder.path()) {
        Ok(mount) => mount,
        Err(reason) => return tell(&format!("skipped, cannot mount a tmpfs: {reason}")),
    };
    let mut cluster = start(folder.path()).await;
    let options = ClientOptions {
        deadline: PATIENCE,
        ..ClientOptions::new(cluster.client_addresses())
    };
    let client = Client::connect(options).await.expect("a seed");
    let created = client.keyspaces().create(KEYSPACE).await;
    created.expect("there is room");
    let mut written = Written::default();

    // The node fills the disk itself: it stops while a checkpoint still fits.
    let refused = loop {
        if let Err(refused) = written.put(&client).await {
            break refused;
        }
    };
    assert!(refused.is("DISK_FULL"), "{refused}");
    let own = written.next;
    let disk = until(&cluster, disk_is("read-only")).await.disk;
    let disk = disk.expect("a node tells of its disk");
    assert!(disk.free_bytes > 512 * 1024, "a checkpoint fits: {disk:?}");
    written.check(&client).await;

    // Somebody else fills the rest, to the last byte.
    let ballast = folder.path().join("ballast");
    fill(&ballast);
    until(&cluster, |status| {
        status
            .disk
            .as_ref()
            .is_some_and(|disk| disk.free_bytes < 4096)
    })
    .await;
    assert_refused(&client, &mut written).await;
    // More than a checkpoint's worth of entries, so that one is tried and finds no room.
    delete_some(&client, &mut written, 40).await;
    written.check(&client).await;
    restart(&mut cluster).await;
    fill(&ballast);
    until(&cluster, disk_is("read-only")).await;
    assert_refused(&client, &mut written).await;
    delete_some(&client, &mut written, 10).await;
    written.check(&client).await;

    // Room comes back, and writes with it, without anybody's help.
    fs::remove_file(&ballast).expect("the ballast can go");
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,size=512m"]).arg(&mount.0);
    assert!(remount.status().expect("mount runs").success());
    until(&cluster, disk_is("healthy")).await;
    for _ in 0..20 {
        written.put(&client).await.expect("there is room");
    }
    restart(&mut cluster).await;
    written.check(&client).await;
    tell(&format!(
        "{own} rows of 64 KiB until read-only with {} MiB free; {} acknowledged rows are there",
        disk.free_bytes >> 20,
        written.rows.len()
    ));
    drop(cluster);
    drop(mount);
}
