//! What users ask for, one verb a file, each as a function that takes plain values and reports through `Progress`.
//!
//! Nothing here prints, prompts or reads the environment; plans are values, so a dry run is not executing one.

pub mod backup;
pub mod pages;
pub mod reference;
pub mod target;
