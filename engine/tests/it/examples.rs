//! The examples run, and what they assert holds.

#[path = "../../examples/queue.rs"]
mod queue;
#[path = "../../examples/rows.rs"]
mod rows;
#[path = "../../examples/transfer.rs"]
mod transfer;

#[test]
fn every_example_runs() {
    rows::main().expect("rows");
    transfer::main().expect("transfer");
    queue::main().expect("queue");
}
