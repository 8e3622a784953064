//! Quotas: what a draft would make of the rows and bytes of its keyspaces, and who may not grow.
//!
//! Only keyspaces with a quota are counted; the others pay nothing. A draft is judged as a whole, so
//! that its ops may make room for each other.
//!
//! # Invariants
//! - What is counted is what stands in the store behind the walk: rows that have ended count until
//!   a tick has removed them.
//! - A draft that makes neither rows nor bytes more is never refused.

use std::collections::BTreeMap;

use super::draft::{Draft, invalid};
use super::{Apply, keys};
use crate::command::{Quota, Refusal};
use crate::error::Result;
use crate::ids::{KeyspaceId, Revision};
use crate::limits::{COMMIT_ROWS_MAX, TICK_COUNTS_MAX};
use crate::state::Keyspace;
use crate::store::KeyRange;

/// How a draft changes what a keyspace holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Growth {
    rows: i64,
    bytes: i64,
}

/// How a draft changes the keyspaces that are counted.
#[derive(Debug, Default)]
pub(super) struct Growths {
    /// With their names.
    keyspaces: BTreeMap<KeyspaceId, (String, Growth)>,
    /// It deletes more rows by ranges than one commit may count.
    is_vast: bool,
}

impl Growth {
    fn add(&mut self, key: &[u8], value_bytes: usize, sign: i64) {
        self.rows += sign * i64::from(keys::is_row(key));
        self.bytes += sign * row_bytes(key, value_bytes);
    }
}

impl Apply<'_> {
    /// What a draft does to the keyspaces that are counted.
    pub(super) fn growths(&self, draft: &Draft<'_>) -> Result<Growths> {
        let mut growths = Growths::default();
        if draft.counted.is_empty() {
            return Ok(growths);
        }
        let mut usages = BTreeMap::new();
        for (id, name) in &draft.counted {
            let keyspace = self.state.keyspaces.get(name);
            if let Some(usage) = keyspace.and_then(|keyspace| keyspace.usage.as_ref()) {
                usages.insert(*id, usage);
                let unchanged = (name.clone(), Growth::default());
                growths.keyspaces.insert(*id, unchanged);
            }
        }
        let mut add = |key: &[u8], value_bytes: usize, sign: i64| {
            let owner = keys::owner_of(key);
            if let Some((_, growth)) = growths.keyspaces.get_mut(&owner)
                && usages[&owner].counts(key)
            {
                growth.add(key, value_bytes, sign);
            }
        };
        let is_counted = |key: &[u8]| draft.counted.contains_key(&keys::owner_of(key));
        let ranges = draft
            .deleted
            .iter()
            .filter(|range| is_counted(&range.start));
        let mut rows = 0;
        for range in KeyRange::merged(ranges.cloned()) {
            for item in self.store.scan(range, Revision(u64::MAX), false)? {
                let (key, row) = item?;
                rows += 1;
                if rows > COMMIT_ROWS_MAX {
                    growths.is_vast = true;
                    return Ok(growths);
                }
                add(&key, row.value.len(), -1);
            }
        }
        // What is written last at a key stays.
        let writes = draft.writes.iter().filter(|write| is_counted(&write.key));
        let last: BTreeMap<_, _> = writes.map(|write| (&write.key, &write.value)).collect();
        for (key, new) in last {
            if !draft.deletes(key)
                && let Some(old) = self.stored(key)?
            {
                add(key, old.value.len(), -1);
            }
            if let Some(new) = new {
                add(key, new.value.len(), 1);
            }
        }
        Ok(growths)
    }

    /// Refuses what would make a keyspace larger than its quota.
    pub(super) fn check_quotas(&self, growths: &Growths) -> Result<(), Refusal> {
        if growths.is_vast {
            let what = "in keyspaces with quotas a commit deletes ranges of at most 40000 rows: \
                        delete smaller ranges";
            return Err(invalid(what));
        }
        for (name, growth) in growths.keyspaces.values() {
            let Keyspace { options, usage, .. } = self.keyspace(name)?;
            // A keyspace that is being counted has as much room as it takes.
            let Some(usage) = usage.as_ref().filter(|usage| usage.walk.is_none()) else {
                continue;
            };
            let rows = (Quota::Rows, usage.rows, growth.rows, options.rows_max);
            let bytes = (Quota::Bytes, usage.bytes, growth.bytes, options.bytes_max);
            for (quota, used, more, max) in [rows, bytes] {
                let wanted = used.saturating_add_signed(more);
                if let Some(max) = max
                    && more > 0
                    && wanted > max
                {
                    return Err(Refusal::QuotaReached {
                        name: name.clone(),
                        quota,
                        max,
                        wanted,
                    });
                }
            }
        }
        Ok(())
    }

    /// Counts what a draft has done.
    pub(super) fn grow(&mut self, growths: Growths) {
        for (name, growth) in growths.keyspaces.into_values() {
            let keyspace = self.state.keyspaces.get_mut(&name);
            if let Some(usage) = keyspace.and_then(|keyspace| keyspace.usage.as_mut()) {
                usage.rows = usage.rows.saturating_add_signed(growth.rows);
                usage.bytes = usage.bytes.saturating_add_signed(growth.bytes);
            }
        }
    }

    /// The keyspaces that are counted, with their names.
    pub(super) fn counted_keyspaces(&self) -> BTreeMap<KeyspaceId, String> {
        let keyspaces = self.state.keyspaces.iter();
        let counted = keyspaces.filter(|(_, keyspace)| keyspace.usage.is_some());
        counted
            .map(|(name, keyspace)| (keyspace.id, name.clone()))
            .collect()
    }

    /// Counts on in keyspaces that were not empty when they got their first quota: a bounded number
    /// of rows.
    pub(super) fn walk_on(&mut self) -> Result<()> {
        let mut left = TICK_COUNTS_MAX;
        for keyspace in self.state.keyspaces.values_mut() {
            let id = keyspace.id;
            let Some(usage) = &mut keyspace.usage else {
                continue;
            };
            // Rows stand first, versions behind them.
            let versions = keys::versions_of_keyspace(id);
            while let Some(from) = usage.walk.take() {
                let in_rows = from < versions.start;
                let end = if in_rows {
                    KeyRange::prefix(keys::row_key(id, b"")).end
                } else {
                    versions.end.clone()
                };
                let rest = KeyRange { start: from, end };
                for item in self.store.scan(rest, Revision(u64::MAX), false)? {
                    let (key, row) = item?;
                    if left == 0 {
                        usage.walk = Some(key);
                        return Ok(());
                    }
                    left -= 1;
                    usage.rows += u64::from(keys::is_row(&key));
                    usage.bytes += row_bytes(&key, row.value.len()).unsigned_abs();
                }
                usage.walk = in_rows.then(|| versions.start.clone());
            }
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Remembers a keyspace that is counted.
    pub(super) fn touch(&mut self, name: &str, keyspace: &Keyspace) {
        if keyspace.usage.is_some() && !self.counted.contains_key(&keyspace.id) {
            self.counted.insert(keyspace.id, name.to_owned());
        }
    }
}

/// What a row counts for: its key as the store has it, without the keyspace's number, and its value.
fn row_bytes(key: &[u8], value_bytes: usize) -> i64 {
    i64::try_from(key.len() - size_of::<u32>() + value_bytes).unwrap_or(i64::MAX)
}
