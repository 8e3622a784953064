//! Real clusters under real faults; each situation a file, told by its name.

mod a_flipped_byte_in_the_log_stops_the_node;
mod a_flipped_byte_in_the_state_is_repaired;
mod a_frozen_leader_is_replaced;
mod a_full_disk_refuses_writes_until_there_is_room;
mod a_learner_is_sent_a_large_state_in_bounded_memory;
mod a_minority_refuses_writes_and_serves_old_rows;
mod a_scrub_finds_what_nobody_reads;
mod a_seed_tells_one_story;
mod every_acknowledged_write_survives_kills;
mod kept_seeds_stay_good;
mod the_follower_that_has_every_acknowledged_write_is_elected;

use std::fs::File;
use std::time::Duration;

use engine_client::{Client, ClientOptions};
use engine_jepsen::checker::{Verdict, check};
use engine_jepsen::cluster::{Cluster, Plan, binary};
use engine_jepsen::history::History;
use engine_jepsen::state::State;
use engine_jepsen::workload::{self, Workload};
use serde_json::json;

const KEYSPACE: &str = "jepsen";
const TOPIC: &str = "jepsen";
/// How long one step may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(45);

/// Three voters with budgets so small that tables, checkpoints and purges happen all the time.
async fn small_cluster() -> Cluster {
    small_cluster_of(3).await
}

/// The same with so many voters.
async fn small_cluster_of(voters: u64) -> Cluster {
    let program = binary::built().expect("engine-cli can be built");
    let plan = Plan {
        options: json!({
            "memtable_bytes": 64 * 1024,
            "table_bytes": 64 * 1024,
            "level_base_bytes": 256 * 1024,
            "checkpoint_bytes": 128 * 1024,
            "log_tail_bytes": 1024 * 1024,
            "partition_file_bytes": 64 * 1024,
        }),
        voters,
        ..Plan::new(program)
    };
    Cluster::start(plan).await.expect("all nodes start")
}

/// Clients that write to all nodes of a cluster.
async fn start_workload(cluster: &Cluster, clients: usize) -> Workload {
    let plan = workload::Plan {
        seeds: cluster.client_addresses(),
        parts: workload::Part::writers(clients),
        deadline: Duration::from_secs(10),
        keyspace: KEYSPACE.to_owned(),
        topic: TOPIC.to_owned(),
        partitions: 8,
        dialer: engine_proto::Dialer::default(),
    };
    Workload::start(plan).await.expect("the workload starts")
}

/// Stops the clients, reads everything, and lets the checkers speak. Answers the history.
async fn finish_and_check(cluster: &Cluster, workload: Workload) -> History {
    let mut history = workload.finish().await.expect("the clients finish");
    let options = ClientOptions {
        deadline: PATIENCE,
        ..ClientOptions::new(cluster.client_addresses())
    };
    let client = Client::connect(options)
        .await
        .expect("the seeds are addresses");
    State::read(&client, KEYSPACE, TOPIC)
        .await
        .expect("everything can be read")
        .append_to(&mut history);
    let mut reports = check(&history);
    reports.retain(|report| !matches!(report.verdict(), Verdict::Ok | Verdict::Idle));
    if !reports.is_empty() {
        keep(cluster, &history);
    }
    for report in &mut reports {
        report.violations.truncate(20);
    }
    assert!(
        reports.is_empty(),
        "violations in {} lines, history in {}: {reports:#?}",
        history.ops.len(),
        cluster.folder().display(),
    );
    history
}

fn keep(cluster: &Cluster, history: &History) {
    let path = cluster.folder().join("history.jsonl");
    let file = File::create(&path).expect("the folder is there");
    history.write_jsonl(file).expect("the disk takes a history");
}

/// What a test has measured, for whoever runs it with `--nocapture`.
#[expect(
    clippy::print_stdout,
    reason = "figures for people, shown by the test runner"
)]
fn tell(figure: &str) {
    println!("{figure}");
}
