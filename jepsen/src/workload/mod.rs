//! Clients that write and read until they are told to stop, and tell the history.
//!
//! ```text
//! client ── process 5 ── ok, ok, fail, ok, info
//!        └─ process 37 ─ ok, …                     a new number after each info
//! ```
//!
//! What a client does is its [`Role`], one a file; each is for some checkers.

mod bank;
mod cached;
mod consumers;
mod counters;
mod deleters;
mod ending;
mod lists;
mod locks;
mod messages;
mod readers;
mod rows;
mod sets;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine_client::{Certainty, Client, ClientOptions, Commit, Error, Guarded, Row, reason};
use engine_proto::Dialer;
use rand::seq::IteratorRandom as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::history::{Act, Answer, History, Recorder};

/// A client that is refused again and again must not keep a core busy with it.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Keyspaces of roles that have one of their own.
const KEYSPACES: [&str; 7] = [
    bank::KEYSPACE,
    counters::KEYSPACE,
    ending::KEYSPACE,
    lists::KEYSPACE,
    locks::KEYSPACE,
    sets::KEYSPACE,
    watched::KEYSPACE,
];

/// What the clients work on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Client addresses of the nodes.
    pub seeds: Vec<String>,
    /// The clients.
    pub parts: Vec<Part>,
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
}

/// What one client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it asks for.
    pub role: Role,
    /// The seed that it keeps to, leader or not, as long as that answers anything: it sees what a
    /// node serves that has been left behind. Without one it follows the leader.
    pub node: Option<usize>,
    /// Whether its writes carry numbers, and may so be sent again.
    pub numbered: bool,
    /// How long it thinks between two operations, on average; bursts lie between long thoughts.
    pub think: Duration,
}

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Writes rows: new ones, own ones again and again, shared ones; deletes some.
    Rows,
    /// Appends messages, now and then together with a row.
    Messages,
    /// Reads the rows that others write.
    Reader,
    /// Moves money between accounts.
    Bank,
    /// Adds to sets.
    Sets,
    /// Adds to counters.
    Counters,
    /// Reads lists and appends to them, in transactions.
    Lists,
    /// Takes locks, and uses what they protect.
    Locks,
    /// Reads messages in a consumer group of its own, which forgets where it was now and then.
    Consumer,
    /// Reads few rows again and again, so that the caches of its node answer.
    Cached,
    /// Writes rows, and much later deletes them: the tombstones lie far above what they hide.
    Deleter,
    /// Adds to sets that end, again and again.
    Ending,
    /// Changes rows that others watch.
    Watched,
    /// Watches rows, begins anew and looks back.
    Watcher,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Rows,
        Self::Messages,
        Self::Reader,
        Self::Bank,
        Self::Sets,
        Self::Counters,
        Self::Lists,
        Self::Locks,
        Self::Consumer,
        Self::Cached,
        Self::Deleter,
        Self::Ending,
        Self::Watched,
        Self::Watcher,
    ];
}

impl Part {
    /// A client that follows the leader and numbers its writes.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            node: None,
            numbered: true,
            think: Duration::ZERO,
        }
    }

    /// So many clients, half of which write rows, and half append messages.
    pub fn writers(count: usize) -> Vec<Self> {
        let roles = [Role::Rows, Role::Messages].into_iter().cycle();
        roles.take(count).map(Self::new).collect()
    }
}

impl Plan {
    /// The place of any client with this role.
    fn any_of(&self, role: Role) -> Option<u64> {
        let parts = (0..).zip(&self.parts);
        let places = parts.filter(|(_, part)| part.role == role);
        places.map(|(place, _)| place).choose(&mut rand::rng())
    }

