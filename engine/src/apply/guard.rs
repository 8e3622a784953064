//! Whether a commit's guards hold.

use super::Apply;
use super::draft::checked_row_key;
use crate::command::{Guard, Refusal};
use crate::error::Result;
use crate::planted::{Planted, on};
use crate::store::RowKind;

impl Apply<'_> {
    /// The first guard that does not hold, as a refusal.
    pub(super) fn check_guards(&self, guards: &[Guard]) -> Result<Result<(), Refusal>> {
        if on(Planted::SkipGuards) {
            return Ok(Ok(()));
        }
        for (place, guard) in guards.iter().enumerate() {
            let (Guard::Exists(row)
            | Guard::Absent(row)
            | Guard::RevisionIs(row, _)
            | Guard::ValueIs(row, _)) = guard;
            let keyspace = self.keyspace(&row.keyspace);
            let key = keyspace.and_then(|keyspace| checked_row_key(keyspace, &row.key));
            let key = match key {
                Ok(key) => key,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let found = self.newest(&key)?;
            let holds = match (guard, &found) {
                (Guard::Exists(_), found) => found.is_some(),
                (Guard::Absent(_), found) => found.is_none(),
                (Guard::RevisionIs(_, revision), Some(row)) => row.mod_revision == *revision,
                (Guard::ValueIs(_, value), Some(row)) => {
                    row.meta.kind == RowKind::Bytes && row.value == *value
                }
                (Guard::RevisionIs(..) | Guard::ValueIs(..), None) => false,
            };
            if !holds {
                let guard = u32::try_from(place).unwrap_or(u32::MAX);
                let actual = found.map(|row| row.mod_revision);
                return Ok(Err(Refusal::GuardFailed { guard, actual }));
            }
        }
        Ok(Ok(()))
    }
}
