//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod damage;
mod local;
mod repository;
mod hostile;
mod local;
mod query;
mod reader;
mod restore;
mod storage;
mod target;
mod tidy;
mod tree;
