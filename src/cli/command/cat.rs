//! `snap cat`: writes the bytes of one file to standard output.
//!
//! Nothing but those bytes is ever written there, so `--json` is a usage error.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::view::View;
use crate::operation::cat::{CatError, find_file, read_content};
use crate::operation::view::{Extent, Views};

/// Writes a file of a snapshot to standard output
///
/// Every byte is verified before it is written.
///
/// Examples:
///   snap cat latest:local/home/me/site/index.html
///   snap cat latest~2:local/home/me/dump.sql | psql
///
/// Exit codes:
///   0 done · 1 failed, or the path is not a file · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Snapshot and the path of a file in it
    #[arg(value_name = "REF:PATH", required = true)]
    pub references: Vec<OsString>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    if context.output.form() == Form::Json {
        return Err(Failure::usage("`snap cat` writes the file's own bytes, which --json has no room for"));
    }
    let parse = |text: &OsString| {
        let reference = context.reference(text)?;
        let missing = || Failure::usage(format!("{reference} names no file")).with_hint("REF:PATH does");
        let path = reference.path.clone().filter(|path| !path.is_empty()).ok_or_else(missing)?;
        Ok((reference, path))
    };
    let files = arguments.references.iter().map(parse).collect::<Result<Vec<_>, Failure>>()?;
    let view = View::open(context)?;
    let reader = view.reader();
    let views = Views::over(&reader, Extent::All)?;
    for (reference, path) in &files {
        let snapshot = view.resolve(context, reference)?;
        let entry = find_file(&reader, &views.record(&snapshot.record), path)?;
        read_content(&reader, &entry.content, path, |bytes| context.output.raw(bytes))?;
    }
    Ok(ExitStatus::Done)
}

impl From<CatError> for Failure {
    fn from(error: CatError) -> Self {
        let failure = Self::of(ExitStatus::Failed, &error);
        match &error {
            CatError::NotFound { .. } => {
                failure.with_hint("`snap ls REF` lists what it holds, `snap find` looks for names")
            }
            CatError::NotAFile { kind: "folder", .. } => {
                failure.with_hint("`snap ls REF:PATH` lists a folder, `snap restore` writes it")
            }
            CatError::NotAFile { .. } => failure.with_hint("`snap ls --long REF:PATH` says more of it"),
            CatError::Withheld { .. } => failure.with_hint("`snap cat REF:…/function.zip` gives the archive as it was"),
            CatError::Tree { .. } | CatError::Pieces { .. } | CatError::Lost { .. } => failure
                .with_hint("`snap check --read-data` says what else is lost; an older snapshot may have the file"),
        }
    }
}
