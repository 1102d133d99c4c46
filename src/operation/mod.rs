//! One verb a file: what a command does, without a word about how it is asked for or shown.
//!
//! Operations take plain values and a [`crate::progress::Progress`], and give plain values back; they never print,
//! prompt or read the environment. Plans are values too, so a dry run is not executing one.

pub mod backup;
pub mod pages;
pub mod reference;
pub mod restore;
pub mod target;
