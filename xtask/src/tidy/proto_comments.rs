//! Rule: every service, rpc, message, field, enum and value in a `.proto` file has a comment:
//! these comments are the API's documentation.

use super::Finding;

/// Lines that declare nothing a client sees.
const SILENT: [&str; 6] = [
    "syntax ",
    "package ",
    "import ",
    "option ",
    "reserved ",
    "extensions ",
];

/// Looks at all declarations.
pub(crate) fn check(body: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut commented = false;
    let mut continues = false;
    for (number, line) in body.lines().enumerate() {
        let text = line.trim();
        if text.starts_with("//") {
            commented = text.trim_start_matches('/').trim() != "" || commented;
            continue;
        }
        let (code, trailing) = text.split_once("//").unwrap_or((text, ""));
        let code = code.trim();
        if !continues && declares(code) && !commented && trailing.trim().is_empty() {
            findings.push((number + 1, format!("`{}` has no comment", name(code))));
        }
        continues = !code.is_empty() && !code.ends_with([';', '{', '}']);
        commented = false;
    }
    findings
}

fn declares(code: &str) -> bool {
    let silent = SILENT.iter().any(|word| code.starts_with(word));
    !silent && !code.is_empty() && !code.starts_with(['}', ']', '{'])
}

/// The declaration without what follows its name.
fn name(code: &str) -> &str {
    code.split(['=', '{', '(', ';'])
        .next()
        .unwrap_or(code)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_without_a_comment_is_named() {
        let body = "syntax = \"proto3\";\npackage a;\n\n// A thing.\nmessage Thing {\n  \
                    // Its name.\n  string name = 1;\n  uint64 size = 2;\n  uint32 age = 3; // In days.\n}\n\
                    message Empty {}\n";
        let found = check(body);
        assert_eq!(
            found,
            vec![
                (8, "`uint64 size` has no comment".to_owned()),
                (11, "`message Empty` has no comment".to_owned()),
            ]
        );
    }

    #[test]
    fn a_comment_before_an_empty_line_belongs_to_nothing() {
        assert_eq!(check("// Section.\n\nservice Kv {\n}\n").len(), 1);
        assert_eq!(
            check("service Kv {\n  // Reads.\n  rpc Get(A)\n    returns (B);\n}").len(),
            1
        );
    }
}
