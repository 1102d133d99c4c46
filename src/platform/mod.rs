//! What only some systems can do, each call with a portable POSIX way beside it.
//!
//! Linux has `openat2`, `renameat2`, `O_TMPFILE`; macOS has `F_FULLFSYNC`. Callers ask for what they need and
//! need not know which way was taken; [`Ways::Portable`] forces the portable one, so that tests on Linux run both.

pub mod beneath;
pub mod durable;
pub mod process;

/// Which ways of the system may be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ways {
    /// The best this system has.
    #[default]
    Native,
    /// Only what POSIX promises.
    Portable,
}
