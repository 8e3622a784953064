//! What `cargo xtask fuzz` is asked for.

use std::num::NonZero;

use anyhow::{Context, Result, bail};

/// How long each target runs unless told otherwise.
const SECONDS: u64 = 20;

/// The words behind `fuzz`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Args {
    time: Time,
    /// Whether `fuzz/corpus` is made anew of what was found.
    pub(super) keep: bool,
    /// What makes a run find the same inputs again; none: other ones each time.
    pub(super) seed: Option<NonZero<u32>>,
    named: Vec<String>,
}

/// How long it may take.
#[derive(Debug, PartialEq, Eq)]
enum Time {
    /// Seconds for each target.
    Each(u64),
    /// Seconds for all targets together.
    Total(u64),
}

impl Args {
    /// Reads `[--seconds N | --total N] [--seed N] [--keep] [TARGET…]`.
    pub(super) fn parse(words: &[&str]) -> Result<Self> {
        let mut args = Self {
            time: Time::Each(SECONDS),
            keep: false,
            seed: None,
            named: Vec::new(),
        };
        let mut words = words.iter();
        let mut timed = false;
        while let Some(word) = words.next() {
            match *word {
                "--keep" => args.keep = true,
                "--seed" => {
                    let number = words.next().context("--seed what?")?;
                    let seed = number.parse();
                    args.seed = Some(seed.with_context(|| format!("read --seed {number}"))?);
                }
                "--seconds" | "--total" => {
                    if timed {
                        bail!("give --seconds or --total, and once");
                    }
                    timed = true;
                    let number = words.next().with_context(|| format!("{word} what?"))?;
                    let seconds = number.parse();
                    let seconds = seconds.with_context(|| format!("read {word} {number}"))?;
                    if seconds == 0 {
                        bail!("{word} 0 would never end");
                    }
                    args.time = match *word {
                        "--seconds" => Time::Each(seconds),
                        _ => Time::Total(seconds),
                    };
                }
                flag if flag.starts_with('-') => bail!("{flag} is not known"),
                target => args.named.push(target.to_owned()),
            }
        }
        Ok(args)
    }

    /// Those of all targets that are asked for, in their order.
    pub(super) fn choose(&self, all: Vec<String>) -> Result<Vec<String>> {
        if let Some(unknown) = self.named.iter().find(|name| !all.contains(name)) {
            let known = all.join(", ");
            bail!("no target is called {unknown}; there are {known}");
        }
        let mut chosen = all;
        chosen.retain(|target| self.named.is_empty() || self.named.contains(target));
        Ok(chosen)
    }

    /// How long each of so many targets runs: libFuzzer counts in whole seconds.
    pub(super) fn seconds_each(&self, targets: usize) -> u64 {
        match self.time {
            Time::Each(seconds) => seconds,
            Time::Total(seconds) => (seconds / targets.max(1) as u64).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> String {
        Args::parse(words).expect_err("it is refused").to_string()
    }

    #[test]
    fn words_are_read_in_any_order() {
        let words = [
            "log_head",
            "--keep",
            "--seconds",
            "3",
            "--seed",
            "7",
            "outcome",
        ];
        let args = Args::parse(&words);
        let expected = Args {
            time: Time::Each(3),
            keep: true,
            seed: NonZero::new(7),
            named: vec!["log_head".to_owned(), "outcome".to_owned()],
        };
        assert_eq!(args.expect("all are known"), expected);
        let nothing = Args::parse(&[]).expect("nothing is asked for");
        assert_eq!((nothing.keep, nothing.seconds_each(5)), (false, SECONDS));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        assert!(told(&["--second", "3"]).contains("--second is not known"));
        assert!(told(&["--seconds"]).contains("--seconds what?"));
        assert!(told(&["--total", "soon"]).contains("read --total soon"));
        assert!(told(&["--total", "-1"]).contains("read --total -1"));
        assert!(told(&["--seed", "0"]).contains("read --seed 0"));
        assert!(told(&["--seconds", "0"]).contains("never end"));
        assert!(told(&["--seconds", "3", "--total", "9"]).contains("once"));
    }

    #[test]
    fn a_total_is_spread_over_the_targets() {
        let args = Args::parse(&["--total", "120"]).expect("a number");
        assert_eq!((args.seconds_each(25), args.seconds_each(1)), (4, 120));
        assert_eq!((args.seconds_each(500), args.seconds_each(0)), (1, 120));
    }

    #[test]
    fn only_targets_that_are_there_are_chosen() {
        let all = || ["a", "b", "c"].map(str::to_owned).to_vec();
        let choose = |words: &[&str]| Args::parse(words).expect("names").choose(all());
        assert_eq!(choose(&[]).expect("all"), all());
        assert_eq!(choose(&["c", "a"]).expect("two"), ["a", "c"]);
        let error = choose(&["d"]).expect_err("unknown").to_string();
        assert_eq!(error, "no target is called d; there are a, b, c");
    }
}
