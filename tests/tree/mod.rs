//! Trees as a caller sees them: maps in, pages out, and the same map back.

mod cursor;
mod diff;
mod generate;
mod golden;
mod hostile;
mod item;
mod list;
mod part;
mod root;
