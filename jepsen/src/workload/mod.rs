//! Clients that write and read until they are told to stop, and tell the history.
//!
//! ```text
//! client ── process 5 ── ok, ok, fail, ok, info
//!        └─ process 37 ─ ok, …                     a new number after each info
//! ```
//!
//! Half of the clients write rows (`rows`), half append messages (`messages`).

mod messages;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine_client::{Certainty, Client, ClientOptions, Error, reason};
use engine_proto::Dialer;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::history::{Act, Answer, History, Recorder};

/// A client that is refused again and again must not keep a core busy with it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// What the clients work on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Client addresses of the nodes.
    pub seeds: Vec<String>,
    /// How many clients.
    pub clients: u64,
    /// How long a client tries before it says that nobody knows.
    pub deadline: Duration,
    /// The keyspace; made at the start.
    pub keyspace: String,
    /// The topic; made at the start.
    pub topic: String,
    /// Its partitions.
    pub partitions: u32,
    /// Who makes the clients' connections.
    pub dialer: Dialer,
    /// How many of the clients keep to one node each, leader or not, as long as it answers
    /// anything: they see what a node serves that has been left behind.
    pub faithful: u64,
    /// What the clients do.
    pub kind: Kind,
}

/// What clients do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Half of them write rows, half append messages.
    #[default]
    Mixed,
    /// All write rows.
    Rows,
    /// All append messages.
    Messages,
}

impl Plan {
    fn options(&self, client: u64) -> ClientOptions {
        let mut options = ClientOptions {
            deadline: self.deadline,
            follow_leader: client >= self.faithful,
            ..ClientOptions::new(self.seeds.clone())
        };
        if !options.follow_leader {
            let nodes = options.seeds.len() as u64;
            let mine = |(place, _): &(u64, String)| place % nodes.max(1) == client % nodes.max(1);
            let seeds = (0_u64..).zip(options.seeds).filter(mine);
            options.seeds = seeds.map(|(_, seed)| seed).collect();
        }
        options
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Workload {
    recorder: Arc<Recorder>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Result<()>>,
}

impl Workload {
    /// Makes keyspace and topic and starts the clients.
    pub async fn start(plan: Plan) -> Result<Self> {
        let dialer = plan.dialer.clone();
        let options = ClientOptions::new(plan.seeds.clone());
        let client = Client::connect_through(dialer, options).await?;
        there(client.kv().create_keyspace(plan.keyspace.as_str()).await)
            .context("make the keyspace")?;
        let topic = plan.topic.as_str();
        there(client.topics().create(topic, plan.partitions).await).context("make the topic")?;
        let recorder = Arc::new(Recorder::default());
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        let plan = Arc::new(plan);
        for number in 0..plan.clients {
            let options = plan.options(number);
            let process = Process {
                number,
                clients: plan.clients,
                client: Client::connect_through(plan.dialer.clone(), options).await?,
                recorder: Arc::clone(&recorder),
                stop: stop.subscribe(),
            };
            let plan = Arc::clone(&plan);
            clients.spawn(async move {
                let even = number % 2 == 0;
                if plan.kind == Kind::Rows || plan.kind == Kind::Mixed && even {
                    rows::run(process, &plan).await
                } else {
                    messages::run(process, &plan).await
                }
            });
        }
        Ok(Self {
            recorder,
            stop,
            clients,
        })
    }

    /// The history in the making.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// Lets every client finish its operation, and answers the history.
    pub async fn finish(mut self) -> Result<History> {
        self.stop.send_replace(true);
        while let Some(client) = self.clients.join_next().await {
            client.context("a client panicked")??;
        }
        Ok(self.recorder.history())
    }
}

/// A client as the history sees it.
#[derive(Debug)]
struct Process {
    number: u64,
    clients: u64,
    client: Client,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
}

impl Process {
    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Does one operation. `Ok(None)` from `call` means that a guard did not hold. Answers
    /// whether it happened, if that is known.
    async fn perform(
        &mut self,
        act: Act,
        call: impl Future<Output = Result<Option<Answer>, Error>>,
    ) -> Option<bool> {
        self.recorder.invoke(self.number, act);
        match call.await {
            Ok(Some(answer)) => {
                self.recorder.ok(self.number, answer);
                Some(true)
            }
            Ok(None) => {
                self.recorder.fail(self.number, "a guard did not hold");
                Some(false)
            }
            Err(error) if error.certainty() == Certainty::Certain => {
                self.recorder.fail(self.number, error.to_string());
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                Some(false)
            }
            Err(error) => {
                self.recorder.info(self.number, error.to_string());
                self.number += self.clients;
                None
            }
        }
    }
}

/// What is there already need not be made.
fn there(made: Result<(), Error>) -> Result<()> {
    match made {
        Err(error) if error.is(reason::KEYSPACE_EXISTS) || error.is(reason::TOPIC_EXISTS) => Ok(()),
        made => Ok(made?),
    }
}
