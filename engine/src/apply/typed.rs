//! Ops that change what a row holds: numbers, appended bytes, ends, sets and hashes.
//!
//! A set's row holds how many members it has; each member is a row of its own (see `keys`), with
//! nothing in it. A hash's row holds how many fields it has; the row of a field holds its value.
//! A set or hash comes into being with its first member and goes with its last, as in Redis.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::draft::{Draft, Stop, Target, check_value, invalid, next_meta};
use super::{Apply, keys};
use crate::command::{Expiry, NumberChange, OpResult, Refusal, RowRef};
use crate::error::Result;
use crate::ids::Revision;
use crate::limits::{MEMBER_BYTES_MAX, MEMBERS_REMOVED_SINGLY_MAX, VALUE_BYTES_MAX};
use crate::planted::{Planted, on};
use crate::store::{Row, RowKind, RowMeta};

impl Apply<'_> {
    pub(super) fn draft_number(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
        change: NumberChange,
        expiry: Expiry,
    ) -> Result<OpResult, Stop> {
        let target = self.target_of(draft, row, RowKind::Bytes)?;
        let old = target
            .old
            .as_ref()
            .map(|old| number(&old.value))
            .transpose()?;
        let value = match (change, old) {
            (NumberChange::Add(by), old) => {
                let value = old.unwrap_or_default();
                let sum = value.checked_add(by);
                sum.ok_or(Refusal::NumberOverflow { value })?
            }
            (NumberChange::Max(to), Some(old)) => old.max(to),
            (NumberChange::Min(to), Some(old)) => old.min(to),
            (NumberChange::Max(to) | NumberChange::Min(to), None) => to,
        };
        let ends = self.end_of_change(target.keyspace, target.old_meta(), expiry)?;
        if old != Some(value) || target.changes_end(ends) {
            self.draft_put(draft, target, &Bytes::from(value.to_string()), ends)?;
        }
        Ok(OpResult::Number { value })
    }

    pub(super) fn draft_append(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
        suffix: &[u8],
        expiry: Expiry,
    ) -> Result<OpResult, Stop> {
        let target = self.target_of(draft, row, RowKind::Bytes)?;
        let old = target.old.as_ref().map_or(&[][..], |old| &old.value);
        if old.len() + suffix.len() > VALUE_BYTES_MAX {
            return Err(Refusal::LimitReached {
                what: "bytes in the value".to_owned(),
                max: VALUE_BYTES_MAX as u64,
            }
            .into());
        }
        let value = Bytes::from([old, suffix].concat());
        let ends = self.end_of_change(target.keyspace, target.old_meta(), expiry)?;
        self.draft_put(draft, target, &value, ends)?;
        Ok(OpResult::Appended {
            len: value.len() as u64,
        })
    }

    pub(super) fn draft_expire(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
        expiry: Expiry,
    ) -> Result<OpResult, Stop> {
        let target = self.target(draft, row)?;
        let ends = self.end_of_put(target.keyspace, target.old_meta(), expiry)?;
        let Some(old) = target.old.clone() else {
            return Ok(OpResult::Expires { existed: false });
        };
        if target.changes_end(ends) {
            let meta = next_meta(&target, draft.revision, ends, old.meta.kind);
            draft.note_end(&target, ends);
            draft.keep_replaced(&target);
            draft.put(target.key, old.value, meta);
        }
        Ok(OpResult::Expires { existed: true })
    }

    pub(super) fn draft_set_add<'c>(
        &self,
        draft: &mut Draft<'c>,
        row: &'c RowRef,
        members: &[Bytes],
        expiry: Expiry,
    ) -> Result<OpResult, Stop> {
        let members: BTreeSet<&Bytes> = members.iter().collect();
        check_members(members.iter().copied())?;
        let target = self.target_of(draft, row, RowKind::Set)?;
        self.forget_ended(draft, &target)?;
        let mut changed = 0;
        for member in members {
            if self.member(draft, &target, member)?.is_none() {
                let meta = RowMeta::of_bytes(draft.revision, 1);
                draft.put(keys::member_key(&target.key, member), Bytes::new(), meta);
                changed += 1;
            }
        }
        let ends = self.end_of_change(target.keyspace, target.old_meta(), expiry)?;
        let count = target.members() + changed;
        if changed > 0 || target.changes_end(ends) {
            draft.put_members(row, target, RowKind::Set, count, ends);
        }
        Ok(OpResult::Members { changed, count })
    }

    pub(super) fn draft_hash_set<'c>(
        &self,
        draft: &mut Draft<'c>,
        row: &'c RowRef,
        fields: &[(Bytes, Bytes)],
        expiry: Expiry,
    ) -> Result<OpResult, Stop> {
        let fields: BTreeMap<&Bytes, &Bytes> = fields.iter().map(|(f, v)| (f, v)).collect();
        check_members(fields.keys().copied())?;
        let target = self.target_of(draft, row, RowKind::Hash)?;
        self.forget_ended(draft, &target)?;
        let mut changed = 0;
        for (field, value) in fields {
            check_value(value)?;
            let old = self.member(draft, &target, field)?.map(|old| old.meta);
            changed += u64::from(old.is_none());
            let meta = RowMeta::of_bytes(
                old.map_or(draft.revision, |old| old.create_revision),
                old.map_or(1, |old| old.version + 1),
            );
            draft.put(keys::member_key(&target.key, field), value.clone(), meta);
        }
        let ends = self.end_of_change(target.keyspace, target.old_meta(), expiry)?;
        let count = target.members() + changed;
        draft.put_members(row, target, RowKind::Hash, count, ends);
        Ok(OpResult::Members { changed, count })
    }

    pub(super) fn draft_remove_members<'c>(
        &self,
        draft: &mut Draft<'c>,
        row: &'c RowRef,
        kind: RowKind,
        members: &[Bytes],
    ) -> Result<OpResult, Stop> {
        let members: BTreeSet<&Bytes> = members.iter().collect();
        check_members(members.iter().copied())?;
        let target = self.target_of(draft, row, kind)?;
        let mut changed = 0;
        for member in members {
            if self.member(draft, &target, member)?.is_some() {
                draft.remove(keys::member_key(&target.key, member));
                changed += 1;
            }
        }
        let count = target.members().saturating_sub(changed);
        if changed > 0 && count == 0 {
            draft.forget_end(&target);
            draft.remove(target.key);
        } else if changed > 0
            && let Some(old) = target.old_meta()
        {
            draft.put_members(row, target, kind, count, old.expires_at_ms);
        }
        Ok(OpResult::Members { changed, count })
    }

    /// Removes what stands behind a set or hash that goes or becomes something else.
    pub(super) fn forget_members(&self, draft: &mut Draft<'_>, target: &Target<'_>) -> Result<()> {
        match target.old.as_ref().or(target.ended.as_ref()) {
            Some(row) => self.forget_members_of(draft, &target.key, row),
            None => Ok(()),
        }
    }

    /// Removes what a set or hash has left behind that has ended and now begins anew.
    fn forget_ended(&self, draft: &mut Draft<'_>, target: &Target<'_>) -> Result<()> {
        match &target.ended {
            Some(row) => self.forget_members_of(draft, &target.key, row),
            None => Ok(()),
        }
    }

    /// Removes the members that stand behind a row.
    pub(super) fn forget_members_of(
        &self,
        draft: &mut Draft<'_>,
        key: &[u8],
        row: &Row,
    ) -> Result<()> {
        if row.meta.kind == RowKind::Bytes || on(Planted::LeftMembers) {
            return Ok(());
        }
        let members = keys::members(key);
        if members_of(row) > MEMBERS_REMOVED_SINGLY_MAX {
            draft.delete_members(members);
            return Ok(());
        }
        for member in self.store.scan_keys(members, Revision(u64::MAX), false)? {
            let (member, _) = member?;
            draft.remove(member);
        }
        Ok(())
    }

    /// Finds the row that an op names, if it is of the kind that the op works on.
    fn target_of(
        &self,
        draft: &mut Draft<'_>,
        row: &RowRef,
        wanted: RowKind,
    ) -> Result<Target<'_>, Stop> {
        let target = self.target(draft, row)?;
        if wanted != RowKind::Bytes && target.keyspace.options.plain_values_only() {
            let name = row.keyspace.clone();
            return Err(Refusal::PlainValuesOnly { name }.into());
        }
        if let Some(old) = target.old_meta().filter(|old| old.kind != wanted) {
            let found = old.kind;
            return Err(Refusal::WrongKind { found, wanted }.into());
        }
        Ok(target)
    }

    /// A member that is there before the op.
    fn member(&self, draft: &Draft<'_>, target: &Target<'_>, member: &[u8]) -> Result<Option<Row>> {
        let key = keys::member_key(&target.key, member);
        if target.old.is_none() || draft.deletes(&key) {
            return Ok(None);
        }
        self.stored(&key)
    }
}

