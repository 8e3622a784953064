//! The texts of the workspace that the rules look at.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

/// Kinds of file that people write here.
const KINDS: [&str; 9] = [
    "rs", "proto", "md", "toml", "sh", "yml", "yaml", "json", "trycmd",
];

/// Folders whose name begins with a dot and which are ours nevertheless.
const DOTTED: [&str; 3] = [".ci", ".cargo", ".github"];

/// Folders that hold what programs made.
const MADE: [&str; 2] = ["target", "data"];

/// All texts, by path.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Sorted by path.
    pub(crate) texts: Vec<Text>,
}

/// One file that a person wrote.
#[derive(Debug)]
pub(crate) struct Text {
    /// From the workspace's folder.
    pub(crate) path: PathBuf,
    /// All of it.
    pub(crate) body: String,
}

impl Tree {
    /// Reads everything below the workspace's folder.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.walk(root, Path::new(""))?;
        tree.texts.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(tree)
    }

    fn walk(&mut self, root: &Path, folder: &Path) -> Result<()> {
        let full = root.join(folder);
        let entries = fs::read_dir(&full).with_context(|| format!("list {}", full.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list {}", full.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            let kind = entry
                .file_type()
                .with_context(|| format!("look at {}", path.display()))?;
            if kind.is_dir() {
                let ours = !name.starts_with('.') || DOTTED.contains(&name.as_str());
                let top = folder.as_os_str().is_empty();
                if ours && !(top && MADE.contains(&name.as_str())) {
                    self.walk(root, &path)?;
                }
            } else if kind.is_file() && is_text(&path) {
                let body = fs::read_to_string(root.join(&path))
                    .with_context(|| format!("read {}", path.display()))?;
                self.texts.push(Text { path, body });
            }
        }
        Ok(())
    }
}

fn is_text(path: &Path) -> bool {
    let kind = path.extension().and_then(|kind| kind.to_str());
    match kind {
        Some(kind) => KINDS.contains(&kind),
        None => path.starts_with(".ci"),
    }
}

impl Text {
    /// Whether the file's name ends in `.kind`.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.path.extension().is_some_and(|found| found == kind)
    }

    /// The folder of its crate: the first part of the path.
    pub(crate) fn crate_name(&self) -> String {
        match self.path.components().next() {
            Some(Component::Normal(name)) => name.to_string_lossy().into_owned(),
            _ => String::new(),
        }
    }

    /// Whether it stands in a crate's `src`.
    pub(crate) fn is_in_src(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "src")
    }

    /// Whether all of it is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.path.components().any(|part| {
            let name = part.as_os_str();
            name == "tests" || name == "tests.rs" || name == "benches"
        }) || self
            .path
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().ends_with("_tests"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_folders_and_other_kinds_are_left_out() -> Result<()> {
        let root = tempfile::tempdir()?;
        for path in [
            "a/src/lib.rs",
            "a/src/data/one.rs",
            "target/x.rs",
            ".git/y.md",
            ".ci/run",
            "b.bin",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder"))?;
            fs::write(path, "//! Text.\n")?;
        }
        let tree = Tree::read(root.path())?;
        let paths: Vec<_> = tree.texts.iter().map(|text| text.path.clone()).collect();
        let expected = [".ci/run", "a/src/data/one.rs", "a/src/lib.rs"].map(PathBuf::from);
        assert_eq!(paths, expected);
        assert!(tree.texts[2].is_in_src());
        assert_eq!(tree.texts[2].crate_name(), "a");
        Ok(())
    }
}
