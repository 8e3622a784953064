//! Keyspaces: the named sets that rows live in.

use std::sync::Arc;
use std::time::Duration;

use engine_proto::v1 as pb;
use engine_proto::v1::keyspaces_client::KeyspacesClient;

use crate::call::{Calls, Kind, service};
use crate::error::Result;

pub use engine_proto::v1::KeyspaceUsage;

/// Calls about keyspaces; from [`Client::keyspaces`](crate::Client::keyspaces).
#[derive(Clone, Debug)]
pub struct Keyspaces {
    calls: Arc<Calls>,
}

/// How a keyspace treats its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceOptions {
    /// When rows end whose writers do not say it, after they are written: 1 ms to 100 years.
    /// `None` for never.
    pub default_ttl: Option<Duration>,
    /// Every version that a write replaces is kept, and a delete leaves a marker: see
    /// [`Kv::versions`](crate::Kv::versions). Such a keyspace holds plain values only.
    pub versioned: bool,
    /// Most rows that it holds: `QUOTA_REACHED` for a commit that would make them more. Such a keyspace
    /// holds plain values only. `None` for no quota.
    pub rows_max: Option<u64>,
    /// Most bytes of keys and values that it holds, versions included. `None` for no quota.
    pub bytes_max: Option<u64>,
    /// Its rows stay out of the row cache: for rows that are seldom read twice.
    pub uncached: bool,
}

/// A keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its name.
    pub name: String,
    /// How it treats its rows.
    pub options: KeyspaceOptions,
    /// What it holds, if it has a quota.
    pub usage: Option<KeyspaceUsage>,
}

impl Keyspaces {
    pub(crate) fn new(calls: Arc<Calls>) -> Self {
        Self { calls }
    }

    /// Makes a keyspace with default options.
    ///
    /// # Errors
    /// As for [`create_with`](Self::create_with).
    pub async fn create(&self, name: impl Into<String>) -> Result<()> {
        self.create_with(name, KeyspaceOptions::default()).await
    }

    /// Makes a keyspace.
    ///
    /// # Errors
    /// `KEYSPACE_EXISTS`, `NAME_INVALID`, `FIELD_OUT_OF_RANGE`, and those of every call.
    pub async fn create_with(
        &self,
        name: impl Into<String>,
        options: KeyspaceOptions,
    ) -> Result<()> {
        let request = pb::CreateKeyspaceRequest {
            name: name.into(),
            group: 0,
            options: Some(options.wire()),
        };
        self.calls
            .call(Kind::ADMIN, |attempt| {
                let request = request.clone();
                async move {
                    service!(KeyspacesClient, attempt)
                        .create(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(())
    }

    /// Changes how a keyspace treats its rows from now on; answers the revision from which on it
    /// does. Rows that are there keep their ends.
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`, `FIELD_OUT_OF_RANGE`, and those of every call.
    pub async fn alter(&self, name: impl Into<String>, options: KeyspaceOptions) -> Result<u64> {
        let request = pb::AlterKeyspaceRequest {
            name: name.into(),
            options: Some(options.wire()),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::ADMIN, |attempt| {
                let request = request.clone();
                async move {
                    service!(KeyspacesClient, attempt)
                        .alter(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(crate::commit::revision(answer.header.as_ref()))
    }

    /// Removes a keyspace and all its rows, in one step however many they are; answers the revision
    /// that removed it.
    ///
    /// # Errors
    /// `UNKNOWN_KEYSPACE`; `COMMAND_INVALID` for the keyspace `default`; those of every call.
    pub async fn drop(&self, name: impl Into<String>) -> Result<u64> {
        let request = pb::DropKeyspaceRequest {
            name: name.into(),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::ADMIN, |attempt| {
                let request = request.clone();
                async move {
                    service!(KeyspacesClient, attempt)
                        .drop(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(crate::commit::revision(answer.header.as_ref()))
    }

    /// All keyspaces, by name.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list(&self) -> Result<Vec<Keyspace>> {
        let answer = self
            .calls
            .call(Kind::READ, |attempt| async move {
                service!(KeyspacesClient, attempt)
                    .list(attempt.message(pb::ListKeyspacesRequest { group: 0 }))
                    .await
            })
            .await?;
        let keyspaces = answer.keyspaces.into_iter();
        Ok(keyspaces
            .map(|keyspace| Keyspace {
                name: keyspace.name,
                options: KeyspaceOptions::read(keyspace.options.unwrap_or_default()),
                usage: keyspace.usage,
            })
            .collect())
    }
}

impl KeyspaceOptions {
    fn wire(self) -> pb::KeyspaceOptions {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        pb::KeyspaceOptions {
            default_ttl_ms: self.default_ttl.map(ms),
            versioned: self.versioned,
            rows_max: self.rows_max,
            bytes_max: self.bytes_max,
            uncached: self.uncached,
        }
    }

    fn read(options: pb::KeyspaceOptions) -> Self {
        Self {
            default_ttl: options.default_ttl_ms.map(Duration::from_millis),
            versioned: options.versioned,
            rows_max: options.rows_max,
            bytes_max: options.bytes_max,
            uncached: options.uncached,
        }
    }
}
