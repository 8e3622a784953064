//! Topics as partition files.
