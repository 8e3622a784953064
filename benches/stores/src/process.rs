//! What the kernel tells of this process and of a folder.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Resident memory now, bytes.
pub fn rss() -> Result<u64> {
    status("VmRSS:")
}

/// Most resident memory so far, bytes.
pub fn rss_peak() -> Result<u64> {
    status("VmHWM:")
}

/// Bytes this process has given to `write` and its kin, whatever became of them.
pub fn written_bytes() -> Result<u64> {
    field(&fs::read_to_string("/proc/self/io")?, "wchar:")
}

/// Bytes that a folder's files occupy on the disk, reserved ones included.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        // A background thread may remove a file meanwhile.
        let Ok(metadata) = fs::symlink_metadata(&path) else {
            continue;
        };
        bytes += if metadata.is_dir() {
            disk_bytes(&path).unwrap_or(0)
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}

fn status(name: &str) -> Result<u64> {
    Ok(field(&fs::read_to_string("/proc/self/status")?, name)? * 1024)
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.with_context(|| format!("find {name}"))?.parse()?)
}
