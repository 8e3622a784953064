//! A disk has no room: somebody else's file has taken it.

use anyhow::{Context as _, Result};
use rand::RngExt as _;

use crate::real::field::Field;

/// What is left at most: less than a node keeps in reserve.
const LEFT_BYTES_MAX: u64 = 4 << 20;

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    let left = if field.chance.random_bool(0.5) {
        0
    } else {
        field.chance.random_range(0..LEFT_BYTES_MAX)
    };
    field.disk_hurt = true;
    for node in &nodes {
        let machine = field.machine(*node)?;
        let disks = field.ground.disks();
        disks
            .get(&machine)
            .context("a machine has a disk")?
            .fill(left)?;
    }
    field.count("full disks", nodes.len());
    Ok(format!("disks of {nodes:?} full, {left} bytes left"))
}
