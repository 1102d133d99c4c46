//! One command a file: `Args`, whose doc comments are its help, and `run`, which calls one operation and prints.
//!
//! A command holds no logic of its own; what two commands need stands in `cli`, what is worth a test below it.

pub mod aws;
pub mod backup;
pub mod cat;
pub mod check;
pub mod completions;
pub mod config;
pub mod copy;
pub mod diff;
pub mod find;
pub mod forget;
pub mod init;
pub mod key;
pub mod log;
pub mod ls;
pub mod man;
#[cfg(all(feature = "mount", target_os = "linux"))]
pub mod mount;
pub mod prune;
pub mod repair;
pub mod repository;
pub mod restore;
pub mod snapshots;
pub mod stats;
pub mod tag;
pub mod undo;
