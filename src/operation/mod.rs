//! Under construction.

pub mod reference;
