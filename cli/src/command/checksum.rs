//! `kv checksum`: one hash over all rows of a keyspace.

use engine_client::Client;
use serde::Serialize;

use crate::args::{InKeyspace, ReadArgs};
use crate::command::Context;
use crate::failure::Result;
use crate::output::Report;
use crate::text::thousands;

pub(crate) async fn run(
    at: InKeyspace,
    read: ReadArgs,
    client: &Client,
    context: &Context,
) -> Result<()> {
    let maintenance = client.maintenance();
    let keyspace = Some(at.keyspace.as_str());
    let hashed = maintenance.hash(keyspace, read.revision, read.local);
    let hashed = hashed.await?;
    for keyspace in hashed.keyspaces {
        context.output.report(&Checksum {
            hash: format!("{:032x}", keyspace.hash),
            rows: keyspace.rows,
            members: keyspace.members,
            revision: hashed.revision,
            node: hashed.node,
        })?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Checksum {
    hash: String,
    rows: u64,
    members: u64,
    revision: u64,
    node: u64,
}

impl Report for Checksum {
    fn human(&self) -> String {
        format!(
            "{}  {} rows and {} members at revision {}",
            self.hash,
            thousands(self.rows),
            thousands(self.members),
            thousands(self.revision)
        )
    }
}
