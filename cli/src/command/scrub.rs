//! `node scrub`: a node at work reads and checks everything on its disk.

use engine_client::{Client, ScrubFind, ScrubProgress};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::command::Context;
use crate::exit_code::ExitCode;
use crate::failure::{Failure, Result};
use crate::output::Report;
use crate::records::progress_bar;
use crate::text::thousands;

pub(crate) async fn run(node: u64, bytes_per_second: u64, context: &Context) -> Result<ExitCode> {
    let client = context.client().await?;
    let address = address(&client, node).await?;
    let maintenance = client.maintenance();
    let mut scrubbing = maintenance.scrub(&address, bytes_per_second).await?;
    let bar = progress_bar(context.output.is_json());
    let mut shown = ScrubShown {
        node,
        state: "lost".to_owned(),
        reason: "the connection broke before its end".to_owned(),
        read_bytes: 0,
        finds: Vec::new(),
    };
    let ended = loop {
        match scrubbing.next().await {
            Ok(Some(progress)) => shown.take(progress, &bar),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    bar.finish_and_clear();
    if let Err(error) = ended
        && shown.finds.is_empty()
    {
        return Err(error.into());
    }
    context.output.report(&shown)?;
    let is_whole = shown.finds.is_empty() && shown.state == "finished";
    Ok(if is_whole {
        ExitCode::Done
    } else {
        ExitCode::Failed
    })
}

/// Where a node's clients reach it.
async fn address(client: &Client, node: u64) -> Result<String> {
    let answers = client.cluster().statuses().await;
    let mut known = Vec::new();
    for answer in &answers {
        let Ok(status) = &answer.status else { continue };
        if status.node_id == node {
            return Ok(answer.address.clone());
        }
        known.push(status.node_id.to_string());
    }
    known.sort_unstable();
    known.dedup();
    let message = format!(
        "node {node} does not answer; those that do are {}",
        known.join(", ")
    );
    let hint = "see 'engine-cli cluster status'; the files of a stopped node are looked at with \
                'engine-cli inspect'";
    Err(Failure::new(ExitCode::NotThere, message).hint(hint))
}

/// How a scrub ended.
#[derive(Serialize)]
struct ScrubShown {
    node: u64,
    /// `finished`, `ended` by the node, or `lost`.
    state: String,
    /// Why it did not finish.
    reason: String,
    read_bytes: u64,
    finds: Vec<FindShown>,
}

#[derive(Serialize)]
struct FindShown {
    file: String,
    offset: u64,
    what: String,
}

impl ScrubShown {
    fn take(&mut self, progress: ScrubProgress, bar: &ProgressBar) {
        bar.set_length(progress.total_bytes.max(progress.read_bytes));
        bar.set_position(progress.read_bytes);
        bar.set_message(file_name(&progress.file));
        let finds = progress.finds.into_iter().map(FindShown::new);
        self.finds.extend(finds);
        self.read_bytes = progress.read_bytes;
        if progress.state != "running" {
            self.state = progress.state;
            self.reason = progress.reason;
        }
    }
}

impl FindShown {
    fn new(find: ScrubFind) -> Self {
        Self {
            file: find.file,
            offset: find.offset,
            what: find.what,
        }
    }
}

impl Report for ScrubShown {
    fn human(&self) -> String {
        let mut text = String::new();
        for FindShown { file, offset, what } in &self.finds {
            text = format!("{text}{file} is damaged at byte {offset}: {what}\n");
        }
        let read = thousands(self.read_bytes.div_ceil(1024 * 1024));
        let node = self.node;
        let how = match self.state.as_str() {
            "finished" => format!("everything on the disk of node {node} was read, {read} MiB"),
            _ => format!(
                "the scrub of node {node} did not finish, after {read} MiB: {}",
                self.reason
            ),
        };
        let found = match self.finds.len() {
            0 if self.state == "finished" => ": nothing is damaged".to_owned(),
            0 => String::new(),
            1 => ": one damaged place; see 'engine-cli cluster status' for its repair".to_owned(),
            count => format!(
                ": {count} damaged places; see 'engine-cli cluster status' for their repair"
            ),
        };
        format!("{text}{how}{found}")
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}
