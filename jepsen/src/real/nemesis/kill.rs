//! `kill -9`: what was written is there afterwards, synced or not.

use anyhow::Result;

use crate::real::field::Field;

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    field.kill(&nodes)?;
    field.count("kills", nodes.len());
    Ok(format!("kill {nodes:?}"))
}
