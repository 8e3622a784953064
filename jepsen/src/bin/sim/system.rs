//! What the C library would tell of time and chance, told by the world instead.
//!
//! The standard library and most others ask these two functions, and the linker takes ours before
//! those of the C library: hash maps, random numbers and clocks of the whole process become part
//! of the simulation. They are linked into this binary alone. Outside a world the kernel tells the
//! time.

#![expect(
    unsafe_code,
    reason = "functions of the C library can be replaced in no other way"
)]

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::sync::{LazyLock, OnceLock};

use engine::env::rng::{Rng as _, SeededRng};
use engine_jepsen::sim::now;
use rustix::time::{ClockId, clock_gettime as kernel_time};

/// The process's chance: a fixed sequence from its very first number, which may be drawn before
/// `main`.
static EARLY: LazyLock<SeededRng> = LazyLock::new(|| SeededRng::new(EARLY_SEED));
/// What it becomes once the seed is known.
static CHANCE: OnceLock<SeededRng> = OnceLock::new();

/// Any number.
const EARLY_SEED: u64 = 0x5349_4D00;

const CLOCK_REALTIME: c_int = 0;
const CLOCK_REALTIME_COARSE: c_int = 5;
const NANOS_PER_MICRO: u32 = 1_000;

/// From now on the process's chance is that of `seed`.
pub(crate) fn seed(seed: u64) {
    CHANCE.get_or_init(|| SeededRng::new(seed ^ EARLY_SEED));
}

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
pub(crate) struct Timespec {
    seconds: i64,
    nanoseconds: c_long,
}

/// Time, for the whole process.
///
/// # Safety
/// As the C library's: `time` is null or points to a `timespec`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int {
    let wall = matches!(clock, CLOCK_REALTIME | CLOCK_REALTIME_COARSE);
    let shown = match now::look() {
        Some(look) if wall => Timespec::of(now::EPOCH + look),
        Some(look) => Timespec::of(look),
        None => {
            let id = if wall {
                ClockId::Realtime
            } else {
                ClockId::Monotonic
            };
            let time = kernel_time(id);
            Timespec {
                seconds: time.tv_sec,
                nanoseconds: time.tv_nsec,
            }
        }
    };
    if !time.is_null() {
        // SAFETY: the caller promises that it points to a `timespec`, which `Timespec` mirrors.
        unsafe { time.write(shown) };
    }
    0
}

impl Timespec {
    fn of(time: std::time::Duration) -> Self {
        Self {
            seconds: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: c_long::from(time.subsec_micros() * NANOS_PER_MICRO),
        }
    }
}

/// Random bytes, for the whole process.
///
/// # Safety
/// As the C library's: `buffer` points to `len` bytes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(
    buffer: *mut c_void,
    len: usize,
    _flags: c_uint,
) -> isize {
    // SAFETY: the caller promises that `buffer` points to `len` bytes.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), len) };
    let chance = CHANCE.get().unwrap_or(&EARLY);
    for piece in bytes.chunks_mut(8) {
        let random = chance.next_u64().to_le_bytes();
        for (byte, random) in piece.iter_mut().zip(random) {
            *byte = random;
        }
    }
    len.cast_signed()
}
