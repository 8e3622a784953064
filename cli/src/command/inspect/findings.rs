//! What was found wrong, and what that amounts to.

use std::fmt::Write as _;

use engine::inspect::{Problem, Severity};
use serde::Serialize;

use crate::exit_code::ExitCode;
use crate::text::thousands;

/// Problems that are kept; more are only counted.
const PROBLEMS_MAX: usize = 10_000;

/// All problems of some files.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    verdict: Verdict,
    problems: Vec<Problem>,
    problems_left_out: u64,
}

/// The gravest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Sound,
    TornTail,
    Damaged,
}

impl Findings {
    pub(super) fn new() -> Self {
        Self {
            verdict: Verdict::Sound,
            problems: Vec::new(),
            problems_left_out: 0,
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        self.verdict = self.verdict.max(match problem.severity {
            Severity::Damage => Verdict::Damaged,
            Severity::TornTail => Verdict::TornTail,
            Severity::Harmless => Verdict::Sound,
        });
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        } else {
            self.problems_left_out += 1;
        }
    }

    pub(super) fn code(&self) -> ExitCode {
        match self.verdict {
            Verdict::Damaged => ExitCode::Damaged,
            Verdict::Sound | Verdict::TornTail => ExitCode::Done,
        }
    }

    /// Every problem on a line, and the verdict on the last.
    pub(super) fn human(&self) -> String {
        let mut text = String::new();
        for problem in &self.problems {
            let word = match problem.severity {
                Severity::Damage => "damage",
                Severity::TornTail => "torn tail",
                Severity::Harmless => "harmless",
            };
            let path = problem.path.display();
            let Problem { offset, what, .. } = problem;
            // Writing to a String does not fail.
            let _ = writeln!(text, "{word}: {path} at byte {offset}: {what}");
        }
        if self.problems_left_out > 0 {
            let more = thousands(self.problems_left_out);
            let _ = writeln!(text, "… and {more} more problems");
        }
        text.push_str(match self.verdict {
            Verdict::Sound => "sound",
            Verdict::TornTail => "sound but for a torn tail, which a node cuts off",
            Verdict::Damaged => {
                "DAMAGED: a node stops at this; see 'A file is corrupt' in docs/operating.md"
            }
        });
        text
    }
}
