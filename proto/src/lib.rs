//! The gRPC contract: the code generated from `proto/engine/v1/*.proto`, and the one door through
//! which its channels reach the network, [`Dialer`].
//!
//! The comments in the `.proto` files are the API's documentation.

/// Package `engine.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("engine.v1");
}

/// The encoded descriptors of all services, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/engine.v1.bin"));

mod dial;

pub use dial::{Dial, Dialer, Dialing, Duplex};
