//! What this process may do to the machine, asked by trying it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use engine_jepsen::cluster::binary;
use engine_jepsen::real::{Need, Nemesis, probe};

/// A network, mounts and process ids of our own: what is made there is gone with us.
const OWN: [&str; 7] = [
    "--net",
    "--mount",
    "--propagation=private",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];
/// What whoever is not root needs besides.
const AS_ROOT: [&str; 2] = ["--user", "--map-root-user"];

/// In a network of its own the loopback interface is down at first.
const LOOPBACK_UP: [&str; 5] = ["ip", "link", "set", "lo", "up"];

/// Runs this program again in namespaces of its own; returns only if that is not allowed here.
pub(crate) fn go_inside(program: &Path) -> Result<()> {
    for more in [&[] as &[&str], &AS_ROOT] {
        let mut attempt = Command::new("unshare");
        attempt.args(more).args(OWN).args(LOOPBACK_UP);
        let allowed = attempt.output().is_ok_and(|output| output.status.success());
        if !allowed {
            continue;
        }
        let own = std::env::current_exe().context("find this program")?;
        let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
        words.push("--inside".into());
        let failed = Command::new("unshare")
            .args(more)
            .args(OWN)
            .arg(own)
            .args(words)
            // A network of its own is no place to build it.
            .env(binary::OVERRIDE, program)
            .exec();
        return Err(failed).context("run in namespaces of its own");
    }
    Ok(())
}

/// What may be done here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowed {
    net: Option<String>,
    disks: Option<String>,
    clocks: Option<String>,
    wall_clocks: Option<String>,
}

impl Allowed {
    /// Tries everything once, in namespaces of our own or not.
    pub(crate) fn probe(inside: bool, place: &Path) -> Self {
        let why = |tried: Result<()>| tried.err().map(|error| format!("{error:#}"));
        let wall_clocks = why(probe::wall_clocks(place));
        if !inside {
            let outside = Some("namespaces are not allowed here".to_owned());
            return Self {
                net: outside.clone(),
                disks: outside.clone(),
                clocks: outside,
                wall_clocks,
            };
        }
        // It worked when it was tried; without it nothing can be reached, which will be told.
        let [program, words @ ..] = LOOPBACK_UP;
        let _told = Command::new(program).args(words).output();
        Self {
            net: why(probe::net()),
            disks: why(probe::disks(place)),
            clocks: why(probe::clocks()),
            wall_clocks,
        }
    }

    /// Why not, if something may not be done.
    fn refusal(&self, need: Need) -> Option<&str> {
        match need {
            Need::Nothing => None,
            Need::Net => self.net.as_deref(),
            Need::Disks => self.disks.as_deref(),
            Need::Clocks => self.clocks.as_deref(),
            Need::WallClocks => self.wall_clocks.as_deref(),
        }
    }

    /// Whether it may be done.
    pub(crate) fn may(&self, need: Need) -> bool {
        self.refusal(need).is_none()
    }

    /// Those that are possible, and why others are not, or only in part.
    pub(crate) fn divide(&self, asked: Vec<Nemesis>) -> (Vec<Nemesis>, Vec<String>) {
        let told = asked.iter().filter_map(|nemesis| {
            let why = self.refusal(nemesis.need())?;
            let instead = match nemesis.need() {
                Need::Net => "by relays on the loopback interface",
                _ => "left out",
            };
            Some(format!("{nemesis} {instead}: {why}"))
        });
        let told = told.collect();
        let possible = |nemesis: &Nemesis| {
            let need = nemesis.need();
            need == Need::Net || self.may(need)
        };
        (asked.into_iter().filter(possible).collect(), told)
    }
}
