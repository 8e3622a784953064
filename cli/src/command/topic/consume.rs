//! `topic consume`: prints messages, and then acknowledges them.
//!
//! In this order: a message is acknowledged only after it was printed, so that none is skipped
//! whenever the process dies.

use std::time::Duration;

use engine_client::{Client, ConsumerOptions, Record, Start};
use serde::Serialize;
use tokio::signal::ctrl_c;

use crate::args::ConsumeArgs;
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::Report;
use crate::text::Text;

/// Messages between two acknowledgements: what may be printed again after a crash.
const RECORDS_MAX: u32 = 100;
/// How long one poll waits for a message.
const WAIT: Duration = Duration::from_secs(20);

pub(crate) async fn run(args: ConsumeArgs, context: &Context) -> Result<ExitCode> {
    context
        .with_client(|client| async move {
            tokio::select! {
                result = consume(args, client, context) => result,
                // Between two messages: what was not acknowledged comes again.
                _ = ctrl_c() => Ok(ExitCode::Done),
            }
        })
        .await
}

async fn consume(args: ConsumeArgs, client: Client, context: &Context) -> Result<ExitCode> {
    let mut options = ConsumerOptions::new(&args.name)
        .records_max(RECORDS_MAX)
        .start(start(&args));
    options.consumer_group.clone_from(&args.group);
    let mut consumer = client.consumer_with(options).await?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let wait = if args.follow { WAIT } else { Duration::ZERO };
    while left > 0 {
        let records = consumer.poll(wait).await?;
        if records.is_empty() && !args.follow {
            break;
        }
        for record in records {
            if left == 0 {
                break; // It was not printed, and so is not acknowledged.
            }
            context.output.report(&Shown::new(&record))?;
            consumer.ack(&record);
            left -= 1;
        }
        consumer.commit().await?;
    }
    Ok(ExitCode::Done)
}

fn start(args: &ConsumeArgs) -> Start {
    if args.from_beginning {
        Start::Beginning
    } else if args.group.is_none() && args.follow {
        Start::End
    } else {
        Start::Committed
    }
}

#[derive(Serialize)]
struct Shown {
    partition: u32,
    offset: u64,
    revision: u64,
    timestamp_ms: u64,
    key: Option<Text>,
    value: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderShown>,
}

#[derive(Serialize)]
struct HeaderShown {
    name: String,
    value: Text,
}

impl Shown {
    fn new(record: &Record) -> Self {
        let message = &record.message;
        Self {
            partition: record.partition,
            offset: message.offset,
            revision: message.revision,
            timestamp_ms: message.timestamp_ms,
            key: message.key.clone().map(Text),
            value: Text(message.value.clone()),
            headers: message
                .headers
                .iter()
                .map(|header| HeaderShown {
                    name: header.name.clone(),
                    value: Text(header.value.clone()),
                })
                .collect(),
        }
    }
}

impl Report for Shown {
    fn human(&self) -> String {
        let key = self
            .key
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        format!("{}/{}\t{key}\t{}", self.partition, self.offset, self.value)
    }
}
