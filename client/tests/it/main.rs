//! The client against nodes that answer as a script tells them.

mod fake;
mod pipeline;
mod resend;
mod scan_stream;
