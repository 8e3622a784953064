//! Topics.

use engine::command::{Command, Outcome};
use engine::ids::{GroupId, Offset};
use engine::limits;
use engine::query::{ConsumerGroupView, PartitionView, TopicView};
use engine_proto::v1 as pb;

use super::limit;
use super::{Header, Invalid};
use crate::error::Error;

/// A new topic.
pub(crate) fn create_topic(
    request: &pb::CreateTopicRequest,
) -> Result<(GroupId, Command), Invalid> {
    let name = limit::name("name", &request.name)?;
    limit::within(
        "partitions",
        u64::from(request.partitions),
        1,
        u64::from(limits::PARTITIONS_MAX),
    )?;
    let command = Command::CreateTopic {
        name,
        partitions: request.partitions,
    };
    Ok((limit::group(request.group), command))
}

/// The topic is there.
pub(crate) fn create_topic_response(
    header: Header,
    outcome: Outcome,
) -> Result<pb::CreateTopicResponse, Error> {
    match outcome {
        Outcome::TopicCreated { revision, .. } => Ok(pb::CreateTopicResponse {
            header: header.at(revision),
        }),
        other => Err(Error::unexpected(other)),
    }
}

/// The names of the topics.
pub(crate) fn list_topics_response(header: Header, names: Vec<String>) -> pb::ListTopicsResponse {
    pb::ListTopicsResponse {
        header: header.now(),
        names,
    }
}

/// Which topic is asked for.
pub(crate) fn describe_topic(
    request: &pb::DescribeTopicRequest,
) -> Result<(GroupId, String), Invalid> {
    Ok((
        limit::group(request.group),
        limit::name("name", &request.name)?,
    ))
}

/// One topic with its partitions and consumer groups.
pub(crate) fn describe_topic_response(
    header: Header,
    topic: TopicView,
) -> pb::DescribeTopicResponse {
    let consumer_groups = topic
        .consumer_groups
        .iter()
        .map(|group| consumer_group(group, &topic.partitions))
        .collect();
    pb::DescribeTopicResponse {
        header: header.now(),
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| pb::Partition {
                start: partition.start.0,
                end: partition.end.0,
            })
            .collect(),
        consumer_groups,
    }
}

fn consumer_group(group: &ConsumerGroupView, partitions: &[PartitionView]) -> pb::ConsumerGroup {
    let progress = partitions
        .iter()
        .enumerate()
        .map(|(place, partition)| progress(group.next.get(place).copied().flatten(), *partition))
        .collect();
    pb::ConsumerGroup {
        name: group.name.clone(),
        progress,
    }
}

/// What is still to be read: from the recorded offset, or from the oldest message if there is
/// none or it was dropped since.
fn progress(next: Option<Offset>, partition: PartitionView) -> pb::PartitionProgress {
    let from = next.map_or(partition.start, |next| next.max(partition.start));
    pb::PartitionProgress {
        next: next.map(|offset| offset.0),
        lag: partition.end.0.saturating_sub(from.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_from_the_recorded_offset_or_the_oldest_kept() {
        let partition = PartitionView {
            start: Offset(10),
            end: Offset(25),
        };
        for (next, lag) in [(None, 15), (Some(20), 5), (Some(4), 15), (Some(25), 0)] {
            assert_eq!(progress(next.map(Offset), partition).lag, lag, "{next:?}");
        }
    }
}
