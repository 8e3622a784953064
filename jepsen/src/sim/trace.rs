//! What happened, as one number: every byte that arrived, every fault, every answer.

use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::now;

/// The story of one world; clones write the same story.
#[derive(Clone)]
pub struct Trace {
    story: Arc<Mutex<Story>>,
}

struct Story {
    hash: Xxh3,
    events: u64,
    /// Each event as a line, for whoever looks for the first difference.
    lines: Option<BufWriter<File>>,
}

impl Trace {
    /// An empty story; with a path, each event is also a line of that file.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn new(lines: Option<&Path>) -> std::io::Result<Self> {
        let lines = lines.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Self {
            story: Arc::new(Mutex::new(Story {
                hash: Xxh3::new(),
                events: 0,
                lines,
            })),
        })
    }

    /// Something happened now.
    pub fn note(&self, kind: &str, who: &str, what: &[u8]) {
        let mut story = self.story.lock();
        let tick_ms = now::elapsed().as_millis();
        story.events += 1;
        story.hash.update(&tick_ms.to_le_bytes());
        for part in [kind.as_bytes(), who.as_bytes(), what] {
            story.hash.update(&(part.len() as u64).to_le_bytes());
            story.hash.update(part);
        }
        if let Some(lines) = &mut story.lines {
            let (len, hash) = (what.len(), xxh3_64(what));
            let text = match std::str::from_utf8(what) {
                Ok(text) if kind != "bytes" => text,
                _ => "",
            };
            // A story that cannot be written down is still hashed.
            writeln!(lines, "{tick_ms} {kind} {who} {len} {hash:016x} {text}").ok();
        }
    }

    /// The story until now, as a number.
    pub fn hash(&self) -> u64 {
        self.story.lock().hash.digest()
    }

    /// How many events it has.
    pub fn events(&self) -> u64 {
        self.story.lock().events
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").finish_non_exhaustive()
    }
}
