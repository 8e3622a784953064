//! The product's failpoints in one world: who came by how often, and whose end waits there.
//!
//! A visit is told on the one thread of the world, while the tokio runtime of some node's host
//! runs: that is how the node is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use engine::failpoint::Point;
use parking_lot::Mutex;
use tokio::runtime::{self, Handle};

use super::machine::{How, Machine};
use super::report::Visits;
use super::trace::Trace;

/// All points of a world; clones are the same.
#[derive(Clone)]
pub(super) struct Failpoints {
    trace: Trace,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    visits: BTreeMap<Point, Visits>,
    traps: BTreeMap<Point, Trap>,
    /// Whose process runs in which runtime.
    machines: HashMap<runtime::Id, Weak<Machine>>,
}

/// The end of whoever comes by.
#[derive(Clone, Copy, Debug)]
struct Trap {
    /// So many visits pass before.
    spared: u64,
    how: How,
}

impl Failpoints {
    /// Those of a new world. One process plays one world: the first one is told of all visits.
    pub(super) fn new(trace: &Trace) -> Self {
        let points = Self {
            trace: trace.clone(),
            shared: Arc::default(),
        };
        points.watch();
        points
    }

    #[cfg(feature = "failpoints")]
    fn watch(&self) {
        let points = self.clone();
        engine::failpoint::watch(Box::new(move |point| points.visit(point)));
    }

    #[cfg(not(feature = "failpoints"))]
    #[expect(clippy::unused_self, reason = "nobody tells of visits in this build")]
    fn watch(&self) {}

    /// From now on the present runtime is that of `machine`'s process.
    pub(super) fn enter(&self, machine: &Arc<Machine>) {
        if let Some(runtime) = present() {
            let mut shared = self.shared.lock();
            shared.machines.insert(runtime, Arc::downgrade(machine));
        }
    }

    /// The next node that comes to `point` ends there, after so many visits of anybody.
    pub(super) fn set_trap(&self, point: Point, spared: u64, how: How) {
        self.shared.lock().traps.insert(point, Trap { spared, how });
    }

    /// Nobody ends at a point any more.
    pub(super) fn disarm(&self) {
        self.shared.lock().traps.clear();
    }

    /// The visits so far; every point of the product is there, visited or not. Empty if this build
    /// tells of none.
    pub(super) fn visits(&self) -> BTreeMap<String, Visits> {
        if !engine::failpoint::IS_COMPILED {
            return BTreeMap::new();
        }
        let shared = self.shared.lock();
        let points = Point::ALL.iter();
        let visits = points.map(|point| {
            let visits = shared.visits.get(point).copied().unwrap_or_default();
            (point.name().to_owned(), visits)
        });
        visits.collect()
    }

    #[cfg_attr(
        not(feature = "failpoints"),
        expect(dead_code, reason = "nobody tells of visits in this build")
    )]
    fn visit(&self, point: Point) {
        let Some((machine, how)) = self.count(point) else {
            return;
        };
        if machine.end_here(how) {
            let mut shared = self.shared.lock();
            shared.traps.remove(&point);
            shared.visits.entry(point).or_default().ends += 1;
            drop(shared);
            let text = format!("{} {how:?}", point.name());
            self.trace.note("point", &machine.name, text.as_bytes());
            tracing::info!(node = machine.id, point = point.name(), ?how, "ends here");
        }
    }

    /// Counts a visit; answers who ends here, if somebody does.
    fn count(&self, point: Point) -> Option<(Arc<Machine>, How)> {
        let mut shared = self.shared.lock();
        shared.visits.entry(point).or_default().hits += 1;
        let trap = shared.traps.get_mut(&point)?;
        if trap.spared > 0 {
            trap.spared -= 1;
            return None;
        }
        let how = trap.how;
        let machine = shared.machines.get(&present()?)?.upgrade()?;
        Some((machine, how))
    }
}

/// The present runtime's number.
fn present() -> Option<runtime::Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}
