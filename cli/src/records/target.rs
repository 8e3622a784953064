//! Where an export goes: standard output, or a file that appears when it is whole.
//!
//! A file is written under another name beside its own, synced, and renamed at the end: what
//! stands under its own name is complete, or is what stood there before.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;

use crate::failure::{Failure, Result};
use crate::output;

const BUFFER_BYTES: usize = 128 * 1024;
/// A quarter of the time of the default level, for a tenth more bytes.
const GZIP_LEVEL: u32 = 3;
/// zstd's own default.
const ZSTD_LEVEL: i32 = 3;

/// How bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Packing {
    /// As they are
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// A file in the making, or standard output.
pub(crate) struct Target {
    packer: Packer,
    file: Option<Unfinished>,
    bytes: u64,
}

struct Unfinished {
    /// Where it shall stand.
    path: PathBuf,
    /// Where it stands until it is whole.
    partial: PathBuf,
    /// Synced before it is renamed.
    file: File,
}

type Sink = BufWriter<Box<dyn Write + Send>>;

enum Packer {
    None(Sink),
    Gzip(GzEncoder<Sink>),
    Zstd(zstd::Encoder<'static, Sink>),
}

impl Target {
    /// Begins a file, or standard output for none.
    pub(crate) fn open(path: Option<&Path>, packing: Packing) -> Result<Self> {
        let (sink, file): (Box<dyn Write + Send>, _) = match path {
            None => (Box::new(io::stdout()), None),
            Some(path) => {
                let unfinished = Unfinished::create(path)?;
                let cannot = |error| Failure::file("write", &unfinished.partial, &error);
                (
                    Box::new(unfinished.file.try_clone().map_err(cannot)?),
                    Some(unfinished),
                )
            }
        };
        let sink = BufWriter::with_capacity(BUFFER_BYTES, sink);
        let packer = match packing {
            Packing::None => Packer::None(sink),
            Packing::Gzip => Packer::Gzip(GzEncoder::new(sink, GzipLevel::new(GZIP_LEVEL))),
            Packing::Zstd => Packer::Zstd(
                zstd::Encoder::new(sink, ZSTD_LEVEL)
                    .and_then(|mut zstd| zstd.include_checksum(true).map(|()| zstd))
                    .map_err(|error| Failure::io("begin to pack with zstd", &error))?,
            ),
        };
        Ok(Self {
            packer,
            file,
            bytes: 0,
        })
    }

    /// Adds bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let written = match &mut self.packer {
            Packer::None(sink) => sink.write_all(bytes),
            Packer::Gzip(gzip) => gzip.write_all(bytes),
            Packer::Zstd(zstd) => zstd.write_all(bytes),
        };
        written.or_else(|error| cannot(self.file.as_ref(), error))
    }

    /// Ends it and gives the file its name; answers how many bytes were added.
    ///
    /// # Durability
    /// Once this returns, the file and its name survive a crash.
    pub(crate) fn finish(mut self) -> Result<u64> {
        let file = self.file.take();
        let ended = match self.packer {
            Packer::None(mut sink) => sink.flush(),
            Packer::Gzip(gzip) => gzip.finish().and_then(|mut sink| sink.flush()),
            Packer::Zstd(zstd) => zstd.finish().and_then(|mut sink| sink.flush()),
        };
        ended.or_else(|error| cannot(file.as_ref(), error))?;
        if let Some(file) = file {
            file.publish()?;
        }
        Ok(self.bytes)
    }

    /// Gives it up: no file stays, and what was packed does not look whole.
    pub(crate) fn abandon(self) {
        if let Packer::Gzip(gzip) = self.packer {
            // Dropped, it would write a right end.
            std::mem::forget(gzip);
        }
    }
}

impl Unfinished {
    fn create(path: &Path) -> Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{} is no file", path.display())));
        };
        let mut partial = name.to_owned();
        // Two exports into one file do not write into each other.
        partial.push(format!(".{}.partial", std::process::id()));
        let partial = path.with_file_name(partial);
        let file = File::create(&partial).map_err(|error| {
            Failure::file("create", &partial, &error).hint("check the path, or leave --file out")
        })?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file,
        })
    }

    fn publish(self) -> Result<()> {
        let cannot = |error| Failure::file("finish", &self.path, &error);
        self.file.sync_all().map_err(cannot)?;
        fs::rename(&self.partial, &self.path).map_err(cannot)?;
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(cannot)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It has its own name by now, or nobody shall take it for whole.
        let _ = fs::remove_file(&self.partial);
    }
}

fn cannot(file: Option<&Unfinished>, error: io::Error) -> Result<()> {
    match file {
        Some(file) => Err(Failure::file("write", &file.partial, &error)),
        None => output::ended(error),
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::super::source::Source;
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| {
            let name = entry.expect("an entry").file_name();
            name.into_string().expect("text")
        };
        entries.map(name).collect()
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        for (name, packing) in [
            ("a.jsonl", Packing::None),
            ("a.jsonl.gz", Packing::Gzip),
            ("a.jsonl.zst", Packing::Zstd),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            let mut target = Target::open(Some(&path), packing).expect("a file");
            target.write(b"one\n").expect("written");
            let partial = names(folder.path());
            assert_eq!(partial.len(), 1);
            assert!(partial[0].ends_with(".partial"), "{partial:?}");
            target.write(b"two\n").expect("written");
            assert_eq!(target.finish().expect("finished"), 8);
            assert_eq!(names(folder.path()), [name]);

            let mut source = Source::open(&path, &ProgressBar::hidden()).expect("it is whole");
            let mut content = String::new();
            io::Read::read_to_string(&mut source.bytes, &mut content).expect("it is whole");
            assert_eq!(content, "one\ntwo\n");

            let mut other = Target::open(Some(&path), packing).expect("a file");
            other.write(b"three\n").expect("written");
            other.abandon();
            assert_eq!(names(folder.path()), [name], "the old one stays, alone");
        }
    }
}
