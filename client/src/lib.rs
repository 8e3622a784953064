//! The typed client of `engine`: rows, messages and atomic commits over both.
//!
//! It finds the leader, sends again what may be sent again, numbers its writes so that each is
//! done exactly once, and tells after a failure whether the request may have been done.
//!
//! ```no_run
//! use std::time::Duration;
//! use engine_client::{Client, ClientOptions, Commit, Guarded, Scan};
//!
//! # async fn tour() -> Result<(), engine_client::Error> {
//! // Any node is enough to find the others.
//! let client = Client::connect(ClientOptions::new(["127.0.0.1:7101", "127.0.0.1:7102"])).await?;
//!
//! // Rows: ordered keys with versions, in keyspaces.
//! let kv = client.kv();
//! client.keyspaces().create("orders").await?;
//! let written = kv.put("orders", "order-17", r#"{"state":"new"}"#).await?;
//! assert_eq!(written.version, 1);
//! let row = kv.get("orders", "order-17").await?.expect("it was put just now");
//! assert_eq!(row.mod_revision, written.revision);
//!
//! // All rows under a prefix, however many, as of one moment. `Kv::scan` answers a single page.
//! let mut pages = kv.scan_stream(Scan::new("orders").prefix("order-"));
//! while let Some(page) = pages.next().await? {
//!     for row in &page.rows {
//!         println!("{} bytes", row.value.len());
//!     }
//! }
//!
//! // A row and a message in one commit: both or neither.
//! client.topics().create("order-events", 3).await?;
//! let commit = Commit::new()
//!     .guard_revision("orders", "order-17", row.mod_revision)
//!     .put("orders", "order-17", r#"{"state":"paid"}"#)
//!     .publish("order-events", "order-17", "paid");
//! match client.commit(commit).await? {
//!     Guarded::Done(done) => println!("done at revision {}", done.revision),
//!     Guarded::Failed(_) => println!("somebody else was faster"),
//! }
//!
//! // Messages: all partitions, from where the group stopped.
//! let mut consumer = client.consumer("order-events", "billing").await?;
//! for record in consumer.poll(Duration::from_secs(5)).await? {
//!     println!("{}/{}", record.partition, record.message.offset);
//!     consumer.ack(&record);
//! }
//! consumer.commit().await?;
//!
//! client.close().await
//! # }
//! ```
//!
//! # Limits
//! A key is at most 32 KiB, a value 1 MiB, a commit 10,000 guards and ops and 4 MiB.
//!
//! # Not here
//! What the words mean on disk (`engine`), and how nodes agree (`engine-raft`).

mod batch;
mod call;
mod client;
mod cluster;
mod commit;
mod consumer;
mod error;
mod expiry;
mod keyspaces;
mod kv;
mod leader;
mod log;
mod maintenance;
mod pipeline;
mod retry;
mod scan_stream;
mod session;
mod topics;
mod typed;
mod versions;
mod watch;

#[doc(hidden)]
pub mod planted;

pub use batch::Batch;
pub use client::{Client, ClientOptions};
pub use cluster::{
    Cluster, DiskStatus, GroupStatus, Member, NodeAnswer, NodeMetrics, NodeStatus, RepairStatus,
};
pub use commit::{Commit, Committed, Condition, GuardFailed, Guarded, OpResult};
pub use consumer::{Consumer, ConsumerOptions, Record, Start};
pub use error::{Certainty, Error, Result, reason};
pub use expiry::{Expiry, Ttl};
pub use keyspaces::{Keyspace, KeyspaceOptions, KeyspaceUsage, Keyspaces};
pub use kv::{Counted, Kv, Looked, Page, ReadOptions, Removed, Row, RowKind, Scan, Written};
pub use log::{Fetch, Fetched, Header, Log, Message, NewMessage, Produced, Published};
pub use maintenance::{
    Hashed, HashedNode, KeyspaceHash, Maintenance, ScrubFind, ScrubProgress, Scrubbing,
};
pub use pipeline::{Pending, Pipeline, PipelineOptions};
pub use scan_stream::ScanStream;
pub use tonic::Code;
pub use topics::{ConsumerGroup, Partition, PartitionProgress, Topic, Topics};
pub use typed::{MembersChanged, MembersPage, MembersScan, NumberChange};
pub use versions::{Restored, RowVersion, VersionsPage, VersionsScan};
pub use watch::{
    Cause, Change, ChangedCommit, ChangedRow, Changes, Event, Keys, Watch, Watched, WatchedCommit,
    Watcher,
};
