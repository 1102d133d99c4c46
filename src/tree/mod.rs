//! The ordered map of a snapshot: pages, the builder that writes them, the cursor that reads them, and what is made of both.
//!
//! A resource is a search tree of content-defined pages (FORMAT.md §10): the same map has the same root, however it was
//! built. Nothing here knows repositories: pages are read and written through the two traits of `store`.

pub mod boundary;
pub mod builder;
pub mod cursor;
pub mod diff;
pub mod error;
mod item;
pub mod join;
pub mod leaves;
pub mod list;
pub mod list_page;
pub mod listing;
pub mod memory;
pub mod page;
mod position;
pub mod store;
pub mod totals;
