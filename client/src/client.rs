//! The client's handle: options, and one door to each family of calls.

use std::sync::Arc;
use std::time::Duration;

use engine_proto::Dialer;
use engine_proto::v1::CloseSessionRequest;
use engine_proto::v1::commit_client::CommitClient;

use crate::call::{Calls, Kind};
use crate::cluster::Cluster;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::error::Result;
use crate::keyspaces::Keyspaces;
use crate::kv::Kv;
use crate::leader::Leader;
use crate::log::Log;
use crate::maintenance::Maintenance;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::session::Sessions;
use crate::topics::Topics;
use crate::watch::{Changes, Watch, Watcher};

/// Largest answer accepted: the largest page, and room.
pub(crate) const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How a client behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Client addresses (`host:port`) of some nodes; one that is up is enough to find the rest.
    pub seeds: Vec<String>,
    /// The time for a call, all its tries included; 10 s.
    pub deadline: Duration,
    /// The time for one try of a call that may be sent again; 2 s.
    pub try_timeout: Duration,
    /// The time for making a connection; 2 s.
    pub connect_timeout: Duration,
    /// Whether writes carry a number, which makes them exactly-once; true. Without it a write
    /// is done at most once, and one with an unknown outcome is not sent again.
    pub sessions: bool,
    /// Whether calls go to the leader, learnt from the cluster; true. Otherwise they go to the
    /// seeds alone, which forward what they cannot serve.
    pub follow_leader: bool,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            deadline: Duration::from_secs(10),
            try_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(2),
            sessions: true,
            follow_leader: true,
        }
    }
}

impl ClientOptions {
    /// The defaults, with these seeds.
    pub fn new<S: Into<String>>(seeds: impl IntoIterator<Item = S>) -> Self {
        Self {
            seeds: seeds.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// A connection to a cluster. Cheap to clone; clones share connections and the session.
#[derive(Clone, Debug)]
pub struct Client {
    calls: Arc<Calls>,
}

impl Client {
    /// Looks for the leader once and answers a client, also if no node answers yet: each call
    /// looks again. [`Cluster::statuses`] tells who answers.
    ///
    /// # Errors
    /// `BAD_REQUEST` if a seed is no address, or none is given.
    pub async fn connect(options: ClientOptions) -> Result<Self> {
        Self::connect_through(Dialer::default(), options).await
    }

    /// As [`Client::connect`], over connections that `dialer` makes.
    ///
    /// # Errors
    /// The same.
    pub async fn connect_through(dialer: Dialer, options: ClientOptions) -> Result<Self> {
        let leader = Leader::new(
            &options.seeds,
            options.connect_timeout,
            options.follow_leader,
            dialer,
        )?;
        if options.follow_leader {
            leader.discover().await;
        }
        Ok(Self {
            calls: Arc::new(Calls {
                options,
                leader,
                sessions: Sessions::default(),
            }),
        })
    }

    /// Rows.
    pub fn kv(&self) -> Kv {
        Kv::new(Arc::clone(&self.calls))
    }

    /// Keyspaces: making, changing, listing and dropping.
    pub fn keyspaces(&self) -> Keyspaces {
        Keyspaces::new(Arc::clone(&self.calls))
    }

    /// Topics: making and looking.
    pub fn topics(&self) -> Topics {
        Topics::new(Arc::clone(&self.calls))
    }

    /// Watches rows: changes as they happen, or from an earlier revision on.
    ///
    /// ```no_run
    /// # async fn follow(client: engine_client::Client) -> Result<(), engine_client::Error> {
    /// use engine_client::{Change, Watch};
    ///
    /// let mut watcher = client.watch(Watch::new("orders").prefix("order-")).await?;
    /// while let Some(watched) = watcher.next().await? {
    ///     for commit in watched.commits {
    ///         for event in commit.events {
    ///             if let Change::Put(row) = event.change {
    ///                 println!("{}: {:?} was written", commit.revision, row.key);
    ///             }
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`, `REVISION_COMPACTED`, `REVISION_IN_FUTURE`, `RANGE_EMPTY`, and those of every
    /// call.
    pub async fn watch(&self, watch: Watch) -> Result<Watcher> {
        Watcher::start(Arc::clone(&self.calls), watch).await
    }

    /// What every commit changed from a revision on, whatever the keyspace, with what stood there
    /// before: at most `limit` commits, 0 for as many as a page holds.
    ///
    /// # Errors
    /// `REVISION_COMPACTED`, `REVISION_IN_FUTURE`, and those of every call.
    pub async fn changes(&self, from_revision: u64, limit: u32) -> Result<Changes> {
        Changes::read(&self.calls, from_revision, limit).await
    }

    /// Messages: appending and reading by offset.
    pub fn log(&self) -> Log {
        Log::new(Arc::clone(&self.calls))
    }

    /// Nodes: looking and changing.
    pub fn cluster(&self) -> Cluster {
        Cluster::new(Arc::clone(&self.calls))
    }

    /// Scrubs of nodes, and hashes of rows.
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(Arc::clone(&self.calls))
    }

    /// Many commits in flight on one stream.
    pub fn pipeline(&self, options: PipelineOptions) -> Pipeline {
        Pipeline::start(Arc::clone(&self.calls), options)
    }

    /// A reader of all partitions of `topic` that continues where `consumer_group` stopped.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, and those of every call.
    pub async fn consumer(
        &self,
        topic: impl Into<String>,
        consumer_group: impl Into<String>,
    ) -> Result<Consumer> {
        self.consumer_with(ConsumerOptions::new(topic).group(consumer_group))
            .await
    }

    /// A reader of all partitions of a topic, with or without a consumer group.
    ///
    /// # Errors
    /// `UNKNOWN_TOPIC`, and those of every call.
    pub async fn consumer_with(&self, options: ConsumerOptions) -> Result<Consumer> {
        Consumer::start(self.clone(), options).await
    }

    /// Gives the session up, so that the cluster need not remember it for an hour. Requests that
    /// still run lose their protection against being done twice: await them first. The client
    /// stays usable.
    ///
    /// # Errors
    /// Those of every call; the session then expires by itself.
    pub async fn close(&self) -> Result<()> {
        let Some(session) = self.calls.sessions.take() else {
            return Ok(());
        };
        // Closed twice is closed: sending again is harmless.
        self.calls
            .call(Kind::READ, |attempt| async move {
                let request = CloseSessionRequest { session, group: 0 };
                CommitClient::new(attempt.channel.clone())
                    .close_session(attempt.message(request))
                    .await
            })
            .await?;
        Ok(())
    }

    /// The leader's address, as far as this client knows.
    pub fn leader(&self) -> Option<String> {
        self.calls.leader.leader()
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }
}
