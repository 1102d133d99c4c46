//! Trees as a caller sees them: maps in, pages out, and the same map back.

mod cursor;
mod generate;
mod root;
