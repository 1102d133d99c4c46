//! One test binary.

mod cli;
