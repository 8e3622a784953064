//! A command that failed: what went wrong, and what to do next.

use std::io;
use std::path::Path;

use engine_client::{Certainty, Code, Error as ClientError, reason};
use serde::Serialize;

use crate::exit_code::ExitCode;

/// Results of commands.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command failed, for people and for scripts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    code: ExitCode,
    /// The stable word, if the cluster or the client gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What went wrong.
    message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// A failed file operation: verb and object, for example `read orders.jsonl`.
    pub(crate) fn io(what: impl AsRef<str>, error: &io::Error) -> Self {
        Self::new(ExitCode::Failed, format!("{}: {error}", what.as_ref()))
    }

    /// A failed operation on a file.
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()), error)
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, with what had been reached before it.
    pub(crate) fn after(mut self, reached: &str) -> Self {
        self.message = format!("{}\n{reached}", self.message);
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let go_on = error.cursor.as_ref().map(|cursor| {
            format!("go on behind it as of another moment with --cursor {cursor}, or begin again")
        });
        Self {
            code: code(&error),
            hint: go_on.or_else(|| hint(&error)),
            message: error.to_string(),
            reason: Some(error.reason),
        }
    }
}

fn code(error: &ClientError) -> ExitCode {
    if error.certainty() == Certainty::Unknown {
        return ExitCode::Doubtful;
    }
    match error.code {
        Code::NotFound => ExitCode::NotThere,
        Code::InvalidArgument => ExitCode::Usage,
        // No later moment helps.
        Code::ResourceExhausted if error.is("QUOTA_REACHED") => ExitCode::Failed,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
            ExitCode::Unavailable
        }
        _ => ExitCode::Failed,
    }
}

fn hint(error: &ClientError) -> Option<String> {
    let hint = match error.reason.as_str() {
        reason::UNKNOWN_KEYSPACE => {
            "make it with 'engine-cli keyspace create NAME', or see 'engine-cli keyspace ls'"
        }
        reason::UNKNOWN_TOPIC => {
            "make it with 'engine-cli topic create NAME --partitions 3', or see 'engine-cli topic ls'"
        }
        reason::KEYSPACE_EXISTS | reason::TOPIC_EXISTS => "it is there already: nothing to do",
        reason::UNREACHABLE => {
            "is the cluster running? see 'engine-cli dev status', start one with 'engine-cli dev \
             up', or name its nodes with --endpoints"
        }
        reason::NO_QUORUM
        | reason::LEADER_UNREACHABLE
        | reason::NOT_LEADER
        | reason::RECOVERING
        | reason::REPAIRING => {
            "a majority of the nodes must be up and connected: see 'engine-cli cluster status'"
        }
        reason::OVERLOADED | reason::SHUTTING_DOWN => "try again in a moment",
        "REVISION_COMPACTED" => "that revision is kept no longer: leave --revision out",
        "REVISION_IN_FUTURE" => "that revision does not exist yet: leave --revision out",
        "UNKNOWN_VERSION" => "see which there are: engine-cli kv history KEY --keyspace KEYSPACE",
        "NOT_VERSIONED" => {
            "versions are kept from then on after 'engine-cli keyspace alter KEYSPACE --versioned'"
        }
        "QUOTA_REACHED" => {
            "delete rows, or raise the quota with 'engine-cli keyspace alter': it takes all options, \
             see 'engine-cli keyspace describe'"
        }
        "CURSOR_INVALID" => "use the cursor exactly as it was printed, with the same scan",
        _ if error.certainty() == Certainty::Unknown => {
            "look whether it happened before you repeat it"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
