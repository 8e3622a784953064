//! Rule: a module begins with its door plate, the `//!` line that says what it is for.
//!
//! A file of one line is an empty room, and needs no plate yet.

use super::Finding;

/// Looks at the first line.
pub(crate) fn check(body: &str) -> Vec<Finding> {
    if body.lines().count() == 1 {
        return Vec::new();
    }
    let first = body.lines().next().unwrap_or_default();
    match first.strip_prefix("//!") {
        Some(purpose) if !purpose.trim().is_empty() => Vec::new(),
        _ => vec![(
            1,
            "begins without `//!`: say in one sentence what it is for".to_owned(),
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_must_say_something() {
        assert!(check("//! One purpose.\nfn a() {}").is_empty());
        assert_eq!(check("//!\nfn a() {}").len(), 1);
        assert_eq!(check("// Licence\n//! Late.").len(), 1);
        assert_eq!(check("").len(), 1);
        assert!(check("fn main() {}").is_empty());
    }
}
