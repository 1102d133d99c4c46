//! One test binary.

mod local;
mod tree;
mod codec;
mod storage;
