//! One test binary.

mod local;
