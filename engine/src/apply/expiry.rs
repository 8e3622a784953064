//! Ends of rows: when they are, the timers that remember them, and the sweep behind them.
//!
//! A row that has ended is hidden by whoever reads it; a tick removes it soon after. For each row
//! that ends there is a timer, a row of its own in the order of time (see `keys`). A timer may
//! outlive its row, if a range took that away; it does nothing then.

use bytes::Bytes;

use super::draft::{Draft, Target, invalid};
use super::{Apply, keys};
use crate::changes::{Cause, RowRecord};
use crate::command::{Expiry, Refusal};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::Revision;
use crate::limits::{COMMIT_KEPT_BYTES_MAX, COMMIT_RANGES_MAX, TICK_EXPIRES_MAX, TTL_MS_MAX};
use crate::planted::{Planted, on};
use crate::state::Keyspace;
use crate::store::{NEVER_MS, RowMeta};

impl Apply<'_> {
    /// When a row ends that is written anew.
    pub(super) fn end_of_put(
        &self,
        keyspace: &Keyspace,
        old: Option<RowMeta>,
        expiry: Expiry,
    ) -> Result<u64, Refusal> {
        let now_ms = self.state.now_ms;
        let by_default = || match keyspace.options.default_ttl_ms {
            Some(ttl_ms) => now_ms.saturating_add(ttl_ms),
            None => NEVER_MS,
        };
        match expiry {
            Expiry::Default => Ok(by_default()),
            Expiry::Never => Ok(NEVER_MS),
            Expiry::Keep => Ok(old.map_or_else(by_default, |old| old.expires_at_ms)),
            Expiry::After(ttl_ms) => self.end_after(ttl_ms),
            Expiry::IfNew(ttl_ms) => match old {
                Some(old) if !on(Planted::RenewedEnd) => Ok(old.expires_at_ms),
                _ => self.end_after(ttl_ms),
            },
            Expiry::At(at_ms) if at_ms <= now_ms => Err(Refusal::ExpiryInThePast { at_ms, now_ms }),
            Expiry::At(at_ms) => self.end_after(at_ms - now_ms),
        }
    }

    /// When a row ends whose value is changed.
    pub(super) fn end_of_change(
        &self,
        keyspace: &Keyspace,
        old: Option<RowMeta>,
        expiry: Expiry,
    ) -> Result<u64, Refusal> {
        let expiry = match expiry {
            Expiry::Default => Expiry::Keep,
            expiry => expiry,
        };
        self.end_of_put(keyspace, old, expiry)
    }

    fn end_after(&self, ttl_ms: u64) -> Result<u64, Refusal> {
        check_ttl(ttl_ms)?;
        Ok(self.state.now_ms.saturating_add(ttl_ms))
    }

    /// Removes rows that have ended, a bounded number of them.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let now_ms = self.state.now_ms;
        if self.state.first_expiry_ms > now_ms {
            return Ok(());
        }
        let revision = Revision(self.state.revision.0 + 1);
        let mut draft = Draft::new(revision, &[]);
        let mut next_ms = NEVER_MS;
        let timers = keys::timers_from(self.state.first_expiry_ms);
        let versioned = self.versioned_keyspaces();
        let counted = self.counted_keyspaces();
        for timer in self.store.scan_keys(timers, Revision(u64::MAX), false)? {
            let (timer, _) = timer?;
            let (at_ms, key) = keys::read_timer(&timer).ok_or_else(not_a_timer)?;
            // A set's members are rows to remove, too.
            let is_full = draft.writes.len() >= 2 * TICK_EXPIRES_MAX
                || draft.ranges() >= COMMIT_RANGES_MAX
                || draft.kept_bytes >= COMMIT_KEPT_BYTES_MAX;
            if at_ms > now_ms || is_full {
                next_ms = at_ms;
                break;
            }
            draft.remove(timer);
            let row = self.stored(&key)?;
            if let Some(row) = row.filter(|row| row.meta.expires_at_ms == at_ms) {
                self.forget_members_of(&mut draft, &key, &row)?;
                let keyspace = keys::keyspace_of(&key);
                if versioned.contains(&keyspace) {
                    draft.keep_gone(&key, &row, at_ms);
                }
                if let Some(name) = counted.get(&keyspace) {
                    draft.counted.insert(keyspace, name.clone());
                }
                draft.remove(key);
            }
        }
        self.state.first_expiry_ms = next_ms;
        if !draft.is_empty() {
            let growths = self.growths(&draft)?;
            self.grow(growths);
            self.write(revision, &draft.writes, &draft.deleted)?;
            let rows = draft.row_records(RowRecord::Ended);
            self.record(revision, Cause::RowsEnded, rows, Vec::new());
            self.state.revision = revision;
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Remembers when a row ends from now on.
    pub(super) fn note_end(&mut self, target: &Target<'_>, expires_at_ms: u64) {
        if target
            .old_meta()
            .is_some_and(|old| old.expires_at_ms == expires_at_ms)
        {
            return;
        }
        self.forget_end(target);
        if expires_at_ms != NEVER_MS {
            let timer = keys::timer_key(expires_at_ms, &target.key);
            let meta = RowMeta::of_bytes(self.revision, 1);
            self.put(timer, Bytes::new(), meta);
            self.first_expiry_ms = self.first_expiry_ms.min(expires_at_ms);
        }
    }

    /// The row will not end when it should have.
    pub(super) fn forget_end(&mut self, target: &Target<'_>) {
        if let Some(old) = target.old_meta()
            && old.expires_at_ms != NEVER_MS
        {
            self.remove(keys::timer_key(old.expires_at_ms, &target.key));
        }
    }
}

/// A life that rows may have.
pub(super) fn check_ttl(ttl_ms: u64) -> Result<(), Refusal> {
    if ttl_ms == 0 || ttl_ms > TTL_MS_MAX {
        return Err(invalid(&format!(
            "a ttl has 1 to {TTL_MS_MAX} milliseconds"
        )));
    }
    Ok(())
}

fn not_a_timer() -> Error {
    Error::new(ErrorKind::Corrupt, "a timer's key is not what was written")
}
