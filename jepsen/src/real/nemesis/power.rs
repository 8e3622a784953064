//! The power goes: what was not synced is lost, by the real kernel's rules.

use anyhow::Result;
use rand::RngExt as _;

use crate::real::field::Field;
use crate::real::kernel::PowerCut;
use crate::real::net::CLIENTS;

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    let how = match field.chance.random_range(0..10) {
        0 => PowerCut::Flushed,
        1 => PowerCut::JournalFlushed,
        _ => PowerCut::Sudden,
    };
    // A machine without power does not say goodbye; a killed process does.
    let silent = field.chance.random_bool(0.5);
    if let Some(switch) = field.ground.switch().filter(|_| silent) {
        let all: Vec<u64> = field.cluster.nodes().iter().map(|node| node.id).collect();
        for node in &nodes {
            let port = field.port(*node)?;
            switch.change(port, CLIENTS, |link| link.cut = true);
            for other in &all {
                switch.change(port, field.port(*other)?, |link| link.cut = true);
            }
        }
    }
    field.cut_power(&nodes, how)?;
    field.count("power cuts", nodes.len());
    if field.running().is_empty() {
        field.count("whole clusters without power", 1);
    }
    let silent = if silent { ", silent" } else { "" };
    Ok(format!("power of {nodes:?} cut, {how:?}{silent}"))
}
