//! Bad lines: frames are late, lost, doubled and overtake each other.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::RngExt as _;

use crate::real::field::Field;
use crate::real::net::{CLIENTS, Link};
use crate::real::proxy::Manner;

/// Latest, in one direction; twice that is still well below the time of an election.
const DELAY_MS_MAX: u64 = 60;
/// A quarter of frames lost is as much as TCP can bear.
const LOSS_MAX: f64 = 0.2;

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    let chance = &mut field.chance;
    let link = Link {
        cut: false,
        delay: Duration::from_millis(chance.random_range(0..=DELAY_MS_MAX)),
        jitter: Duration::from_millis(chance.random_range(0..=DELAY_MS_MAX)),
        loss: chance.random_range(0.0..LOSS_MAX),
        doubled: chance.random_range(0.0..LOSS_MAX),
    };
    if field.ground.switch().is_none() {
        return delay(field, &nodes, link.delay);
    }
    let others: Vec<u64> = field.cluster.nodes().iter().map(|node| node.id).collect();
    let switch = field.ground.switch().context("bad lines need a network")?;
    for node in &nodes {
        let port = field.port(*node)?;
        let others = others.iter().map(|other| field.port(*other));
        let others: Vec<u8> = others.collect::<Result<_>>()?;
        for other in others.into_iter().chain([CLIENTS]) {
            switch.change(port, other, |now| {
                *now = Link {
                    cut: now.cut,
                    ..link
                }
            });
            switch.change(other, port, |now| {
                *now = Link {
                    cut: now.cut,
                    ..link
                }
            });
        }
    }
    field.count("bad lines", nodes.len());
    Ok(format!(
        "wire of {nodes:?}: {:?} to {:?} late, {:.0} % lost, {:.0} % doubled",
        link.delay,
        link.delay + link.jitter,
        link.loss * 100.0,
        link.doubled * 100.0
    ))
}

/// All that relays can do: what peers say is late.
fn delay(field: &mut Field, nodes: &[u64], delay: Duration) -> Result<String> {
    for node in nodes {
        let manner = Manner { cut: false, delay };
        field.ground.relay(field.machine(*node)?, manner);
    }
    field.count("bad lines", nodes.len());
    Ok(format!("wire to {nodes:?}: {delay:?} late"))
}
