//! `snap man`: manual pages.
//!
//! Made of the same description as the help: one page of `snap`, or one for each command into a folder.

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;
use serde_json::json;

use crate::cli::arguments::Cli;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::text;

/// Prints the manual page, or writes one for each command into a folder
///
/// Examples:
///   snap man | man -l -
///   snap man ~/.local/share/man/man1
///
/// Exit codes:
///   0 done · 1 failed · 2 usage
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder for snap.1, snap-backup.1, …
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = &arguments.folder else {
        answer(context, "page", &page(&command)?)?;
        return Ok(ExitStatus::Done);
    };
    fs::create_dir_all(folder).map_err(|error| Failure::file("create", folder, &error))?;
    let mut written = Vec::new();
    let parts = command.get_subcommands().filter(|part| part.get_name() != "help" && !part.is_hide_set());
    for part in parts.chain([&command]) {
        let name = part.get_display_name().unwrap_or_else(|| part.get_name()).to_owned();
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(part)?).map_err(|error| Failure::file("write", &path, &error))?;
        written.push(path.display().to_string());
    }
    for path in &written {
        context.output.line(&text::printable(path.as_bytes()))?;
    }
    context.output.document(json!({ "written": written }))?;
    Ok(ExitStatus::Done)
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::of(ExitStatus::Failed, &error).while_doing("cannot render the manual page"))?;
    Ok(page)
}

/// A text that is the whole answer: as it is, or under `name` in a JSON document.
pub(crate) fn answer(context: &Context, name: &str, text: &[u8]) -> Result<(), Failure> {
    match context.output.form() {
        Form::Human => context.output.raw(text),
        Form::Json => context.output.document(json!({ (name): String::from_utf8_lossy(text) })),
    }
}
