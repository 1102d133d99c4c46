//! What a local root may hold, and that all of it is captured: the file-system zoo.
//!
//! Cases that need a privilege or a file system that is missing say so and pass.

mod zoo;

mod exclusion;
mod kinds;
mod order;
mod reading;
mod roots;
mod trouble;
