//! Ordered, multi-version rows.

mod row;

pub use row::{NewRow, Row, RowWrite};
