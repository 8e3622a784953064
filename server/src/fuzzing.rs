//! One function for each decoder of what clients send, to be called with any bytes whatever: see
//! the folder `fuzz`.

use crate::wire::fuzzing::{cursor, request};

/// A decoder's name, and the function that feeds it.
pub type Target = (&'static str, fn(&[u8]));

/// All decoders.
pub const TARGETS: [Target; 2] = [("scan_cursor", cursor), ("client_request", request)];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_kept_input_passes_its_target() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        for (name, target) in TARGETS {
            let inputs = std::fs::read_dir(corpus.join(name)).expect("each target has kept inputs");
            let count = inputs
                .map(|input| std::fs::read(input.expect("a name").path()).expect("its bytes"))
                .map(|bytes| target(&bytes))
                .count();
            assert!(count > 0, "{name}");
        }
    }
}
