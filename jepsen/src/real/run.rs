//! One run from the first process to the verdict.
//!
//! ```text
//! start ─► rounds: break, hold, heal, a fresh write ─► clients stop ─► equal states
//!   ─► everything is read ─► checkers
//! ```

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::field::{Field, STOP_MAX};
use super::ground::Ground;
use super::nemesis::Nemesis;
use super::plot;
use super::report::Report;
use crate::checker::{self, gap, liveness};
use crate::cluster::Plan;
use crate::history::{Act, Answer, End, History, Recorder};
use crate::state::State;
use crate::workload::{self, Part, Role, Workload};

const KEYSPACE: &str = "jepsen";
const TOPIC: &str = "jepsen";
const PARTITIONS: u32 = 4;

/// The nemesis in the history: no client has so high a number.
const NEMESIS: u64 = 1 << 40;

/// How long a client tries before it says that nobody knows.
const DEADLINE: Duration = Duration::from_secs(5);
/// From a heal to this many writes that began after it.
const HEAL_MAX: Duration = Duration::from_secs(45);
const FRESH_WRITES: usize = 5;
/// From the last operation to equal states on all nodes.
const AGREE_MAX: Duration = Duration::from_mins(1);
/// From the loss of a minority to this many writes that began after it.
const FAILOVER_MAX: Duration = Duration::from_secs(15);
/// How long a fault stays.
const HOLD_MS: std::ops::Range<u64> = 500..4_000;
/// How long nothing is broken in between.
const QUIET_MS: std::ops::Range<u64> = 100..1_500;
/// Violations of one checker that are told.
const VIOLATIONS_MAX: usize = 20;

/// What a run shall be.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The nodes' program.
    pub program: PathBuf,
    /// How many nodes.
    pub nodes: u64,
    /// How long faults come.
    pub duration: Duration,
    /// Draws the faults.
    pub seed: u64,
    /// Which kinds; empty means none.
    pub nemeses: Vec<Nemesis>,
    /// What was asked for and is not possible here, or only in part, and why.
    pub limits: Vec<String>,
    /// No holding and no quiet time: the next fault comes as soon as there was a fresh write.
    pub rush: bool,
    /// How many clients.
    pub clients: usize,
    /// What they do, in turn.
    pub roles: Vec<Role>,
    /// The fewest acknowledged operations a second, over the whole run.
    pub rate_min: f64,
    /// Whether machines get networks of their own.
    pub has_net: bool,
    /// Whether machines get disks of their own.
    pub has_disks: bool,
    /// Where the nodes' folders are made.
    pub place: PathBuf,
    /// Where history, plots, traces and the report go.
    pub out: PathBuf,
}

/// The clients; the first quarter keep to one node each, whatever becomes of it.
fn parts(setup: &Setup) -> Vec<Part> {
    let nodes = usize::try_from(setup.nodes).expect("a few");
    let roles = setup.roles.iter().cycle();
    let parts = roles.take(setup.clients).enumerate();
    parts
        .map(|(number, role)| Part {
            node: (number < setup.clients / 4).then_some(number % nodes),
            ..Part::new(*role)
        })
        .collect()
}

