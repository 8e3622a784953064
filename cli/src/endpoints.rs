//! Where the cluster is: as told, or as `dev up` left it.
//!
//! ```text
//! --endpoints / ENGINE_ENDPOINTS  >  ./data/dev.json  >  the last `dev up` of this user
//! ```

use std::path::Path;

use crate::dev::folder::{DevFolder, pointer};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};

/// The folder of `dev up` if it is not told.
pub(crate) const DATA_DEFAULT: &str = "./data";

/// Client addresses of some nodes.
pub(crate) fn find(told: &[String]) -> Result<Vec<String>> {
    if !told.is_empty() {
        return Ok(told.to_vec());
    }
    let folder = DevFolder::new(Path::new(DATA_DEFAULT));
    if let Some(cluster) = folder.read()? {
        return Ok(cluster.endpoints());
    }
    if let Some(folder) = pointer()
        && let Some(cluster) = folder.read()?
    {
        return Ok(cluster.endpoints());
    }
    Err(Failure::new(
        ExitCode::Usage,
        "no cluster is known here: there is no ./data/dev.json and nobody ran 'dev up'",
    )
    .hint("start one with 'engine-cli dev up --nodes 3', or name its nodes with --endpoints HOST:PORT,…"))
}
