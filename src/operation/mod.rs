//! What a user asks for, one verb a file: reads and writes the floors below, prints nothing.

pub mod target;
