//! The crate's error: what hurt this node, and what the caller may do about it.
//!
//! A *refusal* (a guard failed, a topic is unknown) is no error here: it is an
//! [`Outcome`](crate::command::Outcome), the same on every replica.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::codec::DecodeError;

/// Callers act differently on each kind, and only on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The disk failed. The engine is poisoned: restart it after the cause is mended.
    Io,
    /// Bytes on disk are not what was written. Nothing was dropped; repair from a peer or backup.
    Corrupt,
    /// No room on the disk. Nothing was changed; free space and try again. The engine goes on
    /// with reads and deletes, and with writes once there is room.
    Full,
    /// The request was never acceptable.
    Invalid,
    /// A read asked for a revision or offset that no longer exists or does not exist yet.
    OutOfRange,
    /// What the request names does not exist.
    NotFound,
    /// Another process holds the folder.
    Locked,
    /// An earlier failure stopped this engine, or it is closed.
    Stopped,
    /// Data was written by a newer format than this build reads.
    Unsupported,
}

/// What went wrong, on what, and why.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    damage: Option<Box<Damage>>,
}

/// Which bytes are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where in it: the damaged byte, or the structure that holds it.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// Results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error without a deeper cause.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
            damage: None,
        }
    }

    /// An error with the cause below it.
    pub fn with_source(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            context: context.into(),
            source: Some(Box::new(source)),
            damage: None,
        }
    }

    /// A failed file operation: verb and object, for example `"sync segment 7"`.
    pub fn io(context: impl Into<String>, source: std::io::Error) -> Self {
        let kind = if source.kind() == std::io::ErrorKind::StorageFull {
            ErrorKind::Full
        } else {
            ErrorKind::Io
        };
        Self::with_source(kind, context, source)
    }

    /// The failure after which `what` takes no more writes, with what a person must do.
    ///
    /// Never [`ErrorKind::Full`], which promises that nothing was changed: after this nothing is
    /// known of the bytes that were not synced.
    pub fn poisoning(what: impl fmt::Display, cause: Self) -> Self {
        let kind = match cause.kind {
            ErrorKind::Full => ErrorKind::Io,
            kind => kind,
        };
        let context = format!(
            "{what} failed and takes no more writes: mend the cause and restart the node, which \
             reads back what the disk holds, or replace the node if its disk is bad"
        );
        Self::with_source(kind, context, cause)
    }

    /// Damaged bytes in a file we wrote, at `offset`.
    pub fn corrupt(file: &Path, offset: u64, what: impl fmt::Display) -> Self {
        let damage = Damage {
            path: file.to_owned(),
            offset,
            what: what.to_string(),
        };
        let context = format!("{} is damaged at byte {offset}: {what}", file.display());
        Self {
            damage: Some(Box::new(damage)),
            ..Self::new(ErrorKind::Corrupt, context)
        }
    }

    /// What the caller should act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The damaged place, of an error that [`Error::corrupt`] made.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_deref()
    }

    /// The same failure, told again to a second waiter.
    pub fn again(&self) -> Self {
        Self {
            damage: self.damage.clone(),
            ..Self::new(self.kind, self.to_string())
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

impl From<DecodeError> for Error {
    fn from(source: DecodeError) -> Self {
        Self::with_source(ErrorKind::Corrupt, "decode stored bytes", source)
    }
}
