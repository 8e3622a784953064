//! What rows mean, in a map: plain values, numbers, sets and hashes, and their ends.

mod quota;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::command::{Expiry, KeyspaceOptions, NumberChange, Op, OpResult, Refusal, RowRef};
use crate::engine::Engine;
use crate::ids::Revision;
use crate::query::{MembersRequest, RowView, ScanRequest, VersionView};
use crate::state::DEFAULT_KEYSPACE;
use crate::store::RowKind;

/// The rows of one keyspace, those included that have ended and wait for a tick.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    options: KeyspaceOptions,
    has_members: bool,
    has_versions: bool,
    /// A tick has counted what there was when the first quota came.
    counted: bool,
    /// Something was changed since somebody last looked.
    pub(super) changed: bool,
    by_key: BTreeMap<Bytes, ModelRow>,
    /// What was replaced or went while the keyspace was versioned, by revision.
    kept: BTreeMap<Bytes, BTreeMap<Revision, VersionView>>,
    /// When something is to be looked at: rows that a range deleted leave theirs behind.
    timers: BTreeSet<(u64, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelRow {
    pub(super) view: RowView,
    members: BTreeMap<Bytes, Bytes>,
}

impl Rows {
    pub(super) fn living(&self, key: &Bytes, now_ms: u64) -> Option<&ModelRow> {
        self.by_key.get(key).filter(|row| row.lives(now_ms))
    }

    /// Removes what has ended.
    pub(super) fn tick(&mut self, revision: Revision, now_ms: u64) {
        self.counted = true;
        while let Some((at_ms, key)) = self.timers.first().cloned() {
            if at_ms > now_ms {
                break;
            }
            self.changed = true;
            self.timers.pop_first();
            if self.by_key.get(&key).and_then(|row| row.view.expires_at_ms) == Some(at_ms) {
                self.keep_gone(&key, revision, Some(at_ms));
                self.by_key.remove(&key);
            }
        }
    }

    pub(super) fn op(
        &mut self,
        op: &Op,
        revision: Revision,
        now_ms: u64,
    ) -> Result<OpResult, Refusal> {
        let at = (revision, now_ms);
        Ok(match op {
            Op::Put { row, value, expiry } => {
                let ends = self.end(row, *expiry, Expiry::Default, now_ms)?;
                let mut new = ModelRow::new(&row.key);
                new.view.value = value.clone();
                OpResult::Put {
                    version: self.put(new, ends, at),
                }
            }
            Op::Delete { row } => {
                let existed = self.living(&row.key, now_ms).is_some();
                if existed {
                    self.remove(&row.key, revision);
                }
                OpResult::Deleted { existed }
            }
            Op::DeleteRange { start, end, .. } => {
                let inside = |key: &Bytes| key >= start && end.as_ref().is_none_or(|end| key < end);
                let keys: Vec<Bytes> = self.by_key.keys().filter(|k| inside(k)).cloned().collect();
                for key in keys {
                    let ended = self.living(&key, now_ms).is_none();
                    let ended_ms = self.by_key[&key].view.expires_at_ms.filter(|_| ended);
                    self.keep_gone(&key, revision, ended_ms);
                    self.by_key.remove(&key);
                }
                self.changed = true;
                OpResult::RangeDeleted
            }
            Op::Read { row } => OpResult::Read {
                row: self.living(&row.key, now_ms).map(|row| row.view.clone()),
            },
            Op::Undelete { row } => self.undelete(row, at)?,
            typed => self.typed(typed, at)?,
        })
    }

    fn typed(&mut self, op: &Op, at: (Revision, u64)) -> Result<OpResult, Refusal> {
        let now_ms = at.1;
        Ok(match op {
            Op::Number {
                row,
                change,
                expiry,
            } => self.number(row, *change, *expiry, at)?,
            Op::Append {
                row,
                suffix,
                expiry,
            } => {
                let mut new = self.of_kind(row, RowKind::Bytes, now_ms)?;
                let ends = self.end(row, *expiry, Expiry::Keep, now_ms)?;
                new.view.value = [&new.view.value[..], suffix].concat().into();
                let len = new.view.value.len() as u64;
                self.put(new, ends, at);
                OpResult::Appended { len }
            }
            Op::Expire { row, expiry } => {
                let ends = self.end(row, *expiry, Expiry::Default, now_ms)?;
                let Some(old) = self.living(&row.key, now_ms).cloned() else {
                    return Ok(OpResult::Expires { existed: false });
                };
                if old.view.expires_at_ms != ends {
                    self.put(old, ends, at);
                }
                OpResult::Expires { existed: true }
            }
            Op::SetAdd {
                row,
                members,
                expiry,
            } => {
                let new = members.iter().map(|member| (member.clone(), Bytes::new()));
                self.add(row, RowKind::Set, new.collect(), *expiry, at)?
            }
            Op::HashSet {
                row,
                fields,
                expiry,
            } => self.add(
                row,
                RowKind::Hash,
                fields.iter().cloned().collect(),
                *expiry,
                at,
            )?,
            Op::SetRemove { row, members } => self.take(row, RowKind::Set, members, at)?,
            Op::HashRemove { row, fields } => self.take(row, RowKind::Hash, fields, at)?,
            _ => panic!("it touches no row"),
        })
    }

    fn number(
        &mut self,
        row: &RowRef,
        change: NumberChange,
        expiry: Expiry,
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        let existed = self.living(&row.key, at.1).is_some();
        let mut new = self.of_kind(row, RowKind::Bytes, at.1)?;
        let digits = String::from_utf8_lossy(&new.view.value).into_owned();
        let old: i64 = if existed {
            digits.parse().map_err(|_| Refusal::NotANumber)?
        } else {
            0
        };
        let value = match change {
            NumberChange::Add(by) => old
                .checked_add(by)
                .ok_or(Refusal::NumberOverflow { value: old })?,
            NumberChange::Max(to) if existed => old.max(to),
            NumberChange::Min(to) if existed => old.min(to),
            NumberChange::Max(to) | NumberChange::Min(to) => to,
        };
        let ends = self.end(row, expiry, Expiry::Keep, at.1)?;
        if !existed || value != old || new.view.expires_at_ms != ends {
            new.view.value = value.to_string().into();
            self.put(new, ends, at);
        }
        Ok(OpResult::Number { value })
    }

    fn add(
        &mut self,
        row: &RowRef,
        kind: RowKind,
        members: BTreeMap<Bytes, Bytes>,
        expiry: Expiry,
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        self.check_plain(row)?;
        let mut new = self.of_kind(row, kind, at.1)?;
        let ends = self.end(row, expiry, Expiry::Keep, at.1)?;
        let before = new.members.len();
        new.members.extend(members);
        let changed = (new.members.len() - before) as u64;
        let count = new.members.len() as u64;
        if kind == RowKind::Hash || changed > 0 || new.view.expires_at_ms != ends {
            self.has_members = true;
            self.put(new, ends, at);
        }
        Ok(OpResult::Members { changed, count })
    }

    fn take(
        &mut self,
        row: &RowRef,
        kind: RowKind,
        members: &[Bytes],
        at: (Revision, u64),
    ) -> Result<OpResult, Refusal> {
        self.check_plain(row)?;
        let mut new = self.of_kind(row, kind, at.1)?;
        let before = new.members.len();
        new.members.retain(|member, _| !members.contains(member));
        let changed = (before - new.members.len()) as u64;
        let count = new.members.len() as u64;
        if changed > 0 && count == 0 {
            self.remove(&row.key, at.0);
        } else if changed > 0 {
            let ends = new.view.expires_at_ms;
            self.put(new, ends, at);
        }
        Ok(OpResult::Members { changed, count })
    }

    /// The row as it is, or a new one of the kind.
    fn of_kind(&self, row: &RowRef, kind: RowKind, now_ms: u64) -> Result<ModelRow, Refusal> {
        let mut new = ModelRow::new(&row.key);
        new.view.kind = kind;
        let found = self.living(&row.key, now_ms).cloned().unwrap_or(new);
        if found.view.kind == kind {
            return Ok(found);
        }
        Err(Refusal::WrongKind {
            found: found.view.kind,
            wanted: kind,
        })
    }

    fn end(
        &self,
        row: &RowRef,
        expiry: Expiry,
        otherwise: Expiry,
        now_ms: u64,
    ) -> Result<Option<u64>, Refusal> {
        let old = self.living(&row.key, now_ms);
        let by_default = self.options.default_ttl_ms.map(|ttl_ms| now_ms + ttl_ms);
        Ok(match expiry {
            Expiry::Default if otherwise == Expiry::Keep => {
                old.map_or(by_default, |old| old.view.expires_at_ms)
            }
            Expiry::Default => by_default,
            Expiry::Never => None,
            Expiry::Keep => old.map_or(by_default, |old| old.view.expires_at_ms),
            Expiry::After(ttl_ms) => Some(now_ms + ttl_ms),
            Expiry::At(at_ms) if at_ms <= now_ms => {
                return Err(Refusal::ExpiryInThePast { at_ms, now_ms });
            }
            Expiry::At(at_ms) => Some(at_ms),
            Expiry::IfNew(ttl_ms) => {
                old.map_or(Some(now_ms + ttl_ms), |old| old.view.expires_at_ms)
            }
        })
    }

    /// Writes a row; answers its version.
    fn put(&mut self, mut new: ModelRow, ends: Option<u64>, at: (Revision, u64)) -> u64 {
        let (revision, now_ms) = at;
        let key = new.view.key.clone();
        let old = self.living(&key, now_ms).map(|old| old.view.clone());
        let old_end = old.as_ref().and_then(|old| old.expires_at_ms);
        new.view.version = old.as_ref().map_or(1, |old| old.version + 1);
        new.view.create_revision = old.map_or(revision, |old| old.create_revision);
        new.view.mod_revision = revision;
        new.view.expires_at_ms = ends;
        new.view.members = new.members.len() as u64;
        if let Some(at_ms) = old_end {
            self.timers.remove(&(at_ms, key.clone()));
        }
        if let Some(at_ms) = ends {
            self.timers.insert((at_ms, key.clone()));
        }
        self.changed = true;
        self.keep_replaced(&key, revision);
        let version = new.view.version;
        self.by_key.insert(key, new);
        version
    }

    /// Removes a row that has not ended.
    fn remove(&mut self, key: &Bytes, revision: Revision) {
        self.keep_gone(key, revision, None);
        let old = self.by_key.remove(key);
        if let Some(at_ms) = old.and_then(|old| old.view.expires_at_ms) {
            self.timers.remove(&(at_ms, key.clone()));
        }
        self.changed = true;
    }

    /// Compares all rows, and the members of all sets and hashes.
    pub(super) fn check(
        &self,
        engine: &Engine,
        at: Option<Revision>,
        now_ms: u64,
    ) -> Result<(), String> {
        let request = ScanRequest {
            keyspace: DEFAULT_KEYSPACE.to_owned(),
            at,
            ..ScanRequest::default()
        };
        let page = engine.replica().scan(&request);
        let page = page.map_err(|error| format!("scan at {at:?}: {error}"))?;
        if at.is_none() {
            self.check_versions(engine)?;
            self.check_usage(engine)?;
        }
        let living = || self.by_key.values().filter(|row| row.lives(now_ms));
        if !page.rows.iter().eq(living().map(|row| &row.view)) {
            return Err(format!("at {at:?}: {:?}, not {:?}", page.rows, self.by_key));
        }
        for row in living().filter(|row| row.view.kind != RowKind::Bytes) {
            let page = engine.replica().members(&MembersRequest {
                row: RowRef {
                    keyspace: DEFAULT_KEYSPACE.to_owned(),
                    key: row.view.key.clone(),
                },
                after: None,
                at,
                limit: 0,
            });
            let found = page.map_err(|error| error.to_string())?.members;
            if !found
                .iter()
                .map(|(member, value)| (member, value))
                .eq(&row.members)
            {
                return Err(format!("at {at:?}: members {found:?}, not {row:?}"));
            }
        }
        Ok(())
    }
}

impl ModelRow {
    fn new(key: &Bytes) -> Self {
        Self {
            view: RowView {
                key: key.clone(),
                value: Bytes::new(),
                create_revision: Revision(0),
                mod_revision: Revision(0),
                version: 0,
                expires_at_ms: None,
                kind: RowKind::Bytes,
                members: 0,
            },
            members: BTreeMap::new(),
        }
    }

    fn lives(&self, now_ms: u64) -> bool {
        self.view.expires_at_ms.is_none_or(|at_ms| at_ms > now_ms)
    }
}
