//! What is left at the end: every row and every message, read linearizably.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use engine_client::{Client, Fetch, Scan};

use crate::history::Place;

/// Everything in one keyspace and one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By key.
    pub rows: BTreeMap<String, FoundRow>,
    /// By place: partition, then offset.
    pub messages: BTreeMap<Place, FoundMessage>,
}

/// A row that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRow {
    /// Its value.
    pub value: String,
    /// How often it was written.
    pub version: u64,
}

/// A message that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMessage {
    /// Its key.
    pub key: String,
    /// What its producer numbered it.
    pub sequence: u64,
}

impl State {
    /// Reads all of `keyspace` and all of `topic`.
    pub async fn read(client: &Client, keyspace: &str, topic: &str) -> Result<Self> {
        Ok(Self {
            rows: rows(client, keyspace).await?,
            messages: messages(client, topic).await?,
        })
    }
}

async fn rows(client: &Client, keyspace: &str) -> Result<BTreeMap<String, FoundRow>> {
    let mut found = BTreeMap::new();
    let mut scan = Scan::new(keyspace);
    loop {
        let page = client
            .kv()
            .scan(scan.clone())
            .await
            .with_context(|| format!("scan keyspace {keyspace}"))?;
        for row in page.rows {
            let key = text(&row.key)?;
            let row = FoundRow {
                value: text(&row.value)?,
                version: row.version,
            };
            ensure!(
                found.insert(key.clone(), row).is_none(),
                "a scan answered row {key} twice"
            );
        }
        match page.next_cursor {
            Some(cursor) => scan = scan.cursor(cursor),
            None => return Ok(found),
        }
    }
}

async fn messages(client: &Client, topic: &str) -> Result<BTreeMap<Place, FoundMessage>> {
    let described = client
        .topics()
        .describe(topic)
        .await
        .with_context(|| format!("describe topic {topic}"))?;
    let mut found = BTreeMap::new();
    for (partition, bounds) in (0_u32..).zip(&described.partitions) {
        let mut next = bounds.start;
        while next < bounds.end {
            let page = client
                .log()
                .fetch(Fetch::new(topic, partition, next))
                .await
                .with_context(|| format!("fetch partition {partition} from offset {next}"))?;
            ensure!(
                !page.messages.is_empty(),
                "partition {partition} ends at {} and has nothing at {next}",
                bounds.end
            );
            for message in page.messages {
                ensure!(
                    message.offset == next,
                    "partition {partition} has offset {} where {next} was due",
                    message.offset
                );
                next += 1;
                let place = Place {
                    partition,
                    offset: message.offset,
                };
                let sequence = text(&message.value)?;
                let message = FoundMessage {
                    key: text(&message.key.unwrap_or_default())?,
                    sequence: sequence
                        .parse()
                        .with_context(|| format!("read sequence '{sequence}' at {place:?}"))?,
                };
                found.insert(place, message);
            }
        }
    }
    Ok(found)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("the workload writes text only")
}
