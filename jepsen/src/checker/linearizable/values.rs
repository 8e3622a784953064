//! Values by number, so that the search compares numbers.

use std::borrow::Cow;
use std::collections::HashMap;

use super::register::{ABSENT, Value};

/// Every value that stands in a history, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Values<'a> {
    numbers: HashMap<Cow<'a, str>, Value>,
    names: Vec<Cow<'a, str>>,
}

impl<'a> Values<'a> {
    pub(super) fn number(&mut self, value: impl Into<Cow<'a, str>>) -> Value {
        let names = &mut self.names;
        *self
            .numbers
            .entry(value.into())
            .or_insert_with_key(|value| {
                names.push(value.clone());
                Value::try_from(names.len()).expect("a history in memory has fewer values")
            })
    }

    pub(super) fn optional(&mut self, value: Option<&'a str>) -> Value {
        value.map_or(ABSENT, |value| self.number(value))
    }

    /// What a number stands for.
    pub(super) fn name(&self, value: Value) -> &str {
        let index = usize::try_from(value).ok().and_then(|n| n.checked_sub(1));
        index
            .and_then(|index| self.names.get(index))
            .map_or("absent", |name| name)
    }
}
