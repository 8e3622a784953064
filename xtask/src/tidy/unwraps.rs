//! Rule: no `unwrap` outside tests; an `expect` states the invariant.

use super::Finding;
use super::source::Source;

/// Looks at code that is no test.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    source
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !line.is_test && line.code.contains(".unwrap()"))
        .map(|(number, _)| {
            let what = "`unwrap()`: return the error, or `expect` the invariant";
            (number + 1, what.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_strings_and_comments_may_say_it() {
        let found = |body: &str| check(&Source::new(body)).len();
        assert_eq!(found("let a = b.unwrap();"), 1);
        assert_eq!(found("let a = b.unwrap_or(1);"), 0);
        assert_eq!(found("// b.unwrap()\nlet a = \".unwrap()\";"), 0);
        assert_eq!(
            found("#[cfg(test)]\nmod tests { fn a() { b.unwrap(); } }"),
            0
        );
    }
}
