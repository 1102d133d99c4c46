//! Snapshots as a file system: what it answers, without a kernel; and mounted by the program, looked at as anybody would.
//!
//! What needs FUSE skips with a word where it may not be used. Nothing stays mounted, however a test ends.

mod logic;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod mounted;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod real;
#[cfg(all(feature = "mount", target_os = "linux"))]
mod trouble;
