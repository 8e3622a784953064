//! Rule: no code in comments; git remembers what was there.
//!
//! A cheap heuristic on `//` comments alone: doc comments may hold examples.

use super::Finding;
use super::source::Source;

/// Looks at all plain comments.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.lines.iter().enumerate() {
        let Some(text) = line.comment.strip_prefix("//") else {
            continue;
        };
        if !text.starts_with(['/', '!']) && is_code(text.trim()) {
            findings.push((number + 1, "code in a comment: delete it".to_owned()));
        }
    }
    findings
}

fn is_code(text: &str) -> bool {
    let text = text.strip_prefix("pub ").unwrap_or(text);
    let text = text.strip_prefix("pub(crate) ").unwrap_or(text);
    let text = text.strip_prefix("async ").unwrap_or(text);
    let opens = text.ends_with('{');
    let ends = text.ends_with(';');
    (text.starts_with("let ") && (ends || text.contains(" = ")))
        || (text.starts_with("fn ") && text.contains('('))
        || (ends
            && ["use ", "mod ", "return ", "self."]
                .iter()
                .any(|word| text.starts_with(word)))
        || (opens
            && [
                "if ", "for ", "while ", "match ", "loop ", "impl ", "struct ", "enum ", "} else",
            ]
            .iter()
            .any(|word| text.starts_with(word)))
        || text.starts_with("#[")
        || ["}", "};", "})", "});", "})?;"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> usize {
        check(&Source::new(body)).len()
    }

    #[test]
    fn code_is_found_and_prose_is_not() {
        assert_eq!(count("// let a = 1;\n// fn gone(a: u8) {\n// }"), 3);
        assert_eq!(count("// pub fn gone() -> u8;"), 1);
        assert_eq!(count("// if a {"), 1);
        assert_eq!(count("// use std::fmt;"), 1);
        assert_eq!(count("// let the reader decide"), 0);
        assert_eq!(count("// if it fails, the caller waits;"), 0);
        assert_eq!(count("/// let a = 1;\n//! fn a() {}"), 0);
        assert_eq!(count("let a = \"// let b = 1;\";"), 0);
    }
}
