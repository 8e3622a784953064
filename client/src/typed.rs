//! Numbers, sets and hashes: each call is a commit of one op.

use std::time::Duration;

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;

use crate::call::{Kind, service};
use crate::commit::{Commit, Guarded, OpResult, revision, row};
use crate::error::{Error, Result};
use crate::expiry::{Expiry, Ttl};
use crate::kv::{Kv, ReadOptions, RowKind, consistency};

/// How a number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberChange {
    /// By so much; an absent row counts as 0.
    Add(i64),
    /// To this number if it is larger, or if the row is absent.
    Max(i64),
    /// To this number if it is smaller, or if the row is absent.
    Min(i64),
}

/// What came of a change of a set or hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembersChanged {
    /// How many members or fields came or went; a field that had another value before is neither.
    pub changed: u64,
    /// How many there are now.
    pub count: u64,
}

/// Which members of a set, or fields of a hash, in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MembersScan {
    /// Only those behind this one: the last of the page before.
    pub after: Option<Bytes>,
    /// Most members; 0 for the most a page may hold (10,000 members, 2 MiB).
    pub limit: u32,
    /// At which moment, and how fresh.
    pub read: ReadOptions,
}

/// A page of members or fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPage {
    /// What the row is; `None` if it is not there.
    pub kind: Option<RowKind>,
    /// In byte order; the value of a set's member is empty.
    pub members: Vec<(Bytes, Bytes)>,
    /// Whether members follow.
    pub more: bool,
    /// The revision that was read; ask for the next page at it, for one moment.
    pub revision: u64,
}

impl Kv {
    /// Changes a number that a row holds as digits, and answers what it is then.
    ///
    /// # Errors
    /// `NOT_A_NUMBER`, `WRONG_KIND`, `NUMBER_OVERFLOW`, and those of [`put`](Self::put).
    pub async fn number(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        change: NumberChange,
        expiry: Expiry,
    ) -> Result<i64> {
        let commit = Commit::new().number(keyspace, key, change, expiry);
        match self.one(commit).await? {
            OpResult::Number { value } => Ok(value),
            _ => Err(Error::another_op()),
        }
    }

    /// Adds to a number, and answers the sum: [`number`](Self::number) without an end.
    ///
    /// # Errors
    /// As for [`number`](Self::number).
    pub async fn incr(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        by: i64,
    ) -> Result<i64> {
        self.number(keyspace, key, NumberChange::Add(by), Expiry::Default)
            .await
    }

    /// Adds bytes to the end of a value, and answers how long it is then.
    ///
    /// # Errors
    /// `WRONG_KIND`, `LIMIT_REACHED` beyond 1 MiB, and those of [`put`](Self::put).
    pub async fn append(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        suffix: impl Into<Bytes>,
    ) -> Result<u64> {
        let commit = Commit::new().append(keyspace, key, suffix, Expiry::Default);
        match self.one(commit).await? {
            OpResult::Appended { len } => Ok(len),
            _ => Err(Error::another_op()),
        }
    }

    /// Says anew when a row ends; answers whether it is there.
    ///
    /// # Errors
    /// `EXPIRY_IN_THE_PAST`, and those of [`put`](Self::put).
    pub async fn expire(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Result<bool> {
        match self
            .one(Commit::new().expire(keyspace, key, expiry))
            .await?
        {
            OpResult::Expires { existed } => Ok(existed),
            _ => Err(Error::another_op()),
        }
    }

    /// How long a row lives on, by the cluster's clock.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub async fn ttl(&self, keyspace: impl Into<String>, key: impl Into<Bytes>) -> Result<Ttl> {
        let looked = self.get_with(keyspace, key, ReadOptions::default()).await?;
        Ok(match looked.row.map(|row| row.expires_at_ms) {
            None => Ttl::Absent,
            Some(None) => Ttl::Never,
            Some(Some(at_ms)) => {
                Ttl::Left(Duration::from_millis(at_ms.saturating_sub(looked.now_ms)))
            }
        })
    }

