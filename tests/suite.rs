//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod local;
mod query;
mod restore;
mod storage;
mod target;
mod tree;
