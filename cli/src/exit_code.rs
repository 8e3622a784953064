//! How a command ended, as a number that scripts can branch on.

/// The process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done.
    Done,
    /// Failed, in a way that no other code tells.
    Failed,
    /// The command line, or what it names, was never acceptable. Also clap's own code.
    Usage,
    /// What was asked for is not there, or a guard did not hold: nothing was changed.
    NotThere,
    /// The cluster cannot be reached or cannot serve now: try again later. Nothing was changed.
    Unavailable,
    /// The cluster did not answer in time: the change may have happened all the same.
    Doubtful,
    /// A file that was inspected is damaged.
    Damaged,
}

/// For `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
  0  done
  1  failed; a scrub found damage; a node differs from the others
  2  the command line, or what it names, is not acceptable
  3  not found, or a guard did not hold: nothing was changed
  4  the cluster is not reachable or cannot serve now: try again later
  5  no answer in time: the change may have happened all the same
  6  a file that was inspected is damaged";

impl ExitCode {
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotThere => 3,
            Self::Unavailable => 4,
            Self::Doubtful => 5,
            Self::Damaged => 6,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        code.number().into()
    }
}
