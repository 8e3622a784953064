//! What `cargo xtask soak` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Of a hundred parts of the time, so many belong to real nodes.
const REAL_PERCENT: u64 = 20;

/// The words behind `soak`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Args {
    /// All of it.
    pub(super) time: Duration,
    /// Of a hundred parts of the time, so many belong to real nodes.
    pub(super) real_percent: u64,
    /// The first world; a fresh one if not given.
    pub(super) from: Option<u64>,
    /// The file that gets the figures as a row.
    pub(super) record: Option<PathBuf>,
}

impl Args {
    /// Reads `(--hours N | --minutes N) [--real PERCENT] [--from SEED] [--record FILE]`.
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut time = None;
        let mut args = Self {
            time: Duration::ZERO,
            real_percent: REAL_PERCENT,
            from: None,
            record: None,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut next = || words.next().with_context(|| format!("{word} what?"));
            match *word {
                "--hours" | "--minutes" if time.is_some() => {
                    bail!("give --hours or --minutes, and once")
                }
                "--hours" => time = Some(Duration::from_hours(number(word, next()?)?)),
                "--minutes" => time = Some(Duration::from_mins(number(word, next()?)?)),
                "--real" => args.real_percent = number(word, next()?)?,
                "--from" => args.from = Some(number(word, next()?)?),
                "--record" => args.record = Some(PathBuf::from(*next()?)),
                unknown => bail!("{unknown} is not known"),
            }
        }
        args.time = time.context("say how long: --hours N or --minutes N")?;
        if args.time.is_zero() || args.real_percent > 100 {
            bail!("some time is needed, and at most all of it for real nodes");
        }
        Ok(args)
    }

    /// The time of real nodes.
    pub(super) fn real_time(&self) -> Duration {
        self.time.mul_f64(self.real_percent as f64 / 100.0)
    }
}

fn number(word: &str, text: &str) -> Result<u64> {
    text.parse().with_context(|| format!("read {word} {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_order() {
        let args = Args::parse(&["--from", "7", "--minutes", "10", "--record", "row.md"]);
        let args = args.expect("all are known");
        assert_eq!((args.time, args.from), (Duration::from_mins(10), Some(7)));
        assert_eq!(args.real_time(), Duration::from_mins(2));
        assert_eq!(args.record, Some(PathBuf::from("row.md")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let told = |words: &[&str]| {
            let error = Args::parse(words).expect_err("it is refused");
            error.to_string()
        };
        assert!(told(&[]).contains("say how long"));
        assert!(told(&["--hours"]).contains("--hours what?"));
        assert!(told(&["--hours", "soon"]).contains("read --hours soon"));
        assert!(told(&["--hours", "1", "--minutes", "1"]).contains("once"));
        assert!(told(&["--minutes", "0"]).contains("some time"));
        assert!(told(&["--minutes", "5", "--real", "101"]).contains("at most all"));
        assert!(told(&["--days", "5"]).contains("--days is not known"));
    }
}
