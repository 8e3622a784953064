//! One atomic commit: session, guards, then every op or none.
//!
//! Ops are first *drafted* against the state before the commit, which may refuse; then carried
//! out, which may not. All rows of a commit are written at one revision in one batch.

use super::Apply;
use super::changes::queued_record;
use super::draft::{Draft, Stop};
use super::queued::Queued;
use super::quota::Growths;
use crate::changes::{Cause, RowRecord};
use crate::command::{Commit, Op, OpResult, Outcome};
use crate::error::Result;
use crate::ids::Revision;
use crate::planted::{Planted, on};
use crate::session::Admission;
use crate::store::{KeyRange, RowKind, RowWrite};

impl Apply<'_> {
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Outcome> {
        let Some(request) = commit.request else {
            return self.decide(commit);
        };
        match self.state.sessions.admit(request, self.state.now_ms) {
            Admission::Known(outcome) => Ok(Outcome::decode(outcome)?),
            Admission::Refused(refusal) => Ok(Outcome::Refused(refusal)),
            Admission::New => {
                let outcome = self.decide(commit)?;
                self.state.sessions.remember(request, outcome.encode());
                Ok(outcome)
            }
        }
    }

    fn decide(&mut self, commit: &Commit) -> Result<Outcome> {
        if let Err(refusal) = self.check_guards(&commit.guards)? {
            return Ok(Outcome::Refused(refusal));
        }
        let revision = Revision(self.state.revision.0 + 1);
        let mut draft = Draft::new(revision, &commit.ops);
        match self.draft_all(&mut draft, &commit.ops) {
            Ok(growths) => self.grow(growths),
            Err(Stop::Refused(refusal)) => return Ok(Outcome::Refused(refusal)),
            Err(Stop::Fault(fault)) => return Err(fault),
        }
        let request = commit.request;
        let cause = Cause::Commit(request.map(|request| (request.session, request.number)));
        self.carry_out(draft, cause)
    }

    /// Drafts every op; answers what they make of keyspaces with quotas.
    fn draft_all<'c>(&self, draft: &mut Draft<'c>, ops: &'c [Op]) -> Result<Growths, Stop> {
        for op in ops {
            let result = self.draft(draft, op)?;
            draft.check_size()?;
            draft.results.push(result);
        }
        let growths = self.growths(draft)?;
        self.check_quotas(&growths)?;
        Ok(growths)
    }

    /// Adds an op to the draft; its result, unless it is made when the op is done.
    fn draft<'c>(&self, draft: &mut Draft<'c>, op: &'c Op) -> Result<Option<OpResult>, Stop> {
        let result = match op {
            Op::Put { row, value, expiry } => {
                let target = self.target(draft, row)?;
                let ends = self.end_of_put(target.keyspace, target.old_meta(), *expiry)?;
                self.draft_put(draft, target, value, ends)?
            }
            Op::Delete { row } => {
                let target = self.target(draft, row)?;
                self.draft_delete(draft, target)?
            }
            Op::DeleteRange {
                keyspace,
                start,
                end,
            } => self.draft_range(draft, keyspace, start, end.as_deref())?,
            Op::Number {
                row,
                change,
                expiry,
            } => self.draft_number(draft, row, *change, *expiry)?,
            Op::Append {
                row,
                suffix,
                expiry,
            } => self.draft_append(draft, row, suffix, *expiry)?,
            Op::Read { row } => self.draft_read(draft, row)?,
            Op::Expire { row, expiry } => self.draft_expire(draft, row, *expiry)?,
            Op::SetAdd {
                row,
                members,
                expiry,
            } => self.draft_set_add(draft, row, members, *expiry)?,
            Op::HashSet {
                row,
                fields,
                expiry,
            } => self.draft_hash_set(draft, row, fields, *expiry)?,
            Op::SetRemove { row, members } => {
                self.draft_remove_members(draft, row, RowKind::Set, members)?
            }
            Op::HashRemove { row, fields } => {
                self.draft_remove_members(draft, row, RowKind::Hash, fields)?
            }
            Op::Undelete { row } => self.draft_undelete(draft, row)?,
            Op::Revert { row, to } => self.draft_revert(draft, row, *to)?,
            Op::Publish {
                topic,
                partition,
                message,
            } => {
                self.draft_queued(draft, Queued::Message(topic, *partition, message))?;
                return Ok(None);
            }
            Op::CommitOffset {
                topic,
                partition,
                consumer_group,
                next,
            } => {
                let offset = Queued::Offset(topic, *partition, consumer_group, *next);
                self.draft_queued(draft, offset)?;
                return Ok(None);
            }
        };
        Ok(Some(result))
    }

    fn carry_out(&mut self, mut draft: Draft<'_>, cause: Cause) -> Result<Outcome> {
        let before = self.state.revision;
        let revision = draft.revision;
        let is_empty = draft.is_empty();
        let rows = draft.row_records(RowRecord::Deleted);
        let mut records = Vec::with_capacity(draft.queued.len());
        for (place, queued) in std::mem::take(&mut draft.queued) {
            let result = self.do_queued(queued, revision)?;
            records.extend(queued_record(queued, &result));
            draft.results[place] = Some(result);
            if on(Planted::HalfCommit) {
                draft.writes.clear();
            }
        }
        let results = draft
            .results
            .into_iter()
            .map(|result| result.expect("every queued op was done"))
            .collect();
        if is_empty {
            return Ok(Outcome::Committed {
                revision: before,
                results,
            });
        }
        for name in draft.first_members {
            if let Some(keyspace) = self.state.keyspaces.get_mut(name) {
                keyspace.has_members = true;
            }
        }
        let first = self.state.first_expiry_ms.min(draft.first_expiry_ms);
        self.state.first_expiry_ms = first;
        self.write(revision, &draft.writes, &draft.deleted)?;
        self.record(revision, cause, rows, records);
        self.state.revision = revision;
        Ok(Outcome::Committed { revision, results })
    }

    /// Empties ranges, then writes rows, all at one revision that nobody sees yet.
    pub(super) fn write(
        &mut self,
        revision: Revision,
        writes: &[RowWrite],
        deleted: &[KeyRange],
    ) -> Result<()> {
        if writes.is_empty() && deleted.is_empty() {
            return Ok(());
        }
        for range in deleted {
            self.note_change(&range.start, range.end.as_ref());
        }
        for write in writes {
            self.note_change(&write.key, write.value.as_ref().map(|row| &row.value));
            let meta = write.value.as_ref().map(|row| row.meta);
            // Plain rows as ever: digests are compared between builds, too.
            if let Some(meta) = meta.filter(|meta| !meta.is_plain()) {
                self.digest.update(&meta.expires_at_ms.to_le_bytes());
                self.digest.update(&[meta.kind.number()]);
            }
        }
        self.store.write(revision, writes, deleted)?;
        for range in deleted {
            self.rows.invalidate_range(self.group, range, revision);
        }
        for write in writes.iter().filter(|_| !on(Planted::StaleCache)) {
            self.rows.invalidate(self.group, &write.key, revision);
        }
        Ok(())
    }
}
