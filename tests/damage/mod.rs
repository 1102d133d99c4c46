//! Damage to a repository: what is stored there is proven before it is believed.

pub(crate) mod campaign;
pub(crate) mod fixture;
mod sample;
