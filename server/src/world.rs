//! What a server is given from outside: the operating system's, or a simulator's.

use engine::env::Env;
use engine_proto::Dialer;

/// Clock, chance, disk and threads, and the way to other nodes.
#[derive(Clone, Debug)]
pub struct World {
    /// The engine's doors.
    pub env: Env,
    /// Who connects to other nodes.
    pub dialer: Dialer,
}

impl World {
    /// The operating system's.
    pub fn os() -> Self {
        Self {
            env: Env::os(),
            dialer: Dialer::default(),
        }
    }
}
