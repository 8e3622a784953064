//! A node leaves for good and an empty one with a new id takes its place, under load.
//!
//! ```text
//! kill, wipe ─► remove(old) ─► start the new one, empty ─► add_learner(new) ─► promote(new)
//! ```
//!
//! Any step may be refused or unanswered while something else is broken: then it is asked for
//! again after the heal. At most one node is between memberships, so that wiped disks are never
//! more than one.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::real::field::Field;

/// How long each step may take beside other faults.
const STEP_MAX: Duration = Duration::from_secs(2);

/// A node that is being replaced.
#[derive(Clone, Copy, Debug)]
pub(in crate::real) struct Replacement {
    /// Who was wiped.
    pub(in crate::real) old: u64,
    is_removed: bool,
    new: Option<u64>,
}

impl Replacement {
    /// Of a node that is dead and wiped.
    pub(in crate::real) fn of(old: u64) -> Self {
        Self {
            old,
            is_removed: false,
            new: None,
        }
    }

    /// Takes all steps that are left; after an error it can be asked to go on.
    pub(in crate::real) async fn go_on(
        &mut self,
        field: &mut Field,
        patience: Duration,
    ) -> Result<()> {
        let client = field.client(patience).await?;
        if !self.is_removed {
            client.cluster().remove(self.old).await?;
            self.is_removed = true;
        }
        let new = if let Some(new) = self.new {
            new
        } else {
            let new = field.cluster.start_instead_of(self.old)?;
            field.move_in(self.old, new);
            *self.new.insert(new)
        };
        field.wait_for_answer(new, patience).await?;
        let addresses = field.cluster.node(new)?.addresses.clone();
        let cluster = client.cluster();
        cluster
            .add_learner(new, addresses.peer, addresses.client)
            .await?;
        cluster.promote(new).await.context("promote")
    }
}

pub(super) async fn strike(field: &mut Field) -> Result<String> {
    let is_free = field.replacement.is_none() && field.rotten.is_empty();
    let Some(old) = field.pick(1).pop().filter(|_| is_free) else {
        return Ok("nobody is left to be replaced".to_owned());
    };
    field.kill(&[old])?;
    field.wipe(old)?;
    let mut replacement = Replacement::of(old);
    let done = replacement.go_on(field, STEP_MAX).await.is_ok();
    if done {
        field.count("members replaced", 1);
    } else {
        field.replacement = Some(replacement);
    }
    let how = if done { "done" } else { "under way" };
    Ok(format!("replacement of node {old}: {how}"))
}
