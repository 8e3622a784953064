//! Every error as the status that a client sees.

use engine::ids::{GroupId, Offset, PartitionId, Revision, SessionId};
use engine_raft::Member;

use super::*;
use crate::wire::Invalid;

/// One line for a status: code, reason, certainty, leader.
fn told(error: Error, effect: Effect) -> String {
    let status = status(error, effect);
    let info = status
        .get_details_error_info()
        .expect("every status has an ErrorInfo");
    assert_eq!(info.domain, "engine");
    assert!(!status.message().is_empty(), "{} needs words", info.reason);
    let certainty = &info.metadata["certainty"];
    let leader = match info.metadata.get("leader") {
        Some(leader) => format!(" leader={leader}"),
        None => String::new(),
    };
    format!("{:?} {} {certainty}{leader}", status.code(), info.reason)
}

fn refusals() -> Vec<Refusal> {
    let name = || "n".to_owned();
    vec![
        Refusal::GuardFailed {
            guard: 0,
            actual: None,
        },
        Refusal::UnknownKeyspace { name: name() },
        Refusal::KeyspaceExists { name: name() },
        Refusal::UnknownTopic { name: name() },
        Refusal::TopicExists {
            name: name(),
            partitions: 1,
        },
        Refusal::UnknownPartition {
            topic: name(),
            partition: PartitionId(9),
            partitions: 1,
        },
        Refusal::OffsetBeyondEnd {
            next: Offset(2),
            end: Offset(1),
        },
        Refusal::SessionExpired {
            session: SessionId(7),
        },
        Refusal::RequestExpired { number: 7 },
        Refusal::SessionFull { max: 1024 },
        Refusal::LimitReached {
            what: name(),
            max: 7,
        },
        Refusal::StaleBoot {
            announced: 1,
            known: 2,
        },
        Refusal::FloorOutOfRange {
            floor: Revision(1),
            revision: Revision(2),
        },
        Refusal::Invalid { reason: name() },
    ]
}

#[test]
fn the_table_of_refusals() {
    let told: Vec<_> = refusals()
        .into_iter()
        .map(|refusal| told(Error::Refused(refusal), Effect::Write))
        .collect();
    assert_eq!(
        told,
        [
            "FailedPrecondition GUARD_FAILED certain",
            "NotFound UNKNOWN_KEYSPACE certain",
            "AlreadyExists KEYSPACE_EXISTS certain",
            "NotFound UNKNOWN_TOPIC certain",
            "AlreadyExists TOPIC_EXISTS certain",
            "NotFound UNKNOWN_PARTITION certain",
            "OutOfRange OFFSET_OUT_OF_RANGE certain",
            "FailedPrecondition SESSION_EXPIRED certain",
            "FailedPrecondition REQUEST_EXPIRED certain",
            "ResourceExhausted SESSION_FULL certain",
            "ResourceExhausted LIMIT_REACHED certain",
            "FailedPrecondition STALE_BOOT certain",
            "OutOfRange FLOOR_OUT_OF_RANGE certain",
            "InvalidArgument COMMAND_INVALID certain",
        ]
    );
}

