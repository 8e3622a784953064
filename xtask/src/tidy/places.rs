//! Rule: the texts speak of the product alone: no machine's folders, no tracker.

use super::Finding;

/// Folders of some machine. Spelt in parts, so that this file obeys its own rule.
const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Trackers, in lower case.
const TRACKERS: [&str; 4] = [
    concat!("issue ", "tracker"),
    concat!("ji", "ra"),
    concat!("linear", ".app"),
    concat!("atlas", "sian"),
];

/// Looks at all lines.
pub(crate) fn check(body: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in body.lines().enumerate() {
        for folder in FOLDERS {
            if stands_alone(line, folder) {
                findings.push((number + 1, format!("names a machine's folder `{folder}`")));
            }
        }
        let lower = line.to_lowercase();
        for tracker in TRACKERS {
            if lower.contains(tracker) {
                findings.push((number + 1, format!("speaks of a tracker: `{tracker}`")));
            }
        }
    }
    findings
}

/// Whether `folder` begins a path in the line, and is not the middle of one.
fn stands_alone(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        !before.is_some_and(|sign| sign.is_alphanumeric() || "_-.*}>".contains(sign))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_from_the_root_is_found() {
        let folder = FOLDERS[0];
        assert_eq!(check(&format!("see {folder}notes")).len(), 1);
        assert_eq!(check(&format!("`{folder}a` and \"{folder}b\"")).len(), 1);
        assert!(check(&format!("queue{folder}lease.rs")).is_empty());
        assert_eq!(check(&format!("as said in {}-12", TRACKERS[1])).len(), 1);
        assert!(check("an issue of the day").is_empty());
    }
}
