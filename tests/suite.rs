//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod hostile;
mod local;
mod reader;
mod query;
mod restore;
mod storage;
mod target;
mod tidy;
mod tree;
