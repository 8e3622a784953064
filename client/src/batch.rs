//! Many rows of one moment.

use bytes::Bytes;
use engine_proto::v1 as pb;
use engine_proto::v1::kv_client::KvClient;

use crate::call::{Kind, service};
use crate::commit::{revision, row};
use crate::error::{Error, Result};
use crate::kv::{Kv, ReadOptions, Row, consistency};

/// Most rows that a server reads at once.
const BATCH_ROWS_MAX: usize = 1_000;

/// Several rows, or their absence, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// In the order in which they were asked for.
    pub rows: Vec<Option<Row>>,
    /// The revision that was read.
    pub revision: u64,
}

impl Kv {
    /// Reads several rows of one moment, in the order of their names.
    ///
    /// # Errors
    /// As for [`get_with`](Self::get_with).
    pub async fn get_many<K, B>(
        &self,
        rows: impl IntoIterator<Item = (K, B)>,
        read: ReadOptions,
    ) -> Result<Batch>
    where
        K: Into<String>,
        B: Into<Bytes>,
    {
        let mut wanted: Vec<_> = rows.into_iter().map(|(k, key)| row(k, key)).collect();
        let mut batch = Batch {
            rows: Vec::with_capacity(wanted.len()),
            revision: 0,
        };
        let mut at = read.revision;
        loop {
            let request = pb::BatchGetRequest {
                rows: wanted.iter().take(BATCH_ROWS_MAX).cloned().collect(),
                revision: at,
                consistency: consistency(read.local),
                group: 0,
            };
            let answer = self.batch_get(request, read.local).await?;
            batch.revision = revision(answer.header.as_ref());
            at = Some(batch.revision);
            let count = answer.items.len();
            if wanted.is_empty() {
                return Ok(batch);
            }
            if count == 0 || count > wanted.len() {
                return Err(Error::bad_answer("a batch of another size"));
            }
            wanted.drain(..count);
            let found = answer.items.into_iter().map(|item| item.row);
            batch.rows.extend(found);
            if wanted.is_empty() {
                return Ok(batch);
            }
        }
    }

    async fn batch_get(
        &self,
        request: pb::BatchGetRequest,
        local: bool,
    ) -> Result<pb::BatchGetResponse> {
        self.calls
            .call(Kind::read(local), |attempt| {
                let request = request.clone();
                async move {
                    service!(KvClient, attempt)
                        .batch_get(attempt.message(request))
                        .await
                }
            })
            .await
    }
}
