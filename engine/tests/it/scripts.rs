//! Every script, against an embedded engine on a disk in memory.
//!
//! `UPDATE_GOLDENFILES=1 cargo test -p engine --test it scripts` writes the answers anew.

use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::command::{Command, Outcome};
use engine::env::Env;
use engine::env::clock::ManualClock;
use engine::replica::Replica;
use engine::{Engine, Options};

use crate::world::{Script, World};

struct Embedded {
    env: Env,
    clock: Arc<ManualClock>,
    options: Options,
    engine: Option<Engine>,
}

impl Embedded {
    fn new(options: Options) -> Self {
        let clock = Arc::new(ManualClock::new(1_000));
        let env = Env {
            clock: clock.clone(),
            ..Env::memory()
        };
        let mut world = Self {
            env,
            clock,
            options,
            engine: None,
        };
        world.reopen().expect("a new folder opens");
        world
    }

    fn engine(&self) -> &Engine {
        self.engine
            .as_ref()
            .expect("the engine is open between commands")
    }
}

impl World for Embedded {
    fn execute(&mut self, command: Command) -> Result<Outcome, Box<dyn StdError>> {
        Ok(self.engine().execute(command)?)
    }

    fn replica(&self) -> Replica {
        self.engine().replica().clone()
    }

    fn reopen(&mut self) -> Result<(), Box<dyn StdError>> {
        let mut before = None;
        if let Some(engine) = self.engine.take() {
            before = Some(engine.replica().view().digest);
            engine.close()?;
        }
        let path = Path::new("/engine");
        self.engine = Some(Engine::open_in(
            self.env.clone(),
            path,
            self.options.clone(),
        )?);
        let after = self.engine().replica().view().digest;
        if before.is_some_and(|before| before != after) {
            return Err(format!("digest {before:?} became {after}").into());
        }
        Ok(())
    }

    fn wait(&mut self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "scripts are files beside the test, written if the environment says so"
)]
fn run_all(options: &Options, writes: bool) {
    // Two that write at once would leave empty scripts behind.
    if !writes && std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut count = 0;
    for folder in std::fs::read_dir(root).expect("the scripts are beside the test") {
        let folder = folder.expect("a readable folder").path();
        for script in std::fs::read_dir(folder).expect("a folder of scripts") {
            let script = script.expect("a readable name").path();
            let written = std::fs::read_to_string(&script).expect("a readable script");
            assert!(
                written.contains("---\n"),
                "{} says nothing",
                script.display()
            );
            let mut world = Script(Embedded::new(options.clone()));
            if let Err(error) = goldenscript::run(&mut world, &script) {
                panic!("{}: {error}", script.display());
            }
            count += 1;
        }
    }
    assert!(count >= 12, "only {count} scripts were found");
}

#[test]
fn every_script_answers_as_written() {
    run_all(&Options::default(), true);
}

#[test]
fn every_script_answers_the_same_without_caches_and_with_tiny_tables() {
    let options = Options {
        row_cache_bytes: 0,
        block_cache_bytes: 0,
        memtable_bytes: 4096,
        table_bytes: 4096,
        level_base_bytes: 4096,
        checkpoint_bytes: 4096,
        partition_file_bytes: 4096,
        ..Options::default()
    };
    run_all(&options, false);
}

#[cfg(feature = "sled")]
#[test]
fn every_script_answers_the_same_from_sled() {
    let options = Options {
        store: engine::StoreKind::Sled,
        row_cache_bytes: 0,
        memtable_bytes: 4096,
        table_bytes: 4096,
        level_base_bytes: 4096,
        checkpoint_bytes: 4096,
        partition_file_bytes: 4096,
        ..Options::default()
    };
    run_all(&options, false);
}
