//! What a keyspace holds, added up anew each time, and whether it may hold more.

use super::Rows;
use crate::command::{Quota, Refusal};
use crate::engine::Engine;
use crate::query::UsageView;
use crate::state::DEFAULT_KEYSPACE;

impl Rows {
    /// Whether a commit that has made these rows of `before` is refused.
    pub(in super::super) fn check_quota(&self, before: &Self) -> Result<(), Refusal> {
        let (Some(now), Some(then)) = (self.usage(), before.usage()) else {
            return Ok(());
        };
        let rows = (Quota::Rows, then.rows, now.rows, self.options.rows_max);
        let bytes = (Quota::Bytes, then.bytes, now.bytes, self.options.bytes_max);
        for (quota, used, wanted, max) in [rows, bytes] {
            if let Some(max) = max
                && now.complete
                && wanted > max
                && wanted > used
            {
                let name = DEFAULT_KEYSPACE.to_owned();
                return Err(Refusal::QuotaReached {
                    name,
                    quota,
                    max,
                    wanted,
                });
            }
        }
        Ok(())
    }

    fn usage(&self) -> Option<UsageView> {
        if !self.options.has_quota() {
            return None;
        }
        let mut usage = UsageView {
            rows: 0,
            bytes: 0,
            complete: self.counted,
        };
        if !self.counted {
            return Some(usage);
        }
        for (key, row) in &self.by_key {
            usage.rows += 1;
            usage.bytes += (key.len() + row.view.value.len()) as u64;
        }
        for (key, versions) in &self.kept {
            // Zeroes are escaped, two end the key, and the revision follows.
            let zeroes: usize = key.iter().map(|byte| usize::from(*byte == 0)).sum();
            let key = key.len() + zeroes + 2 + 8;
            for version in versions.values() {
                usage.bytes += (key + version.value.len()) as u64;
            }
        }
        Some(usage)
    }

    pub(super) fn check_usage(&self, engine: &Engine) -> Result<(), String> {
        let keyspaces = engine.replica().keyspaces();
        let found = keyspaces[0].usage;
        if found != self.usage() {
            return Err(format!("it holds {found:?}, not {:?}", self.usage()));
        }
        Ok(())
    }
}
