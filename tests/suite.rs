//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod hostile;
mod local;
mod query;
mod reader;
mod restore;
mod storage;
mod target;
mod tidy;
mod tree;
