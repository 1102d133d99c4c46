//! `snap key`: the ways to unlock a repository.
//!
//! Slots and what they wrap are `repository`'s; here is only who is asked for which secret.

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

/// Lists, adds, removes and changes passwords and keys
///
/// Each slot opens the whole repository. The last slot cannot be removed.
///
/// Examples:
///   snap key list
///   snap key add --label office
///   snap key add --new-key-file usb.key
///   snap key words
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the slots of a repository.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the slots
    ///
    /// Examples:
    ///   snap key list --json
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    List,
    /// Add a password or key
    ///
    /// Examples:
    ///   snap key add --label office
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Add {
        /// Name of the slot
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// Where the new secret comes from.
        #[command(flatten)]
        new: NewSecret,
    },
    /// Remove a slot
    ///
    /// Examples:
    ///   snap key remove 3f09
    ///
    /// Exit codes:
    ///   0 done · 1 failed, or it is the last slot · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Remove {
        /// Start of the slot's id, as `snap key list` shows it
        #[arg(value_name = "SLOT")]
        slot: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Change the password that opened the repository
    ///
    /// The new slot is written before the old one is removed.
    ///
    /// Examples:
    ///   snap key change
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Change {
        /// Where the new secret comes from.
        #[command(flatten)]
        new: NewSecret,
    },
    /// Show the 24 recovery words of the key file
    ///
    /// They are the key itself: whoever has them opens the repository. Only shown on a terminal unless --yes.
    ///
    /// Examples:
    ///   snap key words
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 2 no terminal and no --yes · 12 there is no key file
    #[command(verbatim_doc_comment)]
    Words {
        /// Show them even where that is no terminal
        #[arg(short, long)]
        yes: bool,
    },
}

/// Where a new secret comes from; asked for twice where nothing is given.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub struct NewSecret {
    /// File that holds the new password
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// Key file to make and add
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(_arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("key"))
}
