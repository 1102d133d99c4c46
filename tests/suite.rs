//! One test binary.
mod tree;