    /// Adds members to a set, which comes into being with its first.
    ///
    /// # Errors
    /// `WRONG_KIND`, and those of [`put`](Self::put).
    pub async fn set_add<M: Into<Bytes>>(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<MembersChanged> {
        self.change_members(Commit::new().set_add(keyspace, key, members, Expiry::Default))
            .await
    }

    /// Removes members from a set, which goes with its last.
    ///
    /// # Errors
    /// As for [`set_add`](Self::set_add).
    pub async fn set_remove<M: Into<Bytes>>(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        members: impl IntoIterator<Item = M>,
    ) -> Result<MembersChanged> {
        self.change_members(Commit::new().set_remove(keyspace, key, members))
            .await
    }

    /// Writes fields of a hash, which comes into being with its first.
    ///
    /// # Errors
    /// As for [`set_add`](Self::set_add).
    pub async fn hash_set<F: Into<Bytes>, V: Into<Bytes>>(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        fields: impl IntoIterator<Item = (F, V)>,
    ) -> Result<MembersChanged> {
        self.change_members(Commit::new().hash_set(keyspace, key, fields, Expiry::Default))
            .await
    }

    /// Removes fields of a hash, which goes with its last.
    ///
    /// # Errors
    /// As for [`set_add`](Self::set_add).
    pub async fn hash_remove<F: Into<Bytes>>(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        fields: impl IntoIterator<Item = F>,
    ) -> Result<MembersChanged> {
        self.change_members(Commit::new().hash_remove(keyspace, key, fields))
            .await
    }

    /// Reads a page of a set's members, or of a hash's fields.
    ///
    /// # Errors
    /// `WRONG_KIND`, and those of [`get_with`](Self::get_with).
    pub async fn members(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        scan: MembersScan,
    ) -> Result<MembersPage> {
        let local = scan.read.local;
        let request = pb::MembersRequest {
            row: Some(row(keyspace, key)),
            after: scan.after,
            limit: scan.limit,
            revision: scan.read.revision,
            consistency: consistency(local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .members(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(MembersPage {
            kind: answer.exists.then(|| answer.kind()),
            more: answer.more,
            revision: revision(answer.header.as_ref()),
            members: answer
                .members
                .into_iter()
                .map(|field| (field.name, field.value))
                .collect(),
        })
    }

    /// Reads one field of a hash; of a set's member, nothing if it is there, and `None` if not.
    ///
    /// # Errors
    /// As for [`members`](Self::members).
    pub async fn member(
        &self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        member: impl Into<Bytes>,
        read: ReadOptions,
    ) -> Result<Option<Bytes>> {
        let request = pb::MemberRequest {
            row: Some(row(keyspace, key)),
            member: member.into(),
            revision: read.revision,
            consistency: consistency(read.local),
            group: 0,
        };
        let answer = self
            .calls
            .call(Kind::read(read.local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .member(attempt.message(request))
                        .await
                }
            })
            .await?;
        Ok(answer.value)
    }

    async fn change_members(&self, commit: Commit) -> Result<MembersChanged> {
        match self.one(commit).await? {
            OpResult::Members { changed, count } => Ok(MembersChanged { changed, count }),
            _ => Err(Error::another_op()),
        }
    }

    /// The result of a commit of one op.
    async fn one(&self, commit: Commit) -> Result<OpResult> {
        Ok(self.one_at(commit).await?.1)
    }

    /// The same, and the commit's revision.
    pub(crate) async fn one_at(&self, commit: Commit) -> Result<(u64, OpResult)> {
        match self.calls.commit(commit).await? {
            Guarded::Done(committed) => match committed.results.as_slice() {
                [result] => Ok((committed.revision, result.clone())),
                _ => Err(Error::another_op()),
            },
            Guarded::Failed(_) => Err(Error::unasked_guard()),
        }
    }
}

impl Commit {
    /// Writes a row that ends.
    pub fn put_with(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Self {
        let (row, value) = (row(keyspace, key), value.into());
        let bytes = row.key.len() + value.len();
        let put = pb::PutOp {
            row: Some(row),
            value,
            expiry: expiry.wire(),
        };
        self.op(bytes, pb::op::Op::Put(put))
    }

    /// Changes a number that a row holds as digits.
    pub fn number(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        change: NumberChange,
        expiry: Expiry,
    ) -> Self {
        use pb::number_op::Change;

        let row = row(keyspace, key);
        let number = pb::NumberOp {
            change: Some(match change {
                NumberChange::Add(by) => Change::Add(by),
                NumberChange::Max(to) => Change::Max(to),
                NumberChange::Min(to) => Change::Min(to),
            }),
            expiry: expiry.wire(),
            row: Some(row.clone()),
        };
        self.op(row.key.len(), pb::op::Op::Number(number))
    }

    /// Adds bytes to the end of a value.
    pub fn append(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        suffix: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Self {
        let (row, suffix) = (row(keyspace, key), suffix.into());
        let bytes = row.key.len() + suffix.len();
        let append = pb::AppendOp {
            row: Some(row),
            suffix,
            expiry: expiry.wire(),
        };
        self.op(bytes, pb::op::Op::Append(append))
    }

    /// Says anew when a row ends; one that is not there is no error.
    pub fn expire(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Self {
        let row = row(keyspace, key);
        let expire = pb::ExpireOp {
            row: Some(row.clone()),
            expiry: expiry.wire(),
        };
        self.op(row.key.len(), pb::op::Op::Expire(expire))
    }

    /// Adds members to a set, which comes into being with its first.
    pub fn set_add<M: Into<Bytes>>(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        members: impl IntoIterator<Item = M>,
        expiry: Expiry,
    ) -> Self {
        let row = row(keyspace, key);
        let members: Vec<Bytes> = members.into_iter().map(Into::into).collect();
        let bytes = row.key.len() + bytes_of(&members);
        let add = pb::SetAddOp {
            row: Some(row),
            members,
            expiry: expiry.wire(),
        };
        self.op(bytes, pb::op::Op::SetAdd(add))
    }

    /// Removes members from a set, which goes with its last.
    pub fn set_remove<M: Into<Bytes>>(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        members: impl IntoIterator<Item = M>,
    ) -> Self {
        let row = row(keyspace, key);
        let members: Vec<Bytes> = members.into_iter().map(Into::into).collect();
        let bytes = row.key.len() + bytes_of(&members);
        let remove = pb::SetRemoveOp {
            row: Some(row),
            members,
        };
        self.op(bytes, pb::op::Op::SetRemove(remove))
    }

    /// Writes fields of a hash, which comes into being with its first.
    pub fn hash_set<F: Into<Bytes>, V: Into<Bytes>>(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        fields: impl IntoIterator<Item = (F, V)>,
        expiry: Expiry,
    ) -> Self {
        let row = row(keyspace, key);
        let fields: Vec<pb::Field> = fields
            .into_iter()
            .map(|(name, value)| pb::Field {
                name: name.into(),
                value: value.into(),
            })
            .collect();
        let bytes = fields.iter().map(|f| f.name.len() + f.value.len());
        let bytes = row.key.len() + bytes.sum::<usize>();
        let set = pb::HashSetOp {
            row: Some(row),
            fields,
            expiry: expiry.wire(),
        };
        self.op(bytes, pb::op::Op::HashSet(set))
    }

    /// Removes fields of a hash, which goes with its last.
    pub fn hash_remove<F: Into<Bytes>>(
        self,
        keyspace: impl Into<String>,
        key: impl Into<Bytes>,
        fields: impl IntoIterator<Item = F>,
    ) -> Self {
        let row = row(keyspace, key);
        let fields: Vec<Bytes> = fields.into_iter().map(Into::into).collect();
        let bytes = row.key.len() + bytes_of(&fields);
        let remove = pb::HashRemoveOp {
            row: Some(row),
            fields,
        };
        self.op(bytes, pb::op::Op::HashRemove(remove))
    }
}

fn bytes_of(names: &[Bytes]) -> usize {
    names.iter().map(Bytes::len).sum()
}
