//! How a channel's bytes get across: TCP, or what a simulator passes instead.
//!
//! Nodes and clients open every channel through a [`Dialer`], so that a whole cluster can live
//! in one process without one line of it knowing.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Debug + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Debug + Unpin + Send> Duplex for T {}

/// A connection in the making.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Duplex>>> + Send>>;

/// Makes connections where TCP does not.
pub trait Dial: Debug + Send + Sync {
    /// Connects to `address`, written `host:port`.
    fn dial(&self, address: &str) -> Dialing;
}

/// Who makes connections; TCP by default. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    instead: Option<Arc<dyn Dial>>,
}

impl Dialer {
    /// Through `dial` and never over TCP.
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self {
            instead: Some(dial),
        }
    }

    /// A channel that connects when it is first used.
    pub fn channel(&self, endpoint: &Endpoint) -> Channel {
        let Some(dial) = self.instead.clone() else {
            return endpoint.connect_lazy();
        };
        let connect = move |uri: Uri| {
            let dialing = uri
                .authority()
                .map(|address| dial.dial(address.as_str()))
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"));
            async move { Ok::<_, io::Error>(TokioIo::new(dialing?.await?)) }
        };
        endpoint.connect_with_connector_lazy(tower::service_fn(connect))
    }
}
