//! The engine's scripts, decided by Raft: the same answers as from an embedded engine.

#[path = "../../../engine/tests/it/world.rs"]
mod world;

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::command::{Command, Outcome};
use engine::env::clock::ManualClock;
use engine::replica::Replica;
use engine_raft::Timings;
use tokio::runtime::{Builder, Runtime};

use crate::cluster::{GROUP, Place, Running, Setup};
use world::{Script, World};

/// An id that no script gives to a node of its own.
const NODE: u64 = 99;

/// A cluster of one node.
struct Replicated {
    runtime: Runtime,
    clock: Arc<ManualClock>,
    place: Place,
    running: Option<Running>,
}

impl Replicated {
    fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let timings = Timings {
            heartbeat: Duration::from_millis(20),
            election_min: Duration::from_millis(60),
            election_max: Duration::from_millis(120),
            ..Timings::default()
        };
        let setup = Setup {
            timings,
            ..Setup::default()
        };
        let mut place = runtime.block_on(Place::new(NODE, &setup));
        let clock = Arc::new(ManualClock::new(1_000));
        place.env.clock = clock.clone();
        let mut world = Self {
            runtime,
            clock,
            place,
            running: None,
        };
        world.start().expect("a new node starts");
        world
    }

    fn start(&mut self) -> Result<(), Box<dyn StdError>> {
        let place = &self.place;
        let running = self.runtime.block_on(async {
            let running = place.start().await;
            let members = [(place.id, place.member())].into();
            running.node.bootstrap(members).await?;
            running.node.wait_leader(GROUP).await?;
            running.node.read_barrier(GROUP).await?;
            Ok::<_, engine_raft::Error>(running)
        })?;
        self.running = Some(running);
        Ok(())
    }

    fn running(&self) -> &Running {
        self.running
            .as_ref()
            .expect("the node runs between commands")
    }
}

impl World for Replicated {
    fn execute(&mut self, command: Command) -> Result<Outcome, Box<dyn StdError>> {
        Ok(self
            .runtime
            .block_on(self.running().node.propose(GROUP, command))?)
    }

    fn replica(&self) -> Replica {
        self.running()
            .node
            .replica(GROUP)
            .expect("group 0 is there")
    }

    fn reopen(&mut self) -> Result<(), Box<dyn StdError>> {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
        self.start()
    }

    fn wait(&mut self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

impl Drop for Replicated {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop());
        }
    }
}

#[test]
fn every_script_of_the_engine_answers_the_same() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/scripts");
    let mut count = 0;
    for folder in std::fs::read_dir(scripts).expect("the engine's scripts") {
        let folder = folder.expect("a readable folder").path();
        for script in std::fs::read_dir(folder).expect("a folder of scripts") {
            let script = script.expect("a readable name").path();
            let mut world = Script(Replicated::new());
            if let Err(error) = goldenscript::run(&mut world, &script) {
                panic!("{}: {error}", script.display());
            }
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} scripts were found");
}
