//! One verb a file: what a command does, without a word about how it is asked for or shown.
//!
//! Operations take plain values and a [`crate::progress::Progress`], and give plain values back; they never print,
//! prompt or read the environment. Plans are values too, so a dry run is not executing one.

pub mod access;
pub mod amend;
pub mod backup;
pub mod cat;
pub mod check;
pub mod copy;
mod cutting;
pub mod diff;
pub mod find;
pub mod forget;
pub mod list;
pub mod log;
pub mod mark;
pub mod mount;
pub mod pages;
pub mod part;
pub mod prune;
pub mod reach;
pub mod read_ahead;
pub mod reference;
pub mod repair;
pub mod restore;
pub mod selection;
pub mod stats;
pub mod survey;
pub mod tag;
pub mod target;
pub mod undo;
pub mod view;
