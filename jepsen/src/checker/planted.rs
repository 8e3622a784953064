//! Short histories for the checkers' own tests.

use crate::history::{Act, Answer, Call, End, Place};
use crate::state::{FoundMessage, FoundRow, State};

/// A put by process 1 that began at `invoked_us`.
pub(super) fn put(key: &str, value: &str, invoked_us: u64, end: End) -> Call {
    call(
        invoked_us,
        end,
        Act::Put {
            key: key.to_owned(),
            value: value.to_owned(),
        },
    )
}

pub(super) fn cas(
    key: &str,
    expected: Option<&str>,
    value: &str,
    invoked_us: u64,
    end: End,
) -> Call {
    call(
        invoked_us,
        end,
        Act::Cas {
            key: key.to_owned(),
            expected: expected.map(str::to_owned),
            value: value.to_owned(),
        },
    )
}

pub(super) fn read(key: &str, value: Option<&str>, invoked_us: u64, completed_us: u64) -> Call {
    let answer = Answer {
        read: value.map(str::to_owned),
        ..Answer::default()
    };
    call(
        invoked_us,
        End::Ok {
            completed_us,
            answer,
        },
        Act::Read {
            key: key.to_owned(),
        },
    )
}

pub(super) fn produce(key: &str, sequence: u64, end: End) -> Call {
    call(
        sequence,
        end,
        Act::Produce {
            key: key.to_owned(),
            sequence,
        },
    )
}

pub(super) fn commit(row: &str, key: &str, sequence: u64, end: End) -> Call {
    call(
        sequence,
        end,
        Act::Commit {
            row: row.to_owned(),
            key: key.to_owned(),
            sequence,
        },
    )
}

/// Acknowledged as the row's `version`-th write.
pub(super) fn written(completed_us: u64, version: u64) -> End {
    End::Ok {
        completed_us,
        answer: Answer {
            revision: completed_us,
            version: Some(version),
            ..Answer::default()
        },
    }
}

/// Acknowledged at this revision.
pub(super) fn at_revision(completed_us: u64, revision: u64) -> End {
    End::Ok {
        completed_us,
        answer: Answer {
            revision,
            ..Answer::default()
        },
    }
}

/// Acknowledged in partition 0.
pub(super) fn placed(offset: u64) -> End {
    End::Ok {
        completed_us: offset + 1,
        answer: Answer {
            place: Some(place(offset)),
            ..Answer::default()
        },
    }
}

pub(super) fn place(offset: u64) -> Place {
    Place {
        partition: 0,
        offset,
    }
}

/// Rows as key, value, version.
pub(super) fn rows(rows: &[(&str, &str, u64)]) -> State {
    State {
        rows: rows
            .iter()
            .map(|(key, value, version)| {
                let row = FoundRow {
                    value: (*value).to_owned(),
                    version: *version,
                };
                ((*key).to_owned(), row)
            })
            .collect(),
        ..State::default()
    }
}

/// Messages of partition 0 as key and sequence, from offset 0.
pub(super) fn messages(messages: &[(&str, u64)]) -> State {
    State {
        messages: (0..)
            .map(place)
            .zip(messages)
            .map(|(place, (key, sequence))| {
                let message = FoundMessage {
                    key: (*key).to_owned(),
                    sequence: *sequence,
                };
                (place, message)
            })
            .collect(),
        ..State::default()
    }
}

fn call(invoked_us: u64, end: End, act: Act) -> Call {
    Call {
        process: 1,
        act,
        invoked_us,
        end,
    }
}
