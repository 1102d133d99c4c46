//! Repositories in S3: against a strict fake of our own that goes wrong when told to, and against servers not written here.
//!
//! The contract that every store keeps is run in `storage`, against this one too.

mod behaviour;
mod chance;
pub(crate) mod fault;
pub(crate) mod http;
mod matrix;
mod others;
mod policy;
mod program;
mod proxy;
mod roles;
mod trips;
mod upkeep;

pub(crate) mod fake;
