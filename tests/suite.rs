//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod damage;
mod fuzz;
mod hostile;
mod local;
mod query;
mod reader;
mod repository;
mod restore;
mod state;
mod storage;
mod target;
mod tidy;
mod tree;
