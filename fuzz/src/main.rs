//! One program for all targets of `engine::fuzzing`; `ENGINE_FUZZ_TARGET` names the one to feed.
//!
//! Built and run by `cargo xtask fuzz`.

#![no_main]

use std::sync::OnceLock;

use engine::fuzzing::TARGETS;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target()(data));

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("ENGINE_FUZZ_TARGET").unwrap_or_default();
        let found = TARGETS.iter().find(|(target, _)| *target == name);
        found.expect("ENGINE_FUZZ_TARGET names a target").1
    })
}
