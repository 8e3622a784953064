//! Whole nodes in this process, asked over real connections with the generated clients.

mod bad_input;
mod exactly_once;
mod forwarding;
mod lifecycle;
mod maintenance;
mod overload;
mod round_trips;
mod scan_stream;
mod site;
mod streams;
mod typed;
mod versions;
mod watching;