/// Runs; `told` hears what happens.
pub async fn run(setup: &Setup, told: impl Fn(&str)) -> Result<Report> {
    fs::create_dir_all(&setup.out)
        .with_context(|| format!("make the folder {}", setup.out.display()))?;
    // Before everything that lies in it, so that it is removed last.
    let place = TempDir::with_prefix_in("engine-jepsen-", &setup.place).context("make a folder")?;
    let ground = Arc::new(Ground::new(setup.has_net, setup.has_disks, setup.seed)?);
    let plan = Plan {
        voters: setup.nodes,
        options: small_budgets(),
        place: Some(place.path().to_owned()),
        ..Plan::new(setup.program.clone())
    };
    let mut field = Field::start(plan, ground, setup.seed).await?;
    let plan = workload::Plan {
        seeds: field.cluster.client_addresses(),
        parts: parts(setup),
        deadline: DEADLINE,
        keyspace: KEYSPACE.to_owned(),
        topic: TOPIC.to_owned(),
        partitions: PARTITIONS,
        dialer: engine_proto::Dialer::default(),
    };
    let workload = Workload::start(plan).await?;
    let recorder = Arc::clone(workload.recorder());
    let began = Instant::now();
    let mut wrong = Vec::new();
    if let Err(error) = rounds(setup, &mut field, &recorder, &told).await {
        wrong.push(format!("not live: {error:#}"));
    }
    let worked = began.elapsed();
    let mut history = workload.finish().await?;
    if wrong.is_empty()
        && let Err(error) = read(&mut field, &mut history).await
    {
        wrong.push(format!("{error:#}"));
    }
    wrong.append(&mut field.alarms);
    keep(setup, &field, &history)?;
    let report = judge(setup, &field, &history, worked, wrong);
    let path = setup.out.join("report.json");
    fs::write(&path, serde_json::to_string_pretty(&report)?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(report)
}

/// So small that tables, checkpoints, purges and new segments happen all the time.
fn small_budgets() -> serde_json::Value {
    json!({
        "log_segment_bytes": 17 << 20,
        "log_tail_bytes": 512 * 1024,
        "memtable_bytes": 64 * 1024,
        "table_bytes": 64 * 1024,
        "level_base_bytes": 256 * 1024,
        "checkpoint_bytes": 256 * 1024,
        "partition_file_bytes": 64 * 1024,
    })
}

async fn rounds(
    setup: &Setup,
    field: &mut Field,
    recorder: &Recorder,
    told: &impl Fn(&str),
) -> Result<()> {
    let until = Instant::now() + setup.duration;
    fresh_writes(recorder, HEAL_MAX).await?;
    let mut deck = Vec::new();
    while Instant::now() < until {
        if setup.nemeses.is_empty() {
            sleep(until - Instant::now()).await;
            break;
        }
        if deck.is_empty() {
            deck = all_pairs(&setup.nemeses);
            deck.shuffle(&mut field.chance);
        }
        let kinds = deck.pop().unwrap_or_default();
        for kind in &kinds {
            strike(*kind, field, recorder, told).await?;
        }
        if let [Nemesis::Kill | Nemesis::Pause | Nemesis::Power] = kinds.as_slice()
            && field.has_majority()
            && !setup.rush
        {
            let writes = fresh_writes(recorder, FAILOVER_MAX).await;
            writes.context("a minority is lost")?;
            field.count("times a majority wrote on", 1);
        }
        pause(setup, field, HOLD_MS).await;
        let healing = Instant::now();
        recorder.invoke(NEMESIS, Act::Heal);
        field.heal().await.context("heal")?;
        recorder.ok(NEMESIS, Answer::default());
        fresh_writes(recorder, HEAL_MAX).await?;
        let what = format!(
            "healed, writing {:.1} s later",
            healing.elapsed().as_secs_f64()
        );
        tell(field, recorder, &what, told);
        pause(setup, field, QUIET_MS).await;
    }
    Ok(())
}

/// Each kind alone, and each two together.
fn all_pairs(kinds: &[Nemesis]) -> Vec<Vec<Nemesis>> {
    let mut deck: Vec<Vec<Nemesis>> = kinds.iter().map(|kind| vec![*kind]).collect();
    for (place, first) in kinds.iter().enumerate() {
        for second in kinds.iter().skip(place + 1) {
            deck.push(vec![*first, *second]);
        }
    }
    deck
}

async fn strike(
    kind: Nemesis,
    field: &mut Field,
    recorder: &Recorder,
    told: &impl Fn(&str),
) -> Result<()> {
    let name = kind.to_string();
    recorder.invoke(NEMESIS, Act::Fault { name });
    let done = kind.strike(field).await;
    recorder.ok(NEMESIS, Answer::default());
    let what = done.with_context(|| format!("nemesis {kind}"))?;
    tell(field, recorder, &what, told);
    Ok(())
}

fn tell(field: &mut Field, recorder: &Recorder, what: &str, told: &impl Fn(&str)) {
    let line = format!("{:8.1} s  {what}", recorder.now_us() as f64 / 1e6);
    told(&line);
    field.story.push(line);
}

async fn pause(setup: &Setup, field: &mut Field, ms: std::ops::Range<u64>) {
    if !setup.rush {
        sleep(Duration::from_millis(field.chance.random_range(ms))).await;
    }
}

async fn fresh_writes(recorder: &Recorder, patience: Duration) -> Result<()> {
    let since_us = recorder.now_us();
    let written = recorder.wait_for_writes(since_us, FRESH_WRITES, patience);
    ensure!(
        written.await,
        "{FRESH_WRITES} writes after {since_us} us took longer than {patience:?}"
    );
    Ok(())
}

/// Waits for equal states and reads everything.
async fn read(field: &mut Field, history: &mut History) -> Result<()> {
    field.cluster.wait_for_agreement(AGREE_MAX).await?;
    let client = field.client(AGREE_MAX).await?;
    let state = State::read(&client, KEYSPACE, TOPIC).await?;
    state.append_to(history);
    field.cluster.stop_all(STOP_MAX).await
}

fn judge(
    setup: &Setup,
    field: &Field,
    history: &History,
    worked: Duration,
    mut violations: Vec<String>,
) -> Report {
    let calls = history.calls();
    let clients = || calls.iter().filter(|call| !call.act.is_nemesis());
    let ok = clients()
        .filter(|call| matches!(call.end, End::Ok { .. }))
        .count();
    let fail = clients().filter(|call| call.failed()).count();
    let unknown = clients().filter(|call| call.end == End::Unknown).count();
    let bounds = liveness::Bounds {
        recover_max: HEAL_MAX,
        rate_min: setup.rate_min,
        availability_min: 0.0,
    };
    let mut checkers = checker::check(history);
    checkers.push(liveness::check(history, &bounds));
    for report in &checkers {
        let told = report.violations.iter().take(VIOLATIONS_MAX);
        violations.extend(told.map(|violation| format!("{}: {violation}", report.checker)));
    }
    let outages = liveness::outages(history);
    let recovered = outages.iter().filter_map(|outage| outage.recovered_after);
    let end_us = history.ops.last().map_or(0, |op| op.time_us);
    let gap = gap::longest(&calls, 0, end_us).map_or(Duration::ZERO, |gap| gap.length());
    Report {
        seed: setup.seed,
        nodes: setup.nodes,
        seconds: worked.as_secs_f64(),
        limits: setup.limits.clone(),
        figures: field.figures.clone(),
        ok,
        fail,
        unknown,
        rate: ok as f64 / worked.as_secs_f64().max(0.001),
        recovered_ms_max: millis(recovered.max().unwrap_or_default()),
        gap_ms_max: millis(gap),
        outages,
        violations,
        checkers,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Writes down what was asked, answered and said.
fn keep(setup: &Setup, field: &Field, history: &History) -> Result<()> {
    let make = |name: &str| -> Result<(PathBuf, BufWriter<File>)> {
        let path = setup.out.join(name);
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        Ok((path, BufWriter::new(file)))
    };
    let (path, file) = make("history.jsonl")?;
    history
        .write_jsonl(file)
        .with_context(|| format!("write {}", path.display()))?;
    let (path, file) = make("history.edn")?;
    history
        .write_edn(file)
        .with_context(|| format!("write {}", path.display()))?;
    fs::write(setup.out.join("story.log"), field.story.join("\n"))?;
    fs::write(setup.out.join("timeline.svg"), plot::timeline(history))?;
    fs::write(setup.out.join("latency.svg"), plot::latency(history))?;
    traces(field.cluster.folder(), &setup.out)
}

/// Copies what all nodes said, those that are long gone too.
fn traces(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).context("list the cluster's folder")? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "log")
            && let Some(name) = path.file_name()
        {
            fs::copy(&path, to.join(name)).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}
