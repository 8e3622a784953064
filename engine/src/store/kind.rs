//! Which of the stores a node uses.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{BlockCache, Lsm, Store, StoreOptions};
use crate::env::Env;
use crate::{Error, ErrorKind, Result};

/// An implementation of [`Store`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Our own log-structured store.
    #[default]
    Lsm,
    /// Reads from sled, checkpoints by our own store: to be compared with, not for production.
    /// Only in builds with the feature `sled`.
    Sled,
}

impl StoreKind {
    /// Makes sure that this build has the store.
    ///
    /// # Errors
    /// `Invalid` says how to build a program that has it.
    pub fn check(self) -> Result<()> {
        if self == Self::Sled && !cfg!(feature = "sled") {
            let message = "this program was built without the store \"sled\": \
                           build it with 'cargo build --release --features sled' in cli/ or server/";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lsm => "lsm",
            Self::Sled => "sled",
        })
    }
}

impl FromStr for StoreKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "lsm" => Ok(Self::Lsm),
            "sled" => Ok(Self::Sled),
            _ => Err(Error::new(ErrorKind::Invalid, "write lsm or sled")),
        }
    }
}

/// Opens a folder with a store of the given kind. Each kind opens what another left.
///
/// # Errors
/// As [`Lsm::open`]; `Invalid` for a store that is not in this build.
pub fn open(
    kind: StoreKind,
    env: &Env,
    dir: &Path,
    options: StoreOptions,
    blocks: Arc<BlockCache>,
) -> Result<Box<dyn Store>> {
    kind.check()?;
    match kind {
        #[cfg(feature = "sled")]
        StoreKind::Sled => Ok(Box::new(super::SledStore::open(env, dir, options, blocks)?)),
        _ => Ok(Box::new(Lsm::open(env, dir, options, blocks)?)),
    }
}
