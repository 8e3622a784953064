//! The tool itself, in its smallest form: all workloads against three real nodes.

use clap::Parser as _;
use engine_benches::arguments::Arguments;
use engine_benches::report::Report;
use engine_benches::run::run;
use engine_benches::workload::Workload;
use engine_jepsen::cluster::binary;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_workload_is_measured_and_told() {
    let program = binary::built().expect("engine-cli can be built");
    let out = std::env::temp_dir().join(format!("engine-bench-{}.json", std::process::id()));
    let mut words = vec!["engine-bench".into(), "--spawn".into(), "--program".into()];
    words.push(program.into_os_string());
    words.extend(
        "--clients 1,8 --connections 2 --seconds 0.3 --warm-up 0.1 --keys 100"
            .split(' ')
            .map(Into::into),
    );
    words.push("--out".into());
    words.push(out.clone().into_os_string());
    let arguments = Arguments::try_parse_from(words).expect("the arguments are fine");

    let report = run(&arguments, |_| {})
        .await
        .expect("three nodes can be measured");

    assert_eq!(report.cells.len(), 2 * Workload::ALL.len());
    assert_eq!(report.settings.nodes, 3);
    for cell in &report.cells {
        assert_eq!(cell.errors, 0, "{cell:?}");
        assert!(
            cell.operations > 0 && cell.p50_ms > 0.01 && cell.p50_ms <= cell.max_ms,
            "{cell:?}"
        );
        assert!(
            cell.leader_cpu_us.is_some(),
            "the nodes are on this machine"
        );
        if !cell.workload.reads() {
            assert!(
                cell.commands_per_entry.is_some_and(|count| count >= 1.0),
                "{cell:?}"
            );
            assert!(
                cell.log_syncs_per_command.is_some_and(|count| count > 0.0),
                "{cell:?}"
            );
        }
    }
    let table = report.markdown();
    assert_eq!(table.matches("\n| publish-stream |").count(), 2, "{table}");
    let json = std::fs::read_to_string(&out).expect("the figures were written");
    std::fs::remove_file(&out).expect("it was just read");
    let read: Report = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(read.cells.len(), report.cells.len());
}
