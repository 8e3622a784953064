//! A node's wall clock shows another time: at its start, or by a jump while it runs.
//!
//! Linux has no namespace for wall clocks. libfaketime stands between the process and the C
//! library, and reads the offset from a file, which may change at any time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rand::RngExt as _;

use crate::real::field::Field;

/// The furthest that a clock is moved, in seconds, back or ahead: ten days.
const AWAY_SECONDS_MAX: i64 = 864_000;

/// Where distributions keep it, below a folder for each kind of processor.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// The program that sets the clock's file for the one after it, before that one's words.
pub(in crate::real) fn wrapper(file: &Path) -> Result<Vec<OsString>> {
    let mut offsets = OsString::from("FAKETIME_TIMESTAMP_FILE=");
    offsets.push(file);
    let mut preload = OsString::from("LD_PRELOAD=");
    preload.push(library()?);
    // The monotonic clock is another nemesis' affair. The file is read again each second.
    let settings = [
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "FAKETIME_CACHE_DURATION=1",
    ];
    let words = [OsString::from("env"), preload, offsets];
    Ok(words
        .into_iter()
        .chain(settings.map(OsString::from))
        .collect())
}

/// Lets the clock of whoever reads `file` be so many seconds ahead.
pub(in crate::real) fn set(file: &Path, ahead_seconds: i64) -> Result<()> {
    // Readers find the old offset or the new one, never half of one.
    let beside = file.with_extension("new");
    fs::write(&beside, format!("{ahead_seconds:+}\n"))
        .and_then(|()| fs::rename(&beside, file))
        .with_context(|| format!("write {}", file.display()))
}

fn library() -> Result<PathBuf> {
    let folders = fs::read_dir(LIBRARIES).context("look for libfaketime")?;
    let mut paths = folders.filter_map(|folder| Some(folder.ok()?.path().join(LIBRARY)));
    let found = paths.find(|path| path.exists());
    found.context("libfaketime is not installed (Debian: apt-get install libfaketime)")
}

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let mut told = Vec::new();
    for id in field.some() {
        let ahead = field
            .chance
            .random_range(-AWAY_SECONDS_MAX..=AWAY_SECONDS_MAX);
        let file = field.cluster.folder().join(format!("wall-{id}"));
        let wrapper = wrapper(&file)?;
        set(&file, ahead)?;
        if field.cluster.node_mut(id)?.runs_under(&wrapper) {
            field.count("wall clocks that jumped", 1);
            told.push(format!("node {id} jumps to {ahead:+} s"));
            continue;
        }
        field.kill(&[id])?;
        field.power_on()?;
        field.cluster.node_mut(id)?.start_under(&wrapper)?;
        field.count("wall clocks moved", 1);
        told.push(format!("node {id} starts {ahead:+} s away"));
    }
    Ok(format!("wall clocks: {}", told.join(", ")))
}
