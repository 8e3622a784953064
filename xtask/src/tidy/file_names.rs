//! Rule: a file is named after its noun; words that fit everything say nothing.

use std::path::Path;

use super::Finding;

/// Words that no file or folder of ours is named with.
const EMPTY_WORDS: [&str; 8] = [
    "util", "utils", "helper", "helpers", "common", "manager", "imp", "misc",
];

/// Looks at every part of a path. What all services share may be `common.proto`.
pub(crate) fn check(path: &Path) -> Vec<Finding> {
    if path.file_name().is_some_and(|name| name == "common.proto") {
        return path.parent().map(check).unwrap_or_default();
    }
    let mut findings = Vec::new();
    for part in path.components() {
        let name = part.as_os_str().to_string_lossy().to_lowercase();
        let stem = name.split('.').next().unwrap_or_default();
        for word in stem.split(['_', '-']) {
            if EMPTY_WORDS.contains(&word) {
                findings.push((0, format!("`{word}` in a name: name the thing it holds")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_are_found_in_files_and_folders() {
        assert_eq!(check(Path::new("engine/src/util.rs")).len(), 1);
        assert_eq!(check(Path::new("engine/src/disk_helpers/mod.rs")).len(), 1);
        assert_eq!(check(Path::new("raft/tests/common/mod.rs")).len(), 1);
        assert!(check(Path::new("proto/engine/v1/common.proto")).is_empty());
        assert!(check(Path::new("engine/src/import.rs")).is_empty());
    }
}
