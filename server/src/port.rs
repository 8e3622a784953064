//! A bound port, and the connections that arrive there.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use engine_proto::Duplex;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tonic::transport::server::Connected;

/// Where connections come from.
pub(crate) enum Port {
    /// The operating system.
    Tcp(TcpListener),
    /// Whoever passes them: the simulator.
    Given(Incoming),
}

/// Connections that somebody else accepts.
pub type Incoming = BoxStream<'static, io::Result<Accepted>>;

/// A port that somebody else has bound.
pub struct GivenPort {
    /// Its address.
    pub address: SocketAddr,
    /// What arrives there.
    pub incoming: Incoming,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(listener) => listener.fmt(f),
            Self::Given(_) => f.write_str("Given"),
        }
    }
}

/// An accepted connection that is no TCP stream of the operating system.
#[derive(Debug)]
pub struct Accepted(pub Box<dyn Duplex>);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
