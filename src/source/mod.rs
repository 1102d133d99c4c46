//! The estate as it exists now: what can be photographed.
//!
//! A source lists one resource in path order and opens what it listed. It does no chunking, no comparing with
//! earlier snapshots, no retrying and no printing; `operation` does. What a source cannot read it reports as a
//! gap and goes on, so that one unreadable thing never hides the rest.

#[cfg(feature = "google")]
pub mod apps_script;
#[cfg(feature = "aws")]
pub mod aws;
pub mod canonical;
pub mod environment;
pub mod estate;
pub mod filter;
pub mod git;
pub mod launch_agents;
pub mod local;
