//! One test binary.

mod storage;
