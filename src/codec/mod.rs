//! Bytes to bytes: cutting, hashing, compressing, sealing, keys and the binary encoding; no I/O.
//!
//! Plaintext goes in, sealed bytes come out. Layouts of packs and objects are `repository`'s; this floor
//! only knows how to cut, name, shrink and seal a run of bytes.

pub mod chunk;
pub mod compress;
pub mod encode;
pub mod fields;
pub mod hash;
pub mod key;
pub mod seal;
