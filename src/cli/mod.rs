//! The face.
use std::process::ExitCode;
pub mod color;
pub mod environment;
pub mod exit;
pub mod failure;
pub mod output;
pub mod text;
/// Under construction.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
