//! The clients' host: they work while faults come and after, then everything is read.

use std::sync::Arc;
use std::time::Duration;

use engine_client::{Client, ClientOptions};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::machine::address;
use super::net::{self, CLIENT_PORT};
use super::swarm::Swarm;
use super::trace::Trace;
use crate::history::{History, Recorder};
use crate::state::State;
use crate::workload::{Plan, Workload};

/// The clients' host.
pub(super) const HOST: &str = "clients";

const KEYSPACE: &str = "rows";
const TOPIC: &str = "messages";

/// How long a client tries before it says that nobody knows.
const DEADLINE: Duration = Duration::from_secs(4);

/// How often the clients' host looks at what it shall do.
const LOOK: Duration = Duration::from_millis(5);

/// Where the clients stand, and what they found; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    recorder: Option<Arc<Recorder>>,
    told_to: Stage,
    history: Option<History>,
    state: Option<State>,
    trouble: Option<String>,
    something_rots: bool,
}

/// What the clients shall do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Work,
    Stop,
    Read,
}

impl Progress {
    /// The history in the making, once the clients work.
    pub(super) fn recorder(&self) -> Option<Arc<Recorder>> {
        self.shared.lock().recorder.clone()
    }

    pub(super) fn tell(&self, stage: Stage) {
        self.shared.lock().told_to = stage;
    }

    /// The whole history, once the clients have stopped.
    pub(super) fn take_history(&self) -> Option<History> {
        self.shared.lock().history.take()
    }

    /// What is left, once it is read.
    pub(super) fn take_state(&self) -> Option<State> {
        self.shared.lock().state.take()
    }

    /// From now on a read may fail because of what has rotted.
    pub(super) fn tell_of_rot(&self) {
        self.shared.lock().something_rots = true;
    }

    /// Why the clients could not do what they were told to.
    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    async fn told(&self, stage: Stage) {
        while self.shared.lock().told_to < stage {
            sleep(LOOK).await;
        }
    }
}

/// Everything that the clients do.
pub(super) async fn run(swarm: Arc<Swarm>, progress: Progress, trace: Trace) {
    if let Err(error) = work(&swarm, &progress, &trace).await {
        progress.shared.lock().trouble = Some(format!("{error:#}"));
    }
}

async fn work(swarm: &Swarm, progress: &Progress, trace: &Trace) -> anyhow::Result<()> {
    let dialer = net::dialer(HOST, trace);
    let seeds: Vec<String> = (1..=swarm.nodes)
        .map(|id| address(id, CLIENT_PORT))
        .collect();
    let plan = Plan {
        parts: swarm.parts.clone(),
        deadline: DEADLINE,
        keyspace: KEYSPACE.to_owned(),
        topic: TOPIC.to_owned(),
        partitions: swarm.partitions,
        dialer: dialer.clone(),
        seeds: seeds.clone(),
    };
    let workload = Workload::start(plan).await?;
    progress.shared.lock().recorder = Some(Arc::clone(workload.recorder()));
    progress.told(Stage::Stop).await;
    let history = workload.finish().await?;
    progress.shared.lock().history = Some(history);
    progress.told(Stage::Read).await;
    let client = Client::connect_through(dialer, ClientOptions::new(seeds)).await?;
    loop {
        match State::read(&client, KEYSPACE, TOPIC).await {
            Ok(state) => {
                progress.shared.lock().state = Some(state);
                return Ok(());
            }
            // A read may meet what has rotted: that node repairs itself, another one answers.
            Err(error) if progress.shared.lock().something_rots => {
                trace.note("unread", HOST, format!("{error:#}").as_bytes());
                sleep(LOOK).await;
            }
            Err(error) => return Err(error),
        }
    }
}