impl<'c> Draft<'c> {
    /// Writes the row of a set or hash.
    fn put_members(
        &mut self,
        row: &'c RowRef,
        target: Target<'_>,
        kind: RowKind,
        count: u64,
        ends: u64,
    ) {
        if !target.keyspace.has_members {
            self.first_members.insert(&row.keyspace);
        }
        let meta = next_meta(&target, self.revision, ends, kind);
        self.note_end(&target, ends);
        let count = Bytes::copy_from_slice(&count.to_le_bytes());
        self.put(target.key, count, meta);
    }
}

impl Target<'_> {
    /// How many members or fields there are before the op.
    fn members(&self) -> u64 {
        self.old.as_ref().map_or(0, members_of)
    }

    /// Whether the row would end at another time than it does.
    fn changes_end(&self, ends: u64) -> bool {
        self.old_meta().is_none_or(|old| old.expires_at_ms != ends)
    }
}

/// How many members or fields a set or hash has.
pub(crate) fn members_of(row: &Row) -> u64 {
    row.value
        .first_chunk()
        .map_or(0, |count| u64::from_le_bytes(*count))
}

/// A number as [`i64`] prints it: no other digits stand for it.
fn number(value: &[u8]) -> Result<i64, Refusal> {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse::<i64>().ok())
        .filter(|number| number.to_string().as_bytes() == value);
    number.ok_or(Refusal::NotANumber)
}

fn check_members<'m>(members: impl ExactSizeIterator<Item = &'m Bytes>) -> Result<(), Refusal> {
    if members.len() == 0 {
        return Err(invalid("an op on a set or hash names at least one member"));
    }
    for member in members {
        if member.len() > MEMBER_BYTES_MAX {
            return Err(invalid("a member or field has at most 32768 bytes"));
        }
    }
    Ok(())
}
