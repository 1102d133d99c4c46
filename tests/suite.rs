//! One test binary, so that it is linked once.

mod cli;
mod codec;
mod fuzz;
mod hostile;
mod local;
mod reader;
mod state;
mod storage;
mod target;
mod tidy;
mod tree;
