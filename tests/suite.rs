//! One test binary, so that it is linked once.

mod badinput;
mod cli;
mod codec;
mod kill;
mod local;
mod reader;
mod secrets;
mod storage;
mod target;
mod tidy;
mod tree;
