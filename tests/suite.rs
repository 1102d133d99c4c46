//! One test binary, so that it is linked once.

mod badinput;
mod cli;
mod codec;
mod copy;
mod damage;
mod dice;
#[cfg(feature = "aws")]
mod estate;
mod forget;
mod fuzz;
mod git;
mod hostile;
mod kill;
mod local;
mod memory;
mod model;
mod mount;
mod power;
mod processes;
mod prune;
mod query;
mod reader;
mod repair;
mod repository;
mod restore;
#[cfg(feature = "s3")]
mod s3;
mod secrets;
#[cfg(feature = "s3")]
mod servers;
mod simulation;
mod state;
mod storage;
mod target;
mod tidy;
mod tree;
mod years;
