//! Values from the command line, from a file, or from standard input.

use std::io::{self, Read as _};
use std::path::Path;

use bytes::Bytes;

use crate::failure::{Failure, Result};

/// A value as it was written; `-` stands for standard input.
pub(crate) fn value(written: String) -> Result<Bytes> {
    if written == "-" {
        return stdin();
    }
    Ok(written.into())
}

/// A file's content; `-` stands for standard input.
pub(crate) fn file(path: &Path) -> Result<Bytes> {
    if path == Path::new("-") {
        return stdin();
    }
    let content = std::fs::read(path).map_err(|error| {
        Failure::file("read", path, &error).hint("check the path, or use '-' for stdin")
    })?;
    Ok(content.into())
}

fn stdin() -> Result<Bytes> {
    let mut content = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut content)
        .map_err(|error| Failure::io("read stdin", &error))?;
    Ok(content.into())
}
