//! Damage at rest, on one node while it is down: bits flip, files are cut short.
//!
//! The node must refuse to start or to serve what is damaged, and say where; or the damage lies
//! where nothing is. Afterwards it is wiped and replaced, as an operator would do. The newest
//! segment of the log and the manifest are not cut short: their lengths are durable by assumption
//! (`docs/design/testing.md`).

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::real::field::Field;

/// Bits that flip at most.
const FLIPS_MAX: usize = 8;

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
    let harm = harm(&files, &data, &mut field.chance)?;
    field.rotten.insert(victim);
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

/// Damages one file; answers what was done.
fn harm(files: &[PathBuf], data: &Path, chance: &mut StdRng) -> Result<String> {
    let Some(path) = files.get(chance.random_range(0..files.len().max(1))) else {
        return Ok("there is no file".to_owned());
    };
    let name = path.strip_prefix(data).unwrap_or(path).display();
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    if may_be_cut(path) && chance.random_bool(0.3) {
        let left = chance.random_range(0..len);
        file.set_len(left)?;
        file.sync_all()?;
        return Ok(format!("{name} cut from {len} to {left} bytes"));
    }
    let flips = chance.random_range(1..=FLIPS_MAX);
    let mut places = Vec::new();
    for _ in 0..flips {
        places.push(flip(&file, written(&file, len)?, chance)?);
    }
    file.sync_all()?;
    Ok(format!("bits of {name} flipped at {places:?}"))
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
