//! A node starts again in a time namespace of its own, where its monotonic clock shows another
//! time than before. The wall clock has no namespaces in Linux: [`skew`](super::skew) moves it.

use std::ffi::OsString;

use anyhow::Result;
use rand::RngExt as _;

use crate::real::field::Field;

/// The furthest that a clock is moved, in seconds: always forward, as it may not go below zero.
const AHEAD_SECONDS_MAX: u32 = 1_000_000;

/// The program that makes a time namespace, before its arguments.
pub(in crate::real) fn wrapper(ahead_seconds: u32) -> Vec<OsString> {
    let ahead = ahead_seconds.to_string();
    [
        "unshare",
        "--time",
        "--monotonic",
        &ahead,
        "--boottime",
        &ahead,
        "--",
    ]
    .map(OsString::from)
    .to_vec()
}

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    field.kill(&nodes)?;
    field.power_on()?;
    let mut told = Vec::new();
    for id in &nodes {
        let ahead = field.chance.random_range(0..AHEAD_SECONDS_MAX);
        let node = field.cluster.node_mut(*id)?;
        node.start_under(&wrapper(ahead))?;
        told.push(format!("node {id} by {ahead} s"));
    }
    field.count("clocks moved", nodes.len());
    Ok(format!("monotonic clocks moved: {}", told.join(", ")))
}
