//! Where records come from: a file or standard input, plain, gzip or zstd.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::failure::{Failure, Result};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const BUFFER_BYTES: usize = 128 * 1024;

/// The bytes of a file, unpacked.
pub(crate) struct Source {
    /// What the file is called in messages.
    pub(super) name: String,
    pub(super) bytes: Box<dyn BufRead + Send>,
    packed: Option<&'static str>,
}

impl Source {
    /// Opens a file, or standard input for `-`; `progress` counts the bytes read from it.
    pub(crate) fn open(path: &Path, progress: &ProgressBar) -> Result<Self> {
        if path == Path::new("-") {
            return Self::new("stdin", io::stdin(), progress);
        }
        let file = File::open(path).map_err(|error| {
            Failure::file("open", path, &error).hint("check the path, or use '-' for stdin")
        })?;
        let bytes = file
            .metadata()
            .map_err(|error| Failure::file("look at", path, &error))?
            .len();
        progress.set_length(bytes);
        let source = Self::new(path.display().to_string(), file, progress)?;
        let promised = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Some("gzip"),
            Some("zst" | "zstd") => Some("zstd"),
            _ => None,
        };
        match promised {
            Some(promised) if source.packed != Some(promised) => {
                let what = format!("{}: the file is no {promised} data", source.name);
                Err(Failure::usage(what)
                    .hint("is it whole? if it is packed otherwise or not at all, rename it"))
            }
            _ => Ok(source),
        }
    }

    pub(super) fn new(
        name: impl Into<String>,
        source: impl Read + Send + 'static,
        progress: &ProgressBar,
    ) -> Result<Self> {
        let name = name.into();
        let cannot = |error: io::Error| Failure::io(format!("read {name}"), &error);
        let mut source = BufReader::with_capacity(BUFFER_BYTES, progress.wrap_read(source));
        let start = source.fill_buf().map_err(cannot)?;
        // By content, not by name: stdin has none.
        let (packed, bytes): (_, Box<dyn BufRead + Send>) = if start.starts_with(GZIP_MAGIC) {
            let unpacked = MultiGzDecoder::new(source);
            let bytes = Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked));
            (Some("gzip"), bytes)
        } else if start.starts_with(ZSTD_MAGIC) {
            let unpacked = zstd::Decoder::with_buffer(source).map_err(cannot)?;
            let bytes = Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked));
            (Some("zstd"), bytes)
        } else {
            (None, Box::new(source))
        };
        Ok(Self {
            name,
            bytes,
            packed,
        })
    }

    /// What a failed read means.
    pub(super) fn broken(&self, error: &io::Error) -> String {
        broken(self.packed, error)
    }

    /// How the file is packed, if it is.
    pub(super) fn packed(&self) -> Option<&'static str> {
        self.packed
    }
}

/// What a failed read of a file that is packed so means.
pub(super) fn broken(packed: Option<&str>, error: &io::Error) -> String {
    match (packed, error.kind()) {
        (Some(packed), io::ErrorKind::UnexpectedEof) => {
            format!("cannot be read: the {packed} data ends here, the file is cut off")
        }
        (Some(packed), _) => format!("cannot be read: the {packed} data is damaged: {error}"),
        (None, _) => format!("cannot be read: {error}"),
    }
}
