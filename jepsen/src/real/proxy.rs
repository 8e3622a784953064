//! Where nodes share the loopback interface: a relay before each node's peer port, which may hold
//! everything back, or be late.
//!
//! ```text
//! peers ──► relay of node 2 ──► node 2        a node that is cut hears nobody, and all hear it
//! ```
//!
//! # Not here
//! Who speaks: a relay cannot tell, so links are not cut one by one, and nothing is lost or
//! doubled. A [`Switch`](super::net::Switch) can do all that.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Bytes that are passed on at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// What a relay does with everything that passes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Manner {
    /// It holds everything back.
    pub(super) cut: bool,
    /// It is late by this.
    pub(super) delay: Duration,
}

/// A relay, as long as this lives.
#[derive(Debug)]
pub(super) struct Relay {
    manner: watch::Sender<Manner>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Listens on `address` and passes on to `node`.
    pub(super) fn new(address: &str, node: String) -> Result<Self> {
        let listener = std::net::TcpListener::bind(address).context("listen for peers")?;
        listener
            .set_nonblocking(true)
            .context("listen without blocking")?;
        let listener = TcpListener::from_std(listener).context("listen for peers")?;
        let manner = watch::Sender::new(Manner::default());
        let seen = manner.subscribe();
        let task = tokio::spawn(async move {
            while let Ok((peer, _)) = listener.accept().await {
                // It ends with either side, or with the runtime.
                tokio::spawn(connect(peer, node.clone(), seen.clone()));
            }
        });
        Ok(Self { manner, task })
    }

    /// From now on it does this.
    pub(super) fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn connect(peer: TcpStream, node: String, mut manner: watch::Receiver<Manner>) {
    // Who is cut off does not even refuse.
    if manner.wait_for(|now| !now.cut).await.is_err() {
        return;
    }
    let Ok(node) = TcpStream::connect(node).await else {
        return;
    };
    let (from_peer, to_peer) = peer.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::select! {
        () = pass(from_peer, to_node, manner.clone()) => {}
        () = pass(from_node, to_peer, manner) => {}
    }
}

/// Until one side ends.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut manner: watch::Receiver<Manner>,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(len @ 1..) = from.read(&mut piece).await {
        let delay = match manner.wait_for(|now| !now.cut).await {
            Ok(now) => now.delay,
            Err(_) => return,
        };
        sleep(delay).await;
        if to
            .write_all(piece.get(..len).unwrap_or_default())
            .await
            .is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_cut_arrives_after_the_heal() {
        let node = TcpListener::bind("127.0.0.1:0").await.expect("any port");
        let address = node.local_addr().expect("it is bound").to_string();
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("any port");
        let front = free.local_addr().expect("it is bound").to_string();
        drop(free);
        let relay = Relay::new(&front, address).expect("the port is free");
        let mut peer = TcpStream::connect(&front).await.expect("it listens");
        let (mut met, _) = node.accept().await.expect("it connects");
        relay.behave(Manner {
            cut: true,
            delay: Duration::ZERO,
        });
        peer.write_all(b"word").await.expect("there is room");
        let mut heard = [0; 4];
        let waited = tokio::time::timeout(Duration::from_millis(50), met.read(&mut heard)).await;
        assert!(waited.is_err(), "nothing gets through");
        relay.behave(Manner::default());
        met.read_exact(&mut heard).await.expect("it gets through");
        assert_eq!(&heard, b"word");
    }
}
