//! Damage at rest, on one node while it is down: bits flip, files are cut short.
//!
//! ```text
//! state     ─► found at the start or when it is met ─► the node repairs itself from a peer
//! log, vote ─► the node refuses to start            ─► wiped and replaced, as by an operator
//! ```
//!
//! Where nothing meets the damage until the heal (it lies where nothing is, or nobody read it),
//! the node is wiped and replaced too: what is left of it would be met at any later moment. The
//! newest segment of the log and the manifest are not cut short: their lengths are durable by
//! assumption (`docs/design/testing.md`).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};

use crate::real::field::Field;

/// Bits that flip at most.
const FLIPS_MAX: usize = 8;

/// What is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::real) enum Rot {
    /// A group's state, which a peer has too.
    State,
    /// The log or the identity: the node has forgotten what it acknowledged.
    Log,
}

/// How long a repair may take once all nodes run and the network is whole.
const REPAIR_MAX: Duration = Duration::from_mins(1);

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let is_free = field.replacement.is_none() && field.rotten.is_empty();
    let Some(victim) = field.pick(1).pop().filter(|_| is_free) else {
        return Ok("nobody is left to be damaged".to_owned());
    };
    field.kill(&[victim])?;
    field.power_on()?;
    let data = field.cluster.node(victim)?.machine().data.clone();
    let mut files = Vec::new();
    list(&data, &mut files)?;
    files.sort();
    let (rot, harm) = harm(&files, &data, &mut field.chance)?;
    field.rotten.insert(victim, rot);
    field.cluster.node_mut(victim)?.start()?;
    field.count("damaged nodes", 1);
    Ok(format!("rot of node {victim}: {harm}"))
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else if fs::metadata(&path)?.len() > 0 {
            files.push(path);
        }
    }
    Ok(())
}

/// Takes out the nodes whose logs are damaged; hears those with a damaged state.
pub(in crate::real) fn collect(field: &mut Field) -> Result<()> {
    for (node, rot) in field.rotten.clone() {
        match rot {
            Rot::State => hear(field, node)?,
            Rot::Log => field.retire(node)?,
        }
    }
    Ok(())
}

/// Waits, while all nodes run, until damaged states are repaired; takes out the nodes that have
/// not met their damage.
pub(in crate::real) async fn mend(field: &mut Field) -> Result<()> {
    for (node, rot) in field.rotten.clone() {
        if rot == Rot::State && !is_mended(field, node).await? {
            field.retire(node)?;
        }
    }
    Ok(())
}

/// A node with a damaged state may have ended itself when it met the damage.
fn hear(field: &mut Field, id: u64) -> Result<()> {
    let node = field.cluster.node_mut(id)?;
    if node.pid().is_some() && node.ended()?.is_some() {
        let said = node.trace_tail(20);
        node.kill()?;
        if !said.contains("damaged") || said.contains("panicked at") {
            let alarm = format!("node {id} with a damaged state ended by itself:\n{said}");
            field.alarms.push(alarm);
        }
        field.count("damage met at work, node stopped", 1);
    }
    Ok(())
}

/// Waits until a running node has repaired its state; `false` if no damage was met.
async fn is_mended(field: &mut Field, id: u64) -> Result<bool> {
    let until = Instant::now() + REPAIR_MAX;
    loop {
        hear(field, id)?;
        if field.cluster.node(id)?.pid().is_none() {
            field.cluster.node_mut(id)?.start()?;
        }
        if let Ok(status) = field.cluster.status(id).await {
            let repairs = &status.repairs;
            if repairs.iter().all(|repair| repair.state != "repairing") && !status.groups.is_empty()
            {
                break;
            }
        }
        if Instant::now() >= until {
            let said = field.cluster.node(id)?.trace_tail(10);
            bail!("node {id} did not repair itself within {REPAIR_MAX:?}:\n{said}");
        }
        sleep(Duration::from_millis(100)).await;
    }
    let group = field.cluster.node(id)?.machine().data.join("group-0");
    let mut repaired = false;
    for entry in fs::read_dir(&group).with_context(|| format!("list {}", group.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("quarantine-") {
            continue;
        }
        // As an operator would, once it is looked at.
        repaired = true;
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    if repaired {
        field.count("damaged states repaired", 1);
        field.rotten.remove(&id);
    }
    Ok(repaired)
}

/// Damages one file; answers what was done.
fn harm(files: &[PathBuf], data: &Path, chance: &mut StdRng) -> Result<(Rot, String)> {
    let Some(path) = files.get(chance.random_range(0..files.len().max(1))) else {
        return Ok((Rot::Log, "there is no file".to_owned()));
    };
    let name = path.strip_prefix(data).unwrap_or(path);
    let rot = if name.starts_with("group-0") {
        Rot::State
    } else {
        Rot::Log
    };
    let name = name.display();
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    if may_be_cut(path) && chance.random_bool(0.3) {
        let left = chance.random_range(0..len);
        file.set_len(left)?;
        file.sync_all()?;
        return Ok((rot, format!("{name} cut from {len} to {left} bytes")));
    }
    let flips = chance.random_range(1..=FLIPS_MAX);
    let mut places = Vec::new();
    for _ in 0..flips {
        places.push(flip(&file, written(&file, len)?, chance)?);
    }
    file.sync_all()?;
    Ok((rot, format!("bits of {name} flipped at {places:?}")))
}

/// What lies behind the last byte that is not zero was never written.
fn written(file: &File, len: u64) -> Result<u64> {
    let mut bytes = vec![0; usize::try_from(len)?];
    file.read_exact_at(&mut bytes, 0)?;
    let last = bytes.iter().rposition(|byte| *byte != 0);
    Ok(last.map_or(1, |last| last as u64 + 1))
}

fn flip(file: &File, below: u64, chance: &mut StdRng) -> Result<u64> {
    let at = chance.random_range(0..below);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    byte[0] ^= 1 << chance.random_range(0..8_u8);
    file.write_all_at(&byte, at)?;
    Ok(at)
}

fn may_be_cut(path: &Path) -> bool {
    let text = path.to_string_lossy();
    !text.contains("/log/") && !text.to_lowercase().contains("manifest")
}
