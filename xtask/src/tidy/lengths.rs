//! How long the longest file and the longest function of each crate are, tests not counted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::source::{Line, Source, is_word};
use super::tree::Tree;

/// By crate folder.
#[derive(Debug, Default)]
pub(crate) struct Lengths {
    /// The longest file and function of each crate.
    pub(crate) crates: BTreeMap<String, Longest>,
}

/// One crate's extremes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Longest {
    /// The longest file.
    pub(crate) file: Measure,
    /// The longest function.
    pub(crate) function: Measure,
}

/// A length and what has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    /// Lines that are no tests.
    pub(crate) lines: usize,
    /// The file.
    pub(crate) path: PathBuf,
    /// The function's name; empty for a file.
    pub(crate) name: String,
    /// Where it begins, from 1.
    pub(crate) line: usize,
}

impl Lengths {
    /// Measures all crates.
    pub(crate) fn measure(tree: &Tree) -> Self {
        let mut lengths = Self::default();
        for text in &tree.texts {
            if text.is("rs") && text.is_in_src() && !text.is_test() {
                let source = Source::new(&text.body);
                let longest = lengths.crates.entry(text.crate_name()).or_default();
                longest.take_file(&text.path, &source);
                longest.take_functions(&text.path, &source);
            }
        }
        lengths
    }
}

impl Longest {
    fn take_file(&mut self, path: &Path, source: &Source) {
        let empty = |line: &Line| line.code.trim().is_empty() && line.comment.is_empty();
        let last_is_empty = source.lines.last().is_some_and(empty);
        let lines = source.lines.iter().filter(|line| !line.is_test).count();
        let lines = lines - usize::from(last_is_empty && lines > 0);
        if lines > self.file.lines {
            self.file = Measure {
                lines,
                path: path.to_owned(),
                name: String::new(),
                line: 0,
            };
        }
    }

    fn take_functions(&mut self, path: &Path, source: &Source) {
        for (number, line) in source.lines.iter().enumerate() {
            if line.is_test {
                continue;
            }
            let Some((column, name)) = function(&line.code) else {
                continue;
            };
            let lines = source.item_end(number, column) - number + 1;
            if lines > self.function.lines {
                self.function = Measure {
                    lines,
                    path: path.to_owned(),
                    name,
                    line: number + 1,
                };
            }
        }
    }
}

/// The column and name of the function that a line declares.
fn function(code: &str) -> Option<(usize, String)> {
    let signs: Vec<char> = code.chars().collect();
    let place = signs.windows(3).enumerate().find_map(|(place, window)| {
        let starts = place == 0 || !is_word(signs[place - 1]);
        (starts && window == ['f', 'n', ' ']).then_some(place)
    })?;
    let name: String = signs[place + 3..]
        .iter()
        .take_while(|sign| is_word(**sign))
        .collect();
    (!name.is_empty()).then_some((place, name))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Text;
    use super::*;

    fn longest(body: &str) -> Longest {
        let text = Text {
            path: PathBuf::from("a/src/lib.rs"),
            body: body.to_owned(),
        };
        let mut lengths = Lengths::measure(&Tree { texts: vec![text] });
        lengths.crates.remove("a").expect("one crate")
    }

    #[test]
    fn a_function_is_measured_from_its_name_to_its_last_brace() {
        let found = longest(
            "fn short() {}\npub fn long(\n    a: [u8; 3],\n) -> u8 {\n    if a { 1 } else { 2 }\n}\n\
             type F = fn(u8) -> u8;\ntrait T { fn only(&self); }\n",
        );
        assert_eq!(found.function.name, "long");
        assert_eq!((found.function.lines, found.function.line), (5, 2));
        assert_eq!(found.file.lines, 8);
    }

    #[test]
    fn tests_do_not_count() {
        let found = longest("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n");
        assert_eq!((found.file.lines, found.function.lines), (1, 1));
    }
}
