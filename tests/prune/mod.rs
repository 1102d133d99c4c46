//! Prunes: what comes back, what stays, and that nothing is lost whoever dies, sleeps or prunes at the same time.

mod base;
mod command;
mod death;
mod exact;
mod marking;
mod overtaken;
pub(crate) mod scene;
mod writers;
