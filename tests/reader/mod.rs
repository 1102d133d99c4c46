//! A second reader, written in another language from FORMAT.md alone, reads what this program writes.
//!
//! `read.py` is that reader and shares nothing with the program but the page. It is held against repositories made now,
//! so that the page stays true, and against the golden ones under `fixtures/v1`, so that what was once written stays
//! readable. What the program itself reads of them stands beside it.

mod chacha20;
mod golden;
mod python;

use std::fs;
use std::path::{Path, PathBuf};

/// Every file, however deep.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}
