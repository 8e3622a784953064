//! A disk that hangs again and again: writes and syncs wait, then go on.
//!
//! The file system is frozen, which the kernel does after writing everything out: so this makes a
//! disk slow and never loses anything. Limits of `cgroup` v2 would be finer; they do not reach the
//! journal's thread, and not every machine has them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::real::disk::Disk;
use crate::real::field::Field;

/// The longest that a disk hangs at a time.
const HANG_MS_MAX: u64 = 400;
/// The longest time between.
const PAUSE_MS_MAX: u64 = 150;

/// Disks that hang.
#[derive(Debug)]
pub(in crate::real) struct Stall {
    over: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Stall {
    /// Lets the disks work again.
    pub(in crate::real) async fn end(self) -> Result<()> {
        self.over.send_replace(true);
        self.task.await.context("a stalling task panicked")?
    }
}

pub(super) fn strike(field: &mut Field) -> Result<String> {
    let nodes = field.some();
    let machines = nodes.iter().map(|node| field.machine(*node));
    let machines: Vec<u64> = machines.collect::<Result<_>>()?;
    let places: Vec<PathBuf> = {
        let disks = field.ground.disks();
        let disks = machines.iter().filter_map(|machine| disks.get(machine));
        disks.map(|disk| disk.mounted_at().to_owned()).collect()
    };
    let over = watch::Sender::new(false);
    let told = over.subscribe();
    let chance = StdRng::seed_from_u64(field.chance.random());
    field.disk_hurt = true;
    field.stall = Some(Stall {
        over,
        task: tokio::spawn(hang(places, chance, told)),
    });
    field.count("hanging disks", nodes.len());
    Ok(format!("disks of {nodes:?} hang again and again"))
}

async fn hang(
    places: Vec<PathBuf>,
    mut chance: StdRng,
    mut over: watch::Receiver<bool>,
) -> Result<()> {
    while !*over.borrow() {
        let mut frozen = Vec::new();
        for place in &places {
            // A disk without power cannot be frozen; it is hurt enough.
            if Disk::freeze(place).is_ok() {
                frozen.push(place);
            }
        }
        sleep(Duration::from_millis(chance.random_range(10..HANG_MS_MAX))).await;
        for place in frozen {
            // As above, if the power has gone meanwhile.
            let _gone = Disk::thaw(place);
        }
        let pause = Duration::from_millis(chance.random_range(1..PAUSE_MS_MAX));
        // Until told, or for this long.
        let _either = tokio::time::timeout(pause, over.changed()).await;
    }
    Ok(())
}
