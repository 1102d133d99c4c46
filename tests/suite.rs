//! One test binary, so that it is linked once.

mod badinput;
mod cli;
mod codec;
mod damage;
mod fuzz;
mod hostile;
mod kill;
mod local;
mod model;
mod query;
mod reader;
mod repository;
mod restore;
mod secrets;
mod state;
mod storage;
mod target;
mod tidy;
mod tree;
