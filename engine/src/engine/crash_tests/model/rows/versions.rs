//! What a versioned keyspace keeps, in a map: every version that went, by the revision of its write.

use bytes::Bytes;

use super::{ModelRow, Rows};
use crate::command::{Expiry, KeyspaceOptions, OpResult, Refusal, RowRef};
use crate::engine::Engine;
use crate::error::ErrorKind;
use crate::ids::Revision;
use crate::query::{VersionView, VersionsRequest};
use crate::state::DEFAULT_KEYSPACE;
use crate::store::RowKind;

impl Rows {
    pub(in super::super) fn alter(&mut self, options: &KeyspaceOptions) -> Result<(), Refusal> {
        if options.plain_values_only() && self.has_members {
            let reason = "keyspace \"default\" holds, or once held, sets or hashes, and these have \
                          neither versions nor quotas: make another keyspace for plain values";
            return Err(Refusal::Invalid {
                reason: reason.to_owned(),
            });
        }
        self.counted &= self.options.has_quota();
        self.options = options.clone();
        self.has_versions |= options.versioned;
        Ok(())
    }

    pub(in super::super) fn kept_revisions(&self, key: &Bytes) -> Vec<Revision> {
        let kept = self.kept.get(key).into_iter().flatten();
        kept.map(|(revision, _)| *revision).collect()
    }

    /// A set or hash is not changed in a versioned keyspace.
    pub(super) fn check_plain(&self, row: &RowRef) -> Result<(), Refusal> {
        if !self.options.plain_values_only() {
            return Ok(());
        }
        Err(Refusal::PlainValuesOnly {
            name: row.keyspace.clone(),
        })
    }

    pub(super) fn keep_replaced(&mut self, key: &Bytes, revision: Revision) {
        if !self.options.versioned {
            return;
        }
        match self.by_key.get(key) {
            Some(old) => {
                let old = version(old);
                self.kept_of(key).insert(old.revision, old);
            }
            // A range that this commit deletes has left a marker.
            None => drop(self.kept_of(key).remove(&revision)),
        }
    }

    pub(super) fn keep_gone(&mut self, key: &Bytes, revision: Revision, ended_ms: Option<u64>) {
        if !self.options.versioned {
            return;
        }
        let old = version(&self.by_key[key]);
        let marker = VersionView {
            revision,
            is_delete_marker: true,
            version: 0,
            create_revision: old.create_revision,
            expires_at_ms: ended_ms,
            value: Bytes::new(),
        };
        let kept = self.kept_of(key);
        kept.insert(old.revision, old);
        kept.insert(revision, marker);
    }

    fn kept_of(&mut self, key: &Bytes) -> &mut std::collections::BTreeMap<Revision, VersionView> {
        self.kept.entry(key.clone()).or_default()
    }

    pub(super) fn undelete(
        &mut self,
        row: &RowRef,
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        if !self.has_versions {
            let name = row.keyspace.clone();
            return Err(Refusal::NotVersioned { name });
        }
        if let Some(living) = self.living(&row.key, at.1) {
            let revision = living.view.mod_revision;
            return Err(Refusal::RowExists { revision });
        }
        let ended = self.by_key.get(&row.key);
        let ended = ended.filter(|ended| ended.view.kind == RowKind::Bytes);
        let kept = self.kept.get(&row.key).into_iter().flatten().rev();
        let mut past = ended
            .map(version)
            .into_iter()
            .chain(kept.map(|(_, kept)| kept.clone()))
            .filter(|past| !past.is_delete_marker);
        let past = past.next().ok_or(Refusal::NothingToRestore)?;
        self.restore(row, past.revision, past.value, at)
    }

    /// `readable` is what the history of an unversioned keyspace knows.
    pub(in super::super) fn revert(
        &mut self,
        row: &RowRef,
        to: Revision,
        readable: Option<ModelRow>,
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        let found = if self.has_versions {
            let newest = self.by_key.get(&row.key).cloned();
            let newest = newest.filter(|newest| newest.view.mod_revision == to);
            let kept = self.kept.get(&row.key).and_then(|kept| kept.get(&to));
            let kept = kept.filter(|kept| !kept.is_delete_marker);
            let kept = kept.map(|kept| (RowKind::Bytes, kept.value.clone()));
            newest
                .map(|newest| (newest.view.kind, newest.view.value))
                .or(kept)
        } else {
            readable.map(|found| (found.view.kind, found.view.value))
        };
        match found {
            None => Err(Refusal::UnknownVersion { revision: to }),
            Some((RowKind::Bytes, value)) => self.restore(row, to, value, at),
            Some((found, _)) => Err(Refusal::WrongKind {
                found,
                wanted: RowKind::Bytes,
            }),
        }
    }

    fn restore(
        &mut self,
        row: &RowRef,
        from: Revision,
        value: Bytes,
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        let ends = self.end(row, Expiry::Default, Expiry::Default, at.1)?;
        let mut new = ModelRow::new(&row.key);
        new.view.value = value;
        let version = self.put(new, ends, at);
        Ok(OpResult::Restored { from, version })
    }

    /// Compares the versions of all rows that ever had one kept.
    pub(super) fn check_versions(&self, engine: &Engine) -> Result<(), String> {
        for (key, kept) in &self.kept {
            let page = engine.replica().versions(&VersionsRequest {
                row: RowRef {
                    keyspace: DEFAULT_KEYSPACE.to_owned(),
                    key: key.clone(),
                },
                before: None,
                limit: 0,
            });
            let newest = self.by_key.get(key);
            if newest.is_some_and(|newest| newest.view.kind != RowKind::Bytes) {
                match page {
                    Err(error) if error.kind() == ErrorKind::Invalid => continue,
                    other => return Err(format!("versions of a set: {other:?}")),
                }
            }
            let found = page.map_err(|error| error.to_string())?.versions;
            let newest = newest.map(version).into_iter();
            let expected = newest.chain(kept.values().rev().cloned());
            let expected: Vec<VersionView> = expected.collect();
            if found != expected {
                return Err(format!("versions {found:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

fn version(row: &ModelRow) -> VersionView {
    VersionView {
        revision: row.view.mod_revision,
        is_delete_marker: false,
        version: row.view.version,
        create_revision: row.view.create_revision,
        expires_at_ms: row.view.expires_at_ms,
        value: row.view.value.clone(),
    }
}
