//! Carries frames between taps, by a rule for each direction of each link.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use parking_lot::{Condvar, Mutex};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::host::plug;
use super::{CLIENTS, Host};

/// Longer than any frame of an interface with the usual 1,500 bytes.
const FRAME_BYTES_MAX: usize = 2048;
/// How often a thread that has nothing to do looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Frames that may be under way; what comes then is lost, as in any full queue.
const UNDER_WAY_MAX: usize = 100_000;

/// What happens to frames in one direction of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// None arrive.
    pub cut: bool,
    /// All arrive later by this.
    pub delay: Duration,
    /// Each arrives later by up to this, drawn anew: so they overtake each other.
    pub jitter: Duration,
    /// The share that is lost.
    pub loss: f64,
    /// The share that arrives twice.
    pub doubled: f64,
}

/// The middle of the network.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    taps: Mutex<BTreeMap<u8, Arc<File>>>,
    links: Mutex<BTreeMap<(u8, u8), Link>>,
    chance: Mutex<StdRng>,
    under_way: Mutex<BinaryHeap<Reverse<Frame>>>,
    earlier: Condvar,
    over: AtomicBool,
}

/// A frame that arrives later; the first field decides the order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Frame {
    due: Instant,
    to: u8,
    bytes: Vec<u8>,
}

impl Switch {
    /// A switch with this process at its clients' port.
    pub fn new(seed: u64) -> Result<Self> {
        let switch = Self {
            shared: Arc::new(Shared {
                taps: Mutex::default(),
                links: Mutex::default(),
                chance: Mutex::new(StdRng::seed_from_u64(seed)),
                under_way: Mutex::default(),
                earlier: Condvar::new(),
                over: AtomicBool::new(false),
            }),
            threads: Mutex::default(),
        };
        let shared = Arc::clone(&switch.shared);
        switch.run("wire".to_owned(), move || shared.deliver())?;
        switch.attach(CLIENTS, plug(CLIENTS)?)?;
        Ok(switch)
    }

    /// A new host at a port.
    pub fn host(&self, port: u8) -> Result<Host> {
        let (host, tap) = Host::new(port)?;
        self.attach(port, tap)?;
        Ok(host)
    }

    /// Changes what happens to frames from one port to another.
    pub fn change(&self, from: u8, to: u8, change: impl FnOnce(&mut Link)) {
        change(self.shared.links.lock().entry((from, to)).or_default());
    }

    /// All links are good again.
    pub fn heal(&self) {
        self.shared.links.lock().clear();
    }

    fn attach(&self, port: u8, tap: File) -> Result<()> {
        let tap = Arc::new(tap);
        self.shared.taps.lock().insert(port, Arc::clone(&tap));
        let shared = Arc::clone(&self.shared);
        self.run(format!("port-{port}"), move || shared.receive(port, &tap))
    }

    fn run(&self, name: String, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = thread::Builder::new().name(name).spawn(work);
        self.threads
            .lock()
            .push(thread.context("start a thread of the switch")?);
        Ok(())
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.get_mut().drain(..) {
            // A thread that panicked has told so.
            let _told = thread.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The life of a port's thread.
    fn receive(&self, from: u8, tap: &File) {
        let wait = Timespec::try_from(LOOK_EVERY).ok();
        let mut buffer = [0; FRAME_BYTES_MAX];
        let mut tap_in = tap;
        while !self.is_over() {
            let mut asked = [PollFd::new(tap, PollFlags::IN)];
            if !matches!(poll(&mut asked, wait.as_ref()), Ok(1..)) {
                continue;
            }
            // A tap without an interface has nothing to say; its end is noticed above.
            if let Ok(len) = tap_in.read(&mut buffer) {
                self.take(from, buffer.get(..len).unwrap_or_default());
            }
        }
    }

    /// A frame comes in.
    fn take(&self, from: u8, frame: &[u8]) {
        let Some(&[first, _, _, _, _, last]) = frame.first_chunk::<6>() else {
            return;
        };
        let everybody = first & 1 == 1;
        let targets: Vec<u8> = {
            let taps = self.taps.lock();
            let wanted = |to: &u8| *to != from && (everybody || *to == last);
            taps.keys().copied().filter(wanted).collect()
        };
        for to in targets {
            let link = self.links.lock().get(&(from, to)).copied();
            self.pass(to, frame, link.unwrap_or_default());
        }
    }

    fn pass(&self, to: u8, frame: &[u8], link: Link) {
        if link == Link::default() {
            return self.put(to, frame);
        }
        let mut chance = self.chance.lock();
        if link.cut || chance.random_bool(link.loss) {
            return;
        }
        let copies = 1 + usize::from(chance.random_bool(link.doubled));
        for _ in 0..copies {
            let jitter = link.jitter.mul_f64(chance.random::<f64>());
            self.delay(to, frame, link.delay + jitter);
        }
    }

    fn delay(&self, to: u8, frame: &[u8], delay: Duration) {
        let mut under_way = self.under_way.lock();
        if under_way.len() < UNDER_WAY_MAX {
            under_way.push(Reverse(Frame {
                due: Instant::now() + delay,
                to,
                bytes: frame.to_vec(),
            }));
            self.earlier.notify_one();
        }
    }

    /// The life of the wire's thread: it puts frames out when they are due.
    fn deliver(&self) {
        let mut under_way = self.under_way.lock();
        while !self.is_over() {
            let now = Instant::now();
            let next = under_way.peek().map(|Reverse(frame)| frame.due);
            if next.is_some_and(|due| due <= now)
                && let Some(Reverse(frame)) = under_way.pop()
            {
                self.put(frame.to, &frame.bytes);
                continue;
            }
            let wait = next.map_or(LOOK_EVERY, |due| (due - now).min(LOOK_EVERY));
            self.earlier.wait_for(&mut under_way, wait);
        }
    }

    fn put(&self, to: u8, frame: &[u8]) {
        let tap = self.taps.lock().get(&to).cloned();
        if let Some(tap) = tap {
            // A full or absent interface loses frames, as any network does.
            let _lost = tap.as_ref().write(frame);
        }
    }
}
