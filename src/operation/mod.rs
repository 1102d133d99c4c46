//! What users ask for, one verb a file, each as a function that takes plain values and reports through `Progress`.
//!
//! Nothing here prints, prompts or reads the environment; plans are values, so a dry run is not executing one.
//! One verb a file: what a command does, without a word about how it is asked for or shown.
//!
//! Operations take plain values and a [`crate::progress::Progress`], and give plain values back; they never print.

pub mod backup;
pub mod pages;
pub mod reference;
pub mod target;
