//! Bugs of the client on purpose, which the simulator must find; see `engine::planted`.

/// A bug on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A write is sent again under another number.
    OtherNumber,
    /// A write without a number is sent again, although the first may have acted.
    HarmfulResend,
    /// A consumer commits what it has handed out, processed or not.
    EarlyOffset,
}

impl Planted {
    /// All of them.
    pub const ALL: &[Self] = &[Self::OtherNumber, Self::HarmfulResend, Self::EarlyOffset];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherNumber => "other-number",
            Self::HarmfulResend => "harmful-resend",
            Self::EarlyOffset => "early-offset",
        }
    }

    /// What is wrong with it.
    pub const fn what(self) -> &'static str {
        match self {
            Self::OtherNumber => "A client sends a write again under another number",
            Self::HarmfulResend => "A client sends a write again that has no number",
            Self::EarlyOffset => "A consumer commits offsets before it has processed them",
        }
    }
}

/// Whether a bug is switched on.
#[cfg(not(feature = "planted"))]
#[inline]
pub(crate) const fn on(_: Planted) -> bool {
    false
}

#[cfg(feature = "planted")]
pub(crate) use switch::on;
#[cfg(feature = "planted")]
pub use switch::plant;

#[cfg(feature = "planted")]
mod switch {
    use std::sync::OnceLock;

    use super::Planted;

    static ON: OnceLock<Planted> = OnceLock::new();

    /// Switches a bug on, for the life of this process; the first one stays.
    pub fn plant(bug: Planted) {
        ON.get_or_init(|| bug);
    }

    /// Whether a bug is switched on.
    pub(crate) fn on(bug: Planted) -> bool {
        ON.get() == Some(&bug)
    }
}
