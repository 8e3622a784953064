//! One program for all targets; `ENGINE_FUZZ_TARGET` names the one to feed.
//!
//! Built and run by `cargo xtask fuzz`.

#![no_main]

use std::sync::OnceLock;

use engine::fuzzing::{TARGETS, Target};

libfuzzer_sys::fuzz_target!(|data: &[u8]| target()(data));

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("ENGINE_FUZZ_TARGET").unwrap_or_default();
        let found = all().find(|(target, _)| *target == name);
        found.expect("ENGINE_FUZZ_TARGET names a target").1
    })
}

fn all() -> impl Iterator<Item = Target> {
    TARGETS
        .into_iter()
        .chain(engine_raft::fuzzing::TARGETS)
        .chain(engine_server::fuzzing::TARGETS)
}
