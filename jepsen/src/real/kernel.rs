//! Calls to the kernel that no safe library has: a thread's own network, network taps, and the
//! end of a file system.

#![expect(
    unsafe_code,
    reason = "ioctl and unshare change what the kernel does in ways that types cannot tell"
)]

use std::fs::File;
use std::io;

use rustix::ioctl::{Opcode, Setter, ioctl};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `TUNSETIFF`: gives an open `/dev/net/tun` a name and a kind.
const NAME_TAP: Opcode = 0x4004_54CA;
/// Whole Ethernet frames.
const TAP: u16 = 0x0002;
/// No header of the driver's before each frame.
const NO_HEADER: u16 = 0x1000;

/// `EXT4_IOC_SHUTDOWN`.
const SHUT_DOWN: Opcode = 0x8004_587D;

/// What becomes of that which the file system has in memory when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// The file system is written out first, as if the power had gone a moment later.
    Flushed,
    /// Its journal is written out, data is not.
    JournalFlushed,
    /// Nothing is written out.
    Sudden,
}

impl PowerCut {
    fn flag(self) -> u32 {
        match self {
            Self::Flushed => 0,
            Self::JournalFlushed => 1,
            Self::Sudden => 2,
        }
    }
}

/// `struct ifreq`, as far as `TUNSETIFF` reads it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    unused: [u8; 22],
}

/// Makes an open `/dev/net/tun` the other end of an interface of this thread's network, which
/// exists as long as the file is open.
pub(super) fn name_tap(file: &File, name: &str) -> io::Result<()> {
    let mut request = Request {
        name: [0; 16],
        flags: TAP | NO_HEADER,
        unused: [0; 22],
    };
    // The last byte stays zero.
    for (to, from) in request.name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: the kernel reads and writes a `struct ifreq` of 40 bytes, which `request` mirrors.
    unsafe { Ok(ioctl(file, Setter::<NAME_TAP, Request>::new(request))?) }
}

/// Cuts the power of the ext4 file system that `file` lies on: nothing can be read or written
/// any more until it is mounted again.
pub(super) fn shut_down(file: &File, how: PowerCut) -> io::Result<()> {
    // SAFETY: the kernel reads one `u32`.
    unsafe { Ok(ioctl(file, Setter::<SHUT_DOWN, u32>::new(how.flag()))?) }
}

/// Gives this thread a network of its own, empty, which processes that it starts share.
pub(super) fn leave_network() -> io::Result<()> {
    // SAFETY: only the table of open files must not be unshared while others use it.
    unsafe { Ok(unshare_unsafe(UnshareFlags::NEWNET)?) }
}
