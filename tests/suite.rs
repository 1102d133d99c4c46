//! One test binary.

mod codec;
mod local;
mod storage;
mod tree;
mod target;
mod cli;
