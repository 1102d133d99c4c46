//! One test binary.

mod target;
