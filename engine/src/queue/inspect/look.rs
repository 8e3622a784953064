//! One look at partition files, folder by folder.

use std::path::Path;
use std::sync::Arc;

use super::window::Window;
use super::{Folder, MessageView, PartitionFileView, PartitionItem, PartitionView};
use crate::env::Vfs;
use crate::env::vfs::OpenMode;
use crate::error::{Damage, Error, Result};
use crate::ids::{Offset, Revision};
use crate::inspect::{Problem, Seen, Severity};
use crate::queue::file::{HEADER_BYTES, Header, file_name};
use crate::queue::lengths::{PartitionLength, PartitionLengths};
use crate::queue::record::{Damage as FrameDamage, Frame};

/// What is known so far.
pub(super) struct Look<'a> {
    vfs: &'a Arc<dyn Vfs>,
    lengths: Option<&'a PartitionLengths>,
    seen: &'a mut dyn FnMut(Seen<PartitionItem>),
    view: PartitionView,
    /// The next message of the partition; unknown behind damage.
    next: Option<Offset>,
    revision: Revision,
}

impl<'a> Look<'a> {
    pub(super) fn new(
        vfs: &'a Arc<dyn Vfs>,
        lengths: Option<&'a PartitionLengths>,
        seen: &'a mut dyn FnMut(Seen<PartitionItem>),
    ) -> Self {
        let view = PartitionView {
            recorded: lengths.is_some(),
            ..PartitionView::default()
        };
        Self {
            vfs,
            lengths,
            seen,
            view,
            next: None,
            revision: Revision(0),
        }
    }

    pub(super) fn view(&self) -> PartitionView {
        self.view
    }

    /// Looks at the files of one partition.
    pub(super) fn folder(&mut self, folder: &Folder) -> Result<()> {
        self.next = None;
        self.revision = Revision(0);
        let recorded = match (self.lengths, folder.at()) {
            (Some(lengths), Some(at)) => lengths.partitions.get(&at),
            _ => None,
        };
        for name in &folder.files {
            self.file(folder, name, recorded)?;
        }
        let Some(recorded) = recorded.filter(|_| folder.all) else {
            return Ok(());
        };
        for file in &recorded.files {
            let name = file_name(file.base);
            if !folder.files.contains(&name) {
                let path = folder.path.join(name);
                self.problem(Severity::Damage, &path, 0, "the recorded file is missing");
            }
        }
        if self.next.is_some_and(|next| next < recorded.end) {
            let what = format!("messages up to {} were recorded", recorded.end);
            self.problem(Severity::Damage, &folder.path, 0, what);
        }
        Ok(())
    }

    fn file(
        &mut self,
        folder: &Folder,
        name: &str,
        recorded: Option<&PartitionLength>,
    ) -> Result<()> {
        let path = folder.path.join(name);
        let failed = |e| Error::io(format!("open {}", path.display()), e);
        let file = self.vfs.open(&path, OpenMode::Read).map_err(failed)?;
        let len = file.len().map_err(failed)?;
        self.view.files += 1;
        self.view.bytes += len;
        let header = match Header::read(&path, file.as_ref()) {
            Ok(header) => header,
            Err(error) => {
                (self.seen)(Seen::Problem(Problem::of(error)?));
                self.next = None;
                return Ok(());
            }
        };
        let files = recorded.map(|recorded| recorded.files.as_slice());
        let bytes = files.map(|files| {
            let mut files = files.iter();
            files
                .find(|file| file_name(file.base) == name)
                .map(|file| file.bytes)
        });
        (self.seen)(Seen::Item(PartitionItem::File(PartitionFileView {
            path: path.clone(),
            group: header.group,
            topic: header.at.topic,
            partition: header.at.partition,
            base: header.base,
            bytes: len,
            recorded_bytes: bytes.flatten(),
        })));
        let named = folder.at().is_none_or(|at| at == header.at);
        if !named || file_name(header.base) != name {
            let what = format!("the header is that of another file: {header:?}");
            self.problem(Severity::Damage, &path, 0, what);
        }
        if self.next.is_some_and(|next| next != header.base) {
            let what = "the messages before this file are not those before its first";
            self.problem(Severity::Damage, &path, 0, what);
        }
        let until = match bytes {
            None => len,
            Some(None) => {
                let what = "the checkpoint does not record this file: a node removes it";
                self.problem(Severity::Harmless, &path, 0, what);
                len
            }
            Some(Some(recorded)) => {
                if len < recorded {
                    let what = format!("{recorded} bytes were recorded");
                    self.problem(Severity::Damage, &path, len, what);
                } else if len > recorded {
                    let what = "the checkpoint does not record what follows: a node cuts it off";
                    self.problem(Severity::Harmless, &path, recorded, what);
                }
                recorded.min(len)
            }
        };
        let torn = match bytes {
            Some(Some(_)) => Severity::Damage,
            _ => Severity::TornTail,
        };
        let mut window = Window::new(&path, file.as_ref(), header.salt, until);
        self.messages(&path, &mut window, header.base, torn)
    }

    /// Looks at the messages of a file. A last frame that is not whole is `torn`.
    fn messages(
        &mut self,
        path: &Path,
        window: &mut Window<'_>,
        base: Offset,
        torn: Severity,
    ) -> Result<()> {
        let mut position = HEADER_BYTES;
        let mut expected = base;
        loop {
            match window.frame(position, expected)? {
                Ok(None) => {
                    self.next = Some(expected);
                    return Ok(());
                }
                Ok(Some(Frame::Whole { message, bytes })) => {
                    if message.revision < self.revision {
                        let what = "the message's revision is below that of the one before";
                        self.problem(Severity::Damage, path, position, what);
                    }
                    self.revision = message.revision;
                    self.view.messages += 1;
                    (self.seen)(Seen::Item(PartitionItem::Message(MessageView {
                        position,
                        bytes,
                        message,
                    })));
                    position += bytes as u64;
                    expected = Offset(expected.0.saturating_add(1));
                }
                Ok(Some(Frame::Short { .. })) => return Ok(()),
                // A whole frame for another message: it is told, and read as what it is.
                Err(damage @ FrameDamage::Offset { found, .. }) => {
                    self.problem(Severity::Damage, path, position, damage);
                    expected = found;
                }
                Err(damage) => {
                    let next = window.next_frame(position, expected)?;
                    let severity = match next {
                        None => torn,
                        Some(_) => Severity::Damage,
                    };
                    self.problem(severity, path, position, damage);
                    let Some((at, offset)) = next else {
                        self.next = None;
                        return Ok(());
                    };
                    (position, expected) = (at, offset);
                }
            }
        }
    }

    fn problem(&mut self, severity: Severity, path: &Path, offset: u64, what: impl ToString) {
        let damage = Damage {
            path: path.to_owned(),
            offset,
            what: what.to_string(),
        };
        (self.seen)(Seen::Problem(Problem::new(severity, damage)));
    }
}
