//! `snap completions`: completions for a shell.
//!
//! Made of the same description as the help, so they cannot be out of date.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::arguments::Cli;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;

/// Prints completions for a shell
///
/// Examples:
///   snap completions bash > ~/.local/share/bash-completion/completions/snap
///   snap completions zsh > ~/.zfunc/_snap
///   snap completions fish > ~/.config/fish/completions/snap.fish
///
/// Exit codes:
///   0 done · 1 failed · 2 usage
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command. With `--json` the script is one text in a document.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "snap", &mut script);
    crate::cli::command::man::answer(context, "completions", &script)?;
    Ok(ExitStatus::Done)
}
