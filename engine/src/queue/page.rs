//! One fetch's answer while it grows.

use crate::ids::Revision;
use crate::query::Message;

/// Takes messages until one is not visible yet or a limit is reached.
#[derive(Debug)]
pub(super) struct Page {
    messages: Vec<Message>,
    bytes: usize,
    full: bool,
    visible: Revision,
    items_max: usize,
    bytes_max: usize,
}

impl Page {
    pub(super) fn new(visible: Revision, items_max: usize, bytes_max: usize) -> Self {
        Self {
            messages: Vec::new(),
            bytes: 0,
            full: items_max == 0,
            visible,
            items_max,
            bytes_max,
        }
    }

    /// Takes the next message, in a frame of so many bytes, or closes the page. The first visible
    /// message is taken whatever its size, or nobody could read past it.
    pub(super) fn offer(&mut self, message: Message, bytes: usize) {
        let fits = self.messages.is_empty() || self.bytes + bytes <= self.bytes_max;
        if self.full || !fits || message.revision > self.visible {
            self.full = true;
            return;
        }
        self.bytes += bytes;
        self.messages.push(message);
        self.full = self.messages.len() == self.items_max || self.bytes >= self.bytes_max;
    }

    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// How many more bytes it can take.
    pub(super) fn bytes_left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes)
    }

    pub(super) fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}
