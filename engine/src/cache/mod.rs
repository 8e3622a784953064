//! The row cache.
