//! The network: turmoil's connections, with every byte that arrives in the story.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use engine_proto::{Dial, Dialer, Dialing, Duplex};
use engine_server::{Accepted, GivenPort};
use futures::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::trace::Trace;

/// Where every node serves clients.
pub(super) const CLIENT_PORT: u16 = 7101;
/// Where every node serves the others.
pub(super) const PEER_PORT: u16 = 7201;

/// Makes the connections of one host.
#[derive(Debug)]
struct SimDial {
    host: String,
    trace: Trace,
}

/// A dialer for `host`.
pub(super) fn dialer(host: &str, trace: &Trace) -> Dialer {
    Dialer::new(Arc::new(SimDial {
        host: host.to_owned(),
        trace: trace.clone(),
    }))
}

impl Dial for SimDial {
    fn dial(&self, address: &str) -> Dialing {
        let (address, trace) = (address.to_owned(), self.trace.clone());
        let who = format!("{}<{address}", self.host);
        Box::pin(async move {
            let target = address
                .rsplit_once(':')
                .and_then(|(host, port)| Some((host.to_owned(), port.parse::<u16>().ok()?)))
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, address.clone()))?;
            let stream = TcpStream::connect(target).await?;
            let told: Box<dyn Duplex> = Box::new(Told { stream, who, trace });
            Ok(told)
        })
    }
}

/// Binds a port of the present host.
pub(super) async fn bind(host: &str, port: u16, trace: &Trace) -> io::Result<GivenPort> {
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let listener = TcpListener::bind(address).await?;
    let (host, trace) = (host.to_owned(), trace.clone());
    let incoming = futures::stream::unfold(listener, move |listener| {
        let (host, trace) = (host.clone(), trace.clone());
        async move {
            let accepted = listener.accept().await.map(|(stream, from)| {
                let who = format!("{host}:{port}<{from}");
                Accepted(Box::new(Told { stream, who, trace }))
            });
            Some((accepted, listener))
        }
    });
    Ok(GivenPort {
        address,
        incoming: incoming.boxed(),
    })
}

/// A connection that tells what it reads.
#[derive(Debug)]
struct Told {
    stream: TcpStream,
    who: String,
    trace: Trace,
}

impl AsyncRead for Told {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) => {
                let bytes = buf.filled().get(before..).unwrap_or_default();
                self.trace.note("bytes", &self.who, bytes);
            }
            Poll::Ready(Err(error)) => {
                self.trace
                    .note("broken", &self.who, error.kind().to_string().as_bytes());
            }
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Told {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
