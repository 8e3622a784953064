//! A Rust file taken apart: for each line its code and its comment, and which lines are tests.
//!
//! This is a lexer for comments, strings and characters only, enough that a rule about code
//! never looks into a string and a rule about comments never looks into code. The contents of
//! strings become blanks; braces, names and line numbers stay where they were.

/// A file, line by line.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the first line.
    pub(crate) lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    /// Without comments; strings blanked.
    pub(crate) code: String,
    /// The comment's text with its marks (`//`, `///`, …), if any.
    pub(crate) comment: String,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

/// What the lexer stands in.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text { escapes: bool, hashes: usize },
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn new(body: &str) -> Self {
        let mut source = Self { lines: lex(body) };
        source.mark_tests();
        source
    }

    /// The lines from the one where an item begins to the one where it ends: the first `{` or
    /// `;` after `from` outside of brackets decides.
    pub(crate) fn item_end(&self, from: usize, column: usize) -> usize {
        let (mut braces, mut brackets) = (0_usize, 0_usize);
        for (number, line) in self.lines.iter().enumerate().skip(from) {
            let skip = if number == from { column } else { 0 };
            for sign in line.code.chars().skip(skip) {
                match sign {
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets = brackets.saturating_sub(1),
                    '{' => braces += 1,
                    '}' if braces <= 1 => return number,
                    '}' => braces -= 1,
                    ';' if braces == 0 && brackets == 0 => return number,
                    _ => {}
                }
            }
        }
        self.lines.len().saturating_sub(1)
    }

    fn mark_tests(&mut self) {
        let mut number = 0;
        while number < self.lines.len() {
            let code = &self.lines[number].code;
            if let Some(column) = code.find("#[cfg(test)]") {
                let after = code[..column].chars().count() + "#[cfg(test)]".len();
                let end = self.item_end(number, after);
                for line in &mut self.lines[number..=end] {
                    line.is_test = true;
                }
                number = end;
            }
            number += 1;
        }
    }
}

fn lex(body: &str) -> Vec<Line> {
    let signs: Vec<char> = body.chars().collect();
    let at = |place: usize| signs.get(place).copied().unwrap_or('\0');
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut place = 0;
    while place < signs.len() {
        let sign = at(place);
        if sign == '\n' {
            if state == State::LineComment {
                state = State::Code;
            }
            lines.push(Line::default());
            place += 1;
            continue;
        }
        let line = lines.last_mut().expect("there is always a line");
        let (next, length) = match state {
            State::Code => begin(&signs, place),
            State::LineComment => (state, 1),
            State::BlockComment { depth } => match (sign, at(place + 1)) {
                ('/', '*') => (State::BlockComment { depth: depth + 1 }, 2),
                ('*', '/') if depth == 1 => (State::Code, 2),
                ('*', '/') => (State::BlockComment { depth: depth - 1 }, 2),
                _ => (state, 1),
            },
            State::Text { escapes, hashes } => {
                let closes =
                    sign == '"' && (1..=hashes).all(|distance| at(place + distance) == '#');
                if escapes && sign == '\\' && at(place + 1) != '\n' {
                    (state, 2)
                } else if closes {
                    (State::Code, 1 + hashes)
                } else {
                    (state, 1)
                }
            }
        };
        for offset in 0..length {
            let sign = at(place + offset);
            match (state, next) {
                (State::LineComment | State::BlockComment { .. }, _)
                | (State::Code, State::LineComment | State::BlockComment { .. }) => {
                    line.comment.push(sign);
                }
                (State::Code, State::Code) if length == 1 => line.code.push(sign),
                _ => line.code.push(' '),
            }
        }
        state = next;
        place += length;
    }
    lines
}

/// In code: what begins at `place`, and how many signs its beginning takes.
fn begin(signs: &[char], place: usize) -> (State, usize) {
    let at = |place: usize| signs.get(place).copied().unwrap_or('\0');
    let after_word = place > 0 && is_word(at(place - 1));
    match at(place) {
        '/' if at(place + 1) == '/' => (State::LineComment, 2),
        '/' if at(place + 1) == '*' => (State::BlockComment { depth: 1 }, 2),
        '"' => {
            let state = State::Text {
                escapes: true,
                hashes: 0,
            };
            (state, 1)
        }
        'r' if !after_word || at(place.saturating_sub(1)) == 'b' => {
            let hashes = signs[place + 1..]
                .iter()
                .take_while(|sign| **sign == '#')
                .count();
            if at(place + 1 + hashes) == '"' {
                let state = State::Text {
                    escapes: false,
                    hashes,
                };
                (state, 2 + hashes)
            } else {
                (State::Code, 1)
            }
        }
        '\'' => (State::Code, character(signs, place)),
        _ => (State::Code, 1),
    }
}

/// The length of a character literal at `place`; 1 for a lifetime's mark.
fn character(signs: &[char], place: usize) -> usize {
    let at = |place: usize| signs.get(place).copied().unwrap_or('\0');
    if at(place + 1) == '\\' {
        let close = (place + 3..place + 12).find(|close| at(*close) == '\'');
        close.map_or(1, |close| close - place + 1)
    } else if at(place + 2) == '\'' && at(place + 1) != '\n' {
        3
    } else {
        1
    }
}

/// Whether a sign can stand in a name.
pub(crate) fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: &str) -> Vec<String> {
        let lines = Source::new(body).lines;
        lines.into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_are_blanked_and_comments_are_apart() {
        let source = Source::new("let a = \"{ // no\"; // yes {\nb /* } */ c");
        assert!(!source.lines[0].code.contains('{'));
        assert_eq!(source.lines[0].comment, "// yes {");
        assert!(source.lines[1].code.starts_with('b'));
        assert!(source.lines[1].code.ends_with('c'));
        assert_eq!(source.lines[1].comment, "/* } */");
    }

    #[test]
    fn raw_strings_escapes_characters_and_lifetimes_are_known() {
        assert!(!code("r#\"a \" { \"#;")[0].contains('{'));
        assert!(!code("br\"{\\\";")[0].contains('{'));
        assert!(!code("\"\\\"{\";")[0].contains('{'));
        assert!(!code("'{' '\\'' '\\u{7b}'")[0].contains('{'));
        assert!(code("fn f<'a>(x: &'a str) {")[0].contains('{'));
        assert_eq!(code("\"a\n{\"\n{").last().map(String::as_str), Some("{"));
    }

    #[test]
    fn the_item_under_cfg_test_is_a_test_and_nothing_else() {
        let source = Source::new(
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\nfn e() {}\n",
        );
        let tests: Vec<bool> = source.lines.iter().map(|line| line.is_test).collect();
        let expected = [
            false, true, true, true, true, false, true, true, false, false,
        ];
        assert_eq!(tests, expected);
    }
}
