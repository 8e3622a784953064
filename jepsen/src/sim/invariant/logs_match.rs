//! Two logs that have an entry in common are equal up to it.

use super::{Invariant, Seen, SeenNode, index};

/// Looked at every so many ticks: it walks through logs.
const EVERY: u64 = 50;

/// How far back from the common entry logs are compared.
const BACK: u64 = 64;

/// Compares the ends of all logs.
#[derive(Default)]
pub(super) struct LogsMatch;

impl Invariant for LogsMatch {
    fn name(&self) -> &'static str {
        "logs match"
    }

    fn check(&mut self, seen: &Seen<'_>) -> Result<(), String> {
        if !seen.tick.is_multiple_of(EVERY) {
            return Ok(());
        }
        for (position, one) in seen.nodes.iter().enumerate() {
            for other in seen.nodes.iter().skip(position + 1) {
                compare(one, other)?;
            }
        }
        Ok(())
    }
}

fn compare(one: &SeenNode, other: &SeenNode) -> Result<(), String> {
    let end = index(one.standing.last).min(index(other.standing.last));
    let mut common = None;
    for index in (end.saturating_sub(BACK)..=end).rev() {
        // A log that begins later has nothing more to compare.
        let (Some(left), Some(right)) = (one.log_id_at(index), other.log_id_at(index)) else {
            return Ok(());
        };
        match common {
            None if left == right => common = Some(left),
            Some(common) if left != right => {
                return Err(format!(
                    "nodes {} and {} both have entry {common}, but {left} and {right} before it",
                    one.id, other.id
                ));
            }
            None | Some(_) => {}
        }
    }
    Ok(())
}
