//! What `jepsen` prints: what it is about to do, and what came of it.

use std::path::Path;

use comfy_table::Table;
use engine_jepsen::real::report::Report;
use engine_jepsen::real::run::Setup;

/// Before a run.
pub(crate) fn setup(setup: &Setup) -> String {
    let nemeses: Vec<String> = setup.nemeses.iter().map(ToString::to_string).collect();
    let mut lines = vec![format!(
        "seed {}: {} nodes, {} clients, {} s of {}",
        setup.seed,
        setup.nodes,
        setup.clients,
        setup.duration.as_secs(),
        nemeses.join(", ")
    )];
    lines.extend(setup.limits.iter().cloned());
    lines.join("\n")
}

/// After a run.
pub(crate) fn report(report: &Report, out: &Path) -> String {
    let mut table = Table::new();
    let mut add = |name: &str, figure: String| {
        table.add_row([name.to_owned(), figure]);
    };
    add("seconds", format!("{:.1}", report.seconds));
    add("operations done", report.ok.to_string());
    add("  not done", report.fail.to_string());
    add("  nobody knows", report.unknown.to_string());
    add("done a second", format!("{:.0}", report.rate));
    add("outages", report.outages.len().to_string());
    add("longest way back, ms", report.recovered_ms_max.to_string());
    add(
        "longest time without a write, ms",
        report.gap_ms_max.to_string(),
    );
    for (name, figure) in &report.figures {
        add(name, figure.to_string());
    }
    for checker in &report.checkers {
        let name = format!("checker {}", checker.checker);
        add(
            &name,
            format!("{} ({} judged)", checker.verdict(), checker.judged),
        );
    }
    let mut lines = vec![table.to_string()];
    let undecided = report
        .checkers
        .iter()
        .flat_map(|checker| &checker.undecided);
    lines.extend(undecided.map(|what| format!("unknown: {what}")));
    lines.extend(
        report
            .violations
            .iter()
            .map(|what| format!("VIOLATION {what}")),
    );
    let verdict = match report.violations.len() {
        0 => "good".to_owned(),
        count => format!("{count} violations"),
    };
    lines.push(format!(
        "seed {}: {verdict}; history and plots in {}",
        report.seed,
        out.display()
    ));
    lines.join("\n")
}
