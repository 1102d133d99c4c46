#![doc = include_str!("README.md")]

// Floors, lowest first; a module uses only lower floors (`tests/tidy.rs`).
pub mod entry;
pub mod id;
pub mod resource;

pub mod codec;
pub mod platform;
pub mod progress;

pub mod storage;

pub mod repository;
pub mod source;

pub mod tree;

pub mod operation;

pub mod cli;