    fn options(&self, part: &Part) -> ClientOptions {
        let node = part.node.and_then(|place| self.seeds.get(place));
        ClientOptions {
            deadline: self.deadline,
            follow_leader: node.is_none(),
            sessions: part.numbered,
            ..ClientOptions::new(node.map_or_else(|| self.seeds.clone(), |one| vec![one.clone()]))
        }
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Workload {
    recorder: Arc<Recorder>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Workload {
    /// Makes keyspace and topic and starts the clients.
    pub async fn start(plan: Plan) -> Result<Self> {
        let dialer = plan.dialer.clone();
        let options = ClientOptions::new(plan.seeds.clone());
        let client = Client::connect_through(dialer, options).await?;
        there(client.keyspaces().create(plan.keyspace.as_str()).await)
            .context("make the keyspace")?;
        for keyspace in KEYSPACES {
            there(client.keyspaces().create(keyspace).await).context("make a keyspace")?;
        }
        let topic = plan.topic.as_str();
        there(client.topics().create(topic, plan.partitions).await).context("make the topic")?;
        let recorder = Arc::new(Recorder::default());
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        let plan = Arc::new(plan);
        for (number, part) in (0..).zip(plan.parts.clone()) {
            let process = Process {
                number,
                place: number,
                clients: plan.parts.len() as u64,
                think: part.think,
                client: Client::connect_through(plan.dialer.clone(), plan.options(&part)).await?,
                recorder: Arc::clone(&recorder),
                stop: stop.subscribe(),
            };
            let plan = Arc::clone(&plan);
            clients.spawn(work(process, part.role, plan));
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
            client.context("a client panicked")?;
        }
        Ok(self.recorder.history())
    }
}

async fn work(process: Process, role: Role, plan: Arc<Plan>) {
    match role {
        Role::Rows => rows::run(process, &plan).await,
        Role::Messages => messages::run(process, &plan).await,
        Role::Reader => readers::run(process, &plan).await,
        Role::Bank => bank::run(process, &plan).await,
        Role::Sets => sets::run(process).await,
        Role::Counters => counters::run(process).await,
        Role::Lists => lists::run(process).await,
        Role::Locks => locks::run(process).await,
        Role::Consumer => consumers::run(process, &plan).await,
        Role::Cached => cached::run(process, &plan).await,
        Role::Deleter => deleters::run(process, &plan).await,
        Role::Ending => ending::run(process).await,
        Role::Watched => watched::change(process).await,
        Role::Watcher => watched::watch(process).await,
    }
}

/// A client as the history sees it.
#[derive(Debug)]
struct Process {
    number: u64,
    /// Which of all clients it is; never changes.
    place: u64,
    clients: u64,
    think: Duration,
    client: Client,
    recorder: Arc<Recorder>,
    stop: watch::Receiver<bool>,
}

impl Process {
    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Every other operation comes at once; before the others there is time for two.
    async fn think(&mut self) {
        if self.think.is_zero() || rand::random_bool(0.5) {
            return;
        }
        let thought = self.think.mul_f64(rand::random_range(0.0..4.0));
        // Who is told to stop needs no more thought.
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(thought) => {}
        }
    }

    /// Does one operation. `Ok(None)` from `call` means that a guard did not hold. Answers
    /// whether it happened, if that is known.
    async fn perform(
        &mut self,
        act: Act,
        call: impl Future<Output = Result<Option<Answer>, Error>>,
    ) -> Option<bool> {
        self.think().await;
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

/// A commit that holds only while the row is as it was seen, or absent as it was.
fn guarded(commit: Commit, keyspace: &str, key: &str, seen: Option<&Row>) -> Commit {
    match seen {
        Some(row) => commit.guard_revision(keyspace, key.to_owned(), row.mod_revision),
        None => commit.guard_absent(keyspace, key.to_owned()),
    }
}

/// What a commit under guards answers, if it was made.
fn done(committed: Guarded<engine_client::Committed>) -> Option<Answer> {
    match committed {
        Guarded::Done(done) => Some(Answer {
            revision: done.revision,
            ..Answer::default()
        }),
        Guarded::Failed(_) => None,
    }
}
