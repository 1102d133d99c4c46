//! One verb a file: what a command does, without a word about how it is asked for or shown.
//!
//! Operations take plain values and a [`crate::progress::Progress`], and give plain values back; they never print.

pub mod reference;
