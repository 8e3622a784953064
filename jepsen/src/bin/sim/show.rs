//! What `sim` prints: a world, a bad world, many worlds.

use std::collections::BTreeSet;
use std::time::Duration;

use comfy_table::Table;
use engine_jepsen::sim::driver::list;
use engine_jepsen::sim::fault::Planned;
use engine_jepsen::sim::hunt::Hunt;
use engine_jepsen::sim::plant;
use engine_jepsen::sim::report::{Figures, Report, Summary};

use crate::args::Args;

/// How to play a world again: with the features of this build, and the bug that it had.
pub(crate) fn replay(args: &Args, seed: u64, without: &BTreeSet<usize>) -> String {
    let features = match (engine::planted::IS_COMPILED, engine::failpoint::IS_COMPILED) {
        (true, true) => " --features planted,failpoints",
        (true, false) => " --features planted",
        (false, true) => " --features failpoints",
        (false, false) => "",
    };
    let plant = args.plant.as_ref();
    let plant = plant.map_or_else(String::new, |name| format!(" --plant {name}"));
    let faults = args.faults;
    let without = if without.is_empty() {
        String::new()
    } else {
        format!(" --without {}", list(without))
    };
    format!(
        "cargo run -p engine-jepsen{features} --bin sim -- --seed {seed} --faults {faults}{plant}{without}"
    )
}

/// One world.
pub(crate) fn world(report: &Report) -> String {
    let verdict = match report.violations.len() {
        0 => "good".to_owned(),
        count => format!("{count} violations"),
    };
    format!(
        "seed {}: {verdict}, trace hash {}\n{}",
        report.seed,
        report.trace_hash,
        figures(&report.figures)
    )
}

/// What is wrong with a world, and how to see it again.
pub(crate) fn bad(report: &Report, replay: &str) -> String {
    format!(
        "seed {} is bad:\n  {}\nplay it again: {replay}",
        report.seed,
        report.violations.join("\n  ")
    )
}

/// The faults that are left of a schedule.
pub(crate) fn schedule(schedule: &[Planned], without: &BTreeSet<usize>) -> String {
    let left = schedule.iter().enumerate();
    let left = left.filter(|(place, _)| !without.contains(place));
    let lines: Vec<String> = left
        .map(|(place, planned)| {
            let fault = serde_json::to_string(&planned.fault).unwrap_or_default();
            format!("  {place:>3} at {:>6} ms: {fault}", planned.at_ms)
        })
        .collect();
    lines.join("\n")
}

/// Many worlds.
pub(crate) fn summary(reports: &[Report], took: Duration) -> String {
    let all = Summary::of(reports);
    let simulated = Duration::from_millis(all.figures.simulated_ms);
    format!(
        "{} worlds, {} of them bad; {:.2} simulated hours in {:.0} s, {:.1} s in each\n{}{}",
        all.worlds,
        all.bad.len(),
        simulated.as_secs_f64() / 3600.0,
        took.as_secs_f64(),
        simulated.as_secs_f64() / took.as_secs_f64().max(0.001),
        figures(&all.figures),
        points(&all)
    )
}

/// How often each failpoint was visited; nothing, if this build tells of no visit.
fn points(all: &Summary) -> String {
    if all.points.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.set_header(["failpoint", "visits", "nodes that ended there"]);
    for (point, visits) in &all.points {
        table.add_row([point, &visits.hits.to_string(), &visits.ends.to_string()]);
    }
    let never = match all.points_never_hit.len() {
        0 => "every failpoint was visited".to_owned(),
        count => format!("{count} never visited: {}", all.points_never_hit.join(", ")),
    };
    format!("\n{table}\n{never}")
}

/// The bugs that can be switched on.
pub(crate) fn plants() -> String {
    let lines = plant::all().map(|plant| format!("{:24} {}", plant.name(), plant.what()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What became of the search for one planted bug, as a row of the table.
pub(crate) fn hunt(hunt: &Hunt) -> String {
    let name = hunt.plant.name();
    let what = hunt.plant.what();
    let (worlds, simulated) = (hunt.worlds, hunt.simulated.as_secs());
    let wall = hunt.wall.as_secs_f64();
    match &hunt.found {
        Some(found) => {
            let (by, seed) = (&found.by, found.seed);
            format!("| `{name}` | {what} | {by} | {seed} | {worlds} | {simulated} | {wall:.0} |")
        }
        None => {
            format!("| `{name}` | {what} | **nothing** | | {worlds} | {simulated} | {wall:.0} |")
        }
    }
}

/// All searches, as a table in Markdown.
pub(crate) fn hunts(hunts: &[Hunt]) -> String {
    let head = "| Planted | What is wrong | Noticed by | Seed | Worlds | Simulated s | Wall s |\n\
                |---|---|---|---|---|---|---|";
    let rows = hunts.iter().map(hunt);
    std::iter::once(head.to_owned())
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

fn figures(figures: &Figures) -> String {
    let mut table = Table::new();
    let rows = [
        ("operations", figures.ops),
        ("  done", figures.ok),
        ("  not done", figures.fail),
        ("  nobody knows", figures.unknown),
        ("not decided by checkers", figures.undecided),
        ("processes killed", figures.kills),
        ("power cuts", figures.power_cuts),
        ("whole clusters down", figures.blackouts),
        ("partitions", figures.partitions),
        ("disk faults", figures.disk_faults),
        ("nodes whose state rotted", figures.rotted),
        ("processes that ended themselves", figures.ended),
        ("clock jumps", figures.clock_jumps),
        ("changes of members and leader", figures.changes),
        ("terms with a leader", figures.elections),
        ("longest healing, ms", figures.healed_in_ms),
        ("longest way to agreement, ms", figures.agreed_in_ms),
        ("events of the story", figures.events),
    ];
    for (name, figure) in rows {
        table.add_row([name.to_owned(), figure.to_string()]);
    }
    table.to_string()
}
