//! `SIGSTOP`: connections stay open and nothing is answered, as on a machine that hangs.

use anyhow::Result;

use crate::real::field::Field;

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    field.pause(&nodes)?;
    field.count("pauses", nodes.len());
    Ok(format!("pause {nodes:?}"))
}
