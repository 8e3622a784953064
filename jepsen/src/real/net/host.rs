//! A network namespace with one tap in it: a thread that lives there, and starts what shall.

use std::fs::{File, OpenOptions};
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use super::address;
use crate::cluster::machine::Launch;
use crate::real::kernel;

/// The interface's name; each namespace has its own.
const TAP: &str = "tap0";

/// A namespace, as long as this lives.
#[derive(Debug)]
pub struct Host {
    orders: Sender<Order>,
}

#[derive(Debug)]
struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

impl Host {
    /// Makes a namespace with the address of `port`; answers it and the other end of its tap.
    pub fn new(port: u8) -> Result<(Self, File)> {
        let (orders, received) = mpsc::channel();
        let (made, tap) = mpsc::channel();
        thread::Builder::new()
            .name(format!("host-{port}"))
            .spawn(move || live(port, &made, &received))
            .context("start the thread of a host")?;
        let tap = tap.recv().context("a host's thread is gone")??;
        Ok((Self { orders }, tap))
    }
}

impl Launch for Host {
    fn launch(&self, command: Command) -> io::Result<Child> {
        let (reply, child) = mpsc::channel();
        let gone = |_| io::Error::other("a host's thread is gone");
        let order = Order { command, reply };
        self.orders
            .send(order)
            .map_err(|_| io::Error::other("a host's thread is gone"))?;
        child.recv().map_err(gone)?
    }
}

fn live(port: u8, made: &Sender<Result<File>>, orders: &Receiver<Order>) {
    let tap = kernel::leave_network()
        .context("make a network namespace")
        .and_then(|()| plug(port));
    if made.send(tap).is_err() {
        return;
    }
    for Order { mut command, reply } in orders {
        // Whoever asked may have given up.
        let _asked = reply.send(command.spawn());
    }
}

/// Puts a tap into the network of this thread.
pub(super) fn plug(port: u8) -> Result<File> {
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .context("open /dev/net/tun")?;
    kernel::name_tap(&tap, TAP).context("make a tap")?;
    let (hardware, own) = (format!("02:00:00:00:00:{port:02x}"), address(port));
    ip(&["link", "set", "lo", "up"])?;
    ip(&["link", "set", TAP, "address", &hardware])?;
    ip(&["address", "add", &format!("{own}/24"), "dev", TAP])?;
    ip(&["link", "set", TAP, "up"])?;
    Ok(tap)
}

fn ip(words: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(words).output().context("run ip")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
