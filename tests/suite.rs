//! One test binary.

mod codec;
