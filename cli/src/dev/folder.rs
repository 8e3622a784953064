//! The folder of a development cluster, and the pointer by which other commands find it.
//!
//! # Invariants
//! - A folder that is not empty and not ours is never touched.
//! - `dev.json` is replaced as a whole: a reader sees the old or the new one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

const FORMAT: u32 = 1;
const CLUSTER_FILE: &str = "dev.json";
const LOCK_FILE: &str = "LOCK";

/// What `dev.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevCluster {
    /// The version of this description.
    pub(crate) format: u32,
    /// The cluster's id.
    pub(crate) cluster: u64,
    /// The `dev up` that runs it, if one does.
    pub(crate) supervisor_pid: Option<u32>,
    /// Its nodes, by id.
    pub(crate) nodes: Vec<DevNode>,
}

/// One node of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DevNode {
    /// Its id, from 1.
    pub(crate) node: u64,
    /// Where clients reach it.
    pub(crate) client: SocketAddr,
    /// Where its peers reach it.
    pub(crate) peer: SocketAddr,
    /// Its process, if it runs.
    pub(crate) pid: Option<u32>,
}

impl DevCluster {
    pub(crate) fn new(cluster: u64, nodes: Vec<DevNode>) -> Self {
        Self {
            format: FORMAT,
            cluster,
            supervisor_pid: None,
            nodes,
        }
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.client.to_string())
            .collect()
    }
}

/// A folder that may hold a development cluster.
#[derive(Clone, Debug)]
pub(crate) struct DevFolder {
    path: PathBuf,
}

/// Held while `dev up` runs.
#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl DevFolder {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What a node keeps: its data, and what it said.
    pub(crate) fn node(&self, node: u64) -> PathBuf {
        self.path.join(format!("node-{node}"))
    }

    /// What a node said.
    pub(crate) fn node_log(&self, node: u64) -> PathBuf {
        self.node(node).join("log.txt")
    }

    /// Makes the folder if it is missing, makes sure that it is ours, and keeps others out.
    pub(crate) fn lock(&self) -> Result<FolderLock> {
        fs::create_dir_all(&self.path)
            .map_err(|error| Failure::file("make the folder", &self.path, &error))?;
        if !self.cluster_file().exists() && self.holds_something_else()? {
            return Err(Failure::usage(format!(
                "{} is not empty and holds no cluster of 'dev up': it is left alone",
                self.path.display()
            ))
            .hint("choose an empty or new folder with --data"));
        }
        let path = self.path.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Failure::file("open", &path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::new(
                crate::exit_code::ExitCode::Failed,
                format!("another 'dev up' runs on {} already", self.path.display()),
            )
            .hint("use that cluster, stop it with Ctrl-C, or choose another folder with --data")),
            Err(TryLockError::Error(error)) => Err(Failure::file("lock", &path, &error)),
        }
    }

    /// What `dev.json` says, if it is there.
    pub(crate) fn read(&self) -> Result<Option<DevCluster>> {
        let path = self.cluster_file();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        let cluster: DevCluster = serde_json::from_slice(&text)
            .map_err(|error| Failure::file("understand", &path, &error.into()))?;
        if cluster.format != FORMAT {
            return Err(Failure::usage(format!(
                "{} has format {}, and this program knows {FORMAT}",
                path.display(),
                cluster.format
            ))
            .hint("use the program that made it, or another folder with --data"));
        }
        Ok(Some(cluster))
    }

    pub(crate) fn write(&self, cluster: &DevCluster) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(cluster)
            .map_err(|error| Failure::io("write dev.json", &error.into()))?;
        text.push(b'\n');
        replace(&self.cluster_file(), &text)
    }

    fn cluster_file(&self) -> PathBuf {
        self.path.join(CLUSTER_FILE)
    }

    fn holds_something_else(&self) -> Result<bool> {
        let failed = |error: io::Error| Failure::file("list", &self.path, &error);
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            // A lock without dev.json is what an interrupted first start leaves.
            if entry.map_err(failed)?.file_name() != LOCK_FILE {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What the pointer file says.
#[derive(Debug, Serialize, Deserialize)]
struct Pointer {
    data: PathBuf,
}

/// The folder of this user's last `dev up`. A pointer that cannot be read points nowhere.
pub(crate) fn pointer() -> Option<DevFolder> {
    let text = fs::read(pointer_file()?).ok()?;
    let pointer: Pointer = serde_json::from_slice(&text).ok()?;
    Some(DevFolder { path: pointer.data })
}

/// Remembers the folder for this user's other commands.
pub(crate) fn point_to(folder: &DevFolder) -> Result<()> {
    let Some(file) = pointer_file() else {
        return Ok(()); // No home: other commands need --endpoints or the same folder.
    };
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)
            .map_err(|error| Failure::file("make the folder", parent, &error))?;
    }
    let data = std::path::absolute(&folder.path)
        .map_err(|error| Failure::file("find", &folder.path, &error))?;
    let text = serde_json::to_vec(&Pointer { data })
        .map_err(|error| Failure::io("write the pointer", &error.into()))?;
    replace(&file, &text)
}

fn pointer_file() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("engine").join(CLUSTER_FILE))
}

fn replace(path: &Path, text: &[u8]) -> Result<()> {
    let unfinished = path.with_extension(format!("json.{}", std::process::id()));
    let written = File::create(&unfinished)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|error| Failure::file("write", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> DevCluster {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        DevCluster::new(
            7,
            vec![DevNode {
                node: 1,
                client: address(7101),
                peer: address(7201),
                pid: Some(42),
            }],
        )
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = DevFolder::new(&dir.path().join("data"));
        assert_eq!(folder.read().expect("nothing there"), None);
        let _lock = folder.lock().expect("it is new");
        folder.write(&cluster()).expect("it is ours");
        assert_eq!(folder.read().expect("it is there"), Some(cluster()));
        assert_eq!(cluster().endpoints(), ["127.0.0.1:7101"]);
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("thesis.txt"), "years of work").expect("written");
        let failure = DevFolder::new(dir.path()).lock().expect_err("not ours");
        assert!(failure.message().contains("is not empty"));
        let entries = fs::read_dir(dir.path()).expect("it is there").count();
        assert_eq!(entries, 1, "nothing was added");
    }

    #[test]
    fn a_second_lock_is_refused_and_names_the_folder() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = DevFolder::new(dir.path());
        let first = folder.lock().expect("it is empty");
        let failure = folder.lock().expect_err("it is locked");
        let name = dir.path().display().to_string();
        assert!(failure.message().contains(&name), "{}", failure.message());
        drop(first);
        folder.lock().expect("it is free again");
    }

    #[test]
    fn a_strange_description_is_an_error_and_no_panic() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = DevFolder::new(dir.path());
        for text in ["", "{}", "[1]", "{\"format\":1,\"cluster\":-4}"] {
            fs::write(dir.path().join(CLUSTER_FILE), text).expect("written");
            assert!(folder.read().is_err(), "{text}");
        }
        let mut newer = cluster();
        newer.format = 2;
        folder.write(&newer).expect("written");
        let failure = folder.read().expect_err("too new");
        assert!(failure.message().contains("format 2"));
    }
}
