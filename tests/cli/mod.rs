//! Drives the built program as a user or a script would: streams, exit codes, help, configuration, secrets.
//!
//! Every run has a home of its own and no variable of the machine, so that nothing outside decides a test.

mod config;
mod contract;
pub(crate) mod harness;
mod reference;
mod secret;