#[test]
fn the_table_of_reads_and_the_door() {
    let name = || "n".to_owned();
    let table = [
        (
            Error::Invalid(Invalid::BadCursor),
            "InvalidArgument CURSOR_INVALID certain",
        ),
        (
            Error::Absent(Absent::Group(GroupId(7))),
            "NotFound UNKNOWN_GROUP certain",
        ),
        (
            Error::Absent(Absent::Keyspace(name())),
            "NotFound UNKNOWN_KEYSPACE certain",
        ),
        (
            Error::Absent(Absent::Topic(name())),
            "NotFound UNKNOWN_TOPIC certain",
        ),
        (
            Error::Absent(Absent::Partition(name(), PartitionId(7))),
            "NotFound UNKNOWN_PARTITION certain",
        ),
        (
            Error::OutOfRange(Range::RevisionCompacted {
                asked: Revision(1),
                floor: Revision(2),
                cursor: None,
            }),
            "OutOfRange REVISION_COMPACTED certain",
        ),
        (
            Error::OutOfRange(Range::RevisionInFuture {
                asked: Revision(2),
                newest: Revision(1),
            }),
            "OutOfRange REVISION_IN_FUTURE certain",
        ),
        (
            Error::OutOfRange(Range::Offset {
                asked: Offset(3),
                start: Offset(1),
                end: Offset(2),
            }),
            "OutOfRange OFFSET_OUT_OF_RANGE certain",
        ),
        (
            Error::Overloaded("requests"),
            "ResourceExhausted OVERLOADED certain",
        ),
        (Error::DeadlinePassed, "DeadlineExceeded TIMEOUT unknown"),
        (
            Error::LeaderUnreachable(name()),
            "Unavailable LEADER_UNREACHABLE certain",
        ),
        (
            Error::RelayLost(Status::unavailable("broken pipe")),
            "Unavailable LEADER_UNREACHABLE unknown",
        ),
        (
            Error::RelayLost(Status::cancelled("timeout expired")),
            "DeadlineExceeded TIMEOUT unknown",
        ),
        (Error::Bug(name()), "Internal INTERNAL unknown"),
    ];
    for (error, expected) in table {
        assert_eq!(told(error, Effect::Write), expected);
    }
}

#[test]
fn the_table_of_this_node() {
    let table = [
        (ErrorKind::Io, "Internal DISK_FAILED unknown"),
        (ErrorKind::Corrupt, "DataLoss CORRUPT unknown"),
        (ErrorKind::Full, "ResourceExhausted DISK_FULL certain"),
        (
            ErrorKind::Invalid,
            "InvalidArgument COMMAND_INVALID certain",
        ),
        (ErrorKind::OutOfRange, "OutOfRange OUT_OF_RANGE certain"),
        (ErrorKind::NotFound, "NotFound NOT_FOUND certain"),
        (ErrorKind::Locked, "Unavailable DATA_LOCKED certain"),
        (ErrorKind::Stopped, "Unavailable SHUTTING_DOWN unknown"),
        (
            ErrorKind::Unsupported,
            "Unimplemented FORMAT_UNSUPPORTED certain",
        ),
    ];
    for (kind, expected) in table {
        let error = || engine::Error::new(kind, "words");
        assert_eq!(told(Error::Engine(error()), Effect::Write), expected);
        let raft = Error::Raft(engine_raft::Error::Engine(error()));
        assert_eq!(told(raft, Effect::Write), expected);
    }
}

#[test]
fn a_read_is_always_certain() {
    assert_eq!(
        told(Error::DeadlinePassed, Effect::Read),
        "DeadlineExceeded TIMEOUT certain"
    );
    assert_eq!(
        told(Error::Raft(engine_raft::Error::NoQuorum), Effect::Read),
        "Unavailable NO_QUORUM certain"
    );
}

#[test]
fn who_does_not_lead_names_the_leader() {
    let member = Member {
        peer_address: "n2:7201".to_owned(),
        client_address: "n2:7101".to_owned(),
    };
    let moved = engine_raft::Error::NotLeader {
        leader: Some((engine::ids::NodeId(2), member)),
    };
    assert_eq!(
        told(Error::Raft(moved), Effect::Write),
        "Unavailable NOT_LEADER certain leader=n2:7101"
    );
    let unknown = engine_raft::Error::NotLeader { leader: None };
    assert_eq!(
        told(Error::Raft(unknown), Effect::Write),
        "Unavailable NOT_LEADER certain"
    );
}

#[test]
fn a_stream_tells_what_a_status_tells() {
    let failure = failure(Error::Raft(engine_raft::Error::Timeout), Effect::Write);
    assert_eq!(failure.code, i32::from(Code::DeadlineExceeded));
    assert_eq!(failure.reason, "TIMEOUT");
    assert_eq!(failure.metadata["certainty"], "unknown");
    assert!(!failure.message.is_empty());
}

#[test]
fn what_the_leader_said_is_passed_on_untouched() {
    let said = status(Error::Bug("words".to_owned()), Effect::Write);
    let details = said.details().to_vec();
    let passed = status(Error::Relayed(said), Effect::Write);
    assert_eq!(passed.code(), Code::Internal);
    assert_eq!(passed.details(), details);
}
