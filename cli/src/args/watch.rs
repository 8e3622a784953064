//! Arguments about changes.

use clap::Args;

use super::InKeyspace;

/// What to watch
#[derive(Args, Clone, Debug)]
pub(crate) struct WatchArgs {
    /// The row's key; without it, and without --prefix and --start, the whole keyspace
    #[arg(conflicts_with_all = ["prefix", "start", "end"])]
    pub(crate) key: Option<String>,
    /// Every row whose key begins with this
    #[arg(long, conflicts_with_all = ["start", "end"])]
    pub(crate) prefix: Option<String>,
    /// Every row from this key on
    #[arg(long, value_name = "KEY")]
    pub(crate) start: Option<String>,
    /// Only rows before this key
    #[arg(long, value_name = "KEY")]
    pub(crate) end: Option<String>,
    #[command(flatten)]
    pub(crate) at: InKeyspace,
    /// Begin with the changes of this revision; without it, with those from now on
    #[arg(long, value_name = "REVISION")]
    pub(crate) from: Option<u64>,
    /// Show what stood there before
    #[arg(long)]
    pub(crate) previous: bool,
    /// Leave values out
    #[arg(long)]
    pub(crate) keys_only: bool,
    /// Leave out rows that were written
    #[arg(long, conflicts_with = "no_deletes")]
    pub(crate) no_puts: bool,
    /// Leave out rows that were deleted or have ended
    #[arg(long)]
    pub(crate) no_deletes: bool,
    /// End after so many changes
    #[arg(long)]
    pub(crate) limit: Option<u64>,
    /// End where history ended when the watch began, instead of waiting for more
    #[arg(long, requires = "from")]
    pub(crate) no_follow: bool,
    /// Begin with whatever the asked node has; works without a majority
    #[arg(long)]
    pub(crate) local: bool,
}

/// Which revisions
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ChangesArgs {
    /// The first revision; history is kept for about a million revisions
    #[arg(long, value_name = "REVISION")]
    pub(crate) from: u64,
    /// End after so many commits; 0 for all there are
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u64,
}

/// Which revision
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ExplainArgs {
    /// The revision
    #[arg(long)]
    pub(crate) revision: u64,
}
