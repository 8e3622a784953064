//! What is left at the end: every row and every message, read linearizably.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use engine_client::{Client, Fetch, Scan};

use crate::history::{Act, Answer, Found, FoundMessage, FoundRow, History};

/// Everything in one keyspace and one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// By key.
    pub rows: BTreeMap<String, FoundRow>,
    /// By partition, all of them from offset 0.
    pub partitions: Vec<Vec<FoundMessage>>,
}

impl State {
    /// Reads all of `keyspace` and all of `topic`.
    pub async fn read(client: &Client, keyspace: &str, topic: &str) -> Result<Self> {
        Ok(Self {
            rows: rows(client, keyspace).await?,
            partitions: partitions(client, topic).await?,
        })
    }

    /// Adds to a history that this was read after everything else.
    pub fn append_to(self, history: &mut History) {
        let reader = history.fresh_process();
        let found = |found| Answer {
            found: Some(found),
            ..Answer::default()
        };
        history.push(reader, Act::Scan, found(Found::Rows(self.rows)));
        for (partition, messages) in (0..).zip(self.partitions) {
            let fetch = Act::Fetch {
                partition,
                offset: 0,
                node: None,
            };
            let end = messages.last().map_or(0, |message| message.offset + 1);
            history.push(reader, fetch, found(Found::Messages { messages, end }));
        }
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

async fn partitions(client: &Client, topic: &str) -> Result<Vec<Vec<FoundMessage>>> {
    let described = client
        .topics()
        .describe(topic)
        .await
        .with_context(|| format!("describe topic {topic}"))?;
    let mut partitions = Vec::with_capacity(described.partitions.len());
    for (partition, bounds) in (0_u32..).zip(&described.partitions) {
        let mut found = Vec::new();
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
                let sequence = text(&message.value)?;
                found.push(FoundMessage {
                    offset: message.offset,
                    key: text(&message.key.unwrap_or_default())?,
                    sequence: sequence.parse().with_context(|| {
                        format!(
                            "read sequence '{sequence}' in partition {partition} at offset {}",
                            message.offset
                        )
                    })?,
                });
            }
        }
        partitions.push(found);
    }
    Ok(partitions)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("the workload writes text only")
}
