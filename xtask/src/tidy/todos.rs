//! Rule: a promise in a comment names the issue that keeps it.

use super::Finding;
use super::source::{Source, is_word};

/// Words that promise. Spelt in parts, so that this file obeys its own rule.
const PROMISES: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

/// Looks at all comments.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines.iter().enumerate() {
        for promise in PROMISES {
            let Some(place) = line.comment.find(promise) else {
                continue;
            };
            let before = line.comment[..place].chars().next_back();
            let after = &line.comment[place + promise.len()..];
            let whole = !before.is_some_and(is_word) && !after.chars().next().is_some_and(is_word);
            if whole && !names_an_issue(after) {
                let what = format!("`{promise}` without an issue: write `{promise}(#12): …`");
                findings.push((number + 1, what));
            }
        }
    }
    findings
}

fn names_an_issue(after: &str) -> bool {
    let number = after
        .strip_prefix("(#")
        .and_then(|rest| rest.split_once(')'));
    number.is_some_and(|(digits, _)| {
        !digits.is_empty() && digits.chars().all(|sign| sign.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> usize {
        check(&Source::new(body)).len()
    }

    #[test]
    fn a_promise_needs_a_number() {
        let word = PROMISES[0];
        assert_eq!(count(&format!("// {word}: later")), 1);
        assert_eq!(count(&format!("// {word}(#): later")), 1);
        assert_eq!(count(&format!("// {word}(#12): later")), 0);
        assert_eq!(count(&format!("let a = \"{word}\";")), 0);
        assert_eq!(count(&format!("// M{word}S is a name")), 0);
    }
}
