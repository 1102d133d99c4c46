//! Under construction.

use std::process::ExitCode;

/// Under construction.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
