//! `topic`: topics and their messages.

mod consume;
mod produce;

use engine_client::Topic;
use serde::Serialize;

use crate::args::TopicCommand;
use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::Result;
use crate::output::{Report, lines, table};
use crate::text::thousands;

pub(crate) async fn run(command: TopicCommand, context: &Context) -> Result<ExitCode> {
    match command {
        TopicCommand::Create { name, partitions } => {
            let client = context.client().await?;
            client.topics().create(&name, partitions).await?;
            context.output.report(&Created {
                topic: name,
                partitions,
            })?;
        }
        TopicCommand::Ls => {
            let topics = context.client().await?.topics().list().await?;
            context.output.report(&Topics { topics })?;
        }
        TopicCommand::Describe { name } => {
            let topic = context.client().await?.topics().describe(name).await?;
            context.output.report(&Described::new(topic))?;
        }
        TopicCommand::Produce {
            name,
            file,
            key,
            value,
        } => return produce::run(name, file, key, value, context).await,
        TopicCommand::Consume(args) => return consume::run(args, context).await,
    }
    Ok(ExitCode::Done)
}

#[derive(Serialize)]
struct Created {
    topic: String,
    partitions: u32,
}

impl Report for Created {
    fn human(&self) -> String {
        format!(
            "topic {} is there, with {} partitions",
            self.topic, self.partitions
        )
    }
}

#[derive(Serialize)]
struct Topics {
    topics: Vec<String>,
}

impl Report for Topics {
    fn human(&self) -> String {
        if self.topics.is_empty() {
            "there is no topic yet: engine-cli topic create NAME --partitions 3".to_owned()
        } else {
            self.topics.join("\n")
        }
    }
}

#[derive(Serialize)]
struct Described {
    topic: String,
    messages: u64,
    partitions: Vec<PartitionShown>,
    consumer_groups: Vec<GroupShown>,
}

#[derive(Serialize)]
struct PartitionShown {
    partition: usize,
    start: u64,
    end: u64,
}

#[derive(Serialize)]
struct GroupShown {
    group: String,
    lag: u64,
    partitions: Vec<ProgressShown>,
}

#[derive(Serialize)]
struct ProgressShown {
    partition: usize,
    next: Option<u64>,
    lag: u64,
}

impl Described {
    fn new(topic: Topic) -> Self {
        let partitions: Vec<PartitionShown> = topic
            .partitions
            .iter()
            .enumerate()
            .map(|(partition, bounds)| PartitionShown {
                partition,
                start: bounds.start,
                end: bounds.end,
            })
            .collect();
        let consumer_groups = topic
            .consumer_groups
            .into_iter()
            .map(|group| GroupShown {
                lag: group.progress.iter().map(|progress| progress.lag).sum(),
                group: group.name,
                partitions: group
                    .progress
                    .into_iter()
                    .enumerate()
                    .map(|(partition, progress)| ProgressShown {
                        partition,
                        next: progress.next,
                        lag: progress.lag,
                    })
                    .collect(),
            })
            .collect();
        Self {
            topic: topic.name,
            messages: partitions
                .iter()
                .map(|partition| partition.end.saturating_sub(partition.start))
                .sum(),
            partitions,
            consumer_groups,
        }
    }
}

impl Report for Described {
    fn human(&self) -> String {
        let mut partitions = table(["partition", "oldest", "end", "messages"]);
        for partition in &self.partitions {
            partitions.add_row([
                partition.partition.to_string(),
                thousands(partition.start),
                thousands(partition.end),
                thousands(partition.end.saturating_sub(partition.start)),
            ]);
        }
        let mut text = format!(
            "{}\n{} messages in {}",
            lines(&partitions),
            thousands(self.messages),
            self.topic
        );
        if !self.consumer_groups.is_empty() {
            let mut groups = table(["group", "partition", "next", "lag"]);
            for group in &self.consumer_groups {
                for progress in &group.partitions {
                    groups.add_row([
                        group.group.clone(),
                        progress.partition.to_string(),
                        progress.next.map_or_else(|| "-".to_owned(), thousands),
                        thousands(progress.lag),
                    ]);
                }
            }
            text = format!("{text}\n\n{}", lines(&groups));
        }
        text
    }
}
