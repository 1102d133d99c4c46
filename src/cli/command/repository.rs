//! `snap repository test`: what the credentials at hand may do with a repository.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::repository;
use crate::cli::table::{Lean, lines};
use crate::operation::access::{Access, Answer, Place, access};
use crate::operation::backup::session_mark;
use crate::storage::Writers;

/// Tests what a repository's store allows
///
/// Examples:
///   snap repository test -r s3://my-bucket/backup
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable or refused
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with a repository's store.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Try to create, replace and delete with the credentials at hand, and say what could be done
    ///
    /// Only for repositories in S3. What is tried belongs to a session begun for this, which the next prune takes away;
    /// `config` and the newest object of g/ are put again with their own bytes; deleting is tried on names that never
    /// were. Nothing of a snapshot is touched, whatever the credentials allow.
    ///
    /// Append-only are credentials that can add snapshots, but neither change, delete nor forget anything: those of
    /// `snap aws policy --role writer`.
    ///
    /// Examples:
    ///   snap repository test
    ///   snap repository test --expect append-only
    ///
    /// Exit codes:
    ///   0 done, and as expected · 1 failed, or not as expected · 2 usage · 10 no repository · 12 wrong password ·
    ///   13 store unreachable, or reading refused
    #[command(verbatim_doc_comment)]
    Test {
        /// Fail unless the credentials are of this kind
        #[arg(long, value_enum, value_name = "KIND")]
        expect: Option<Expectation>,
    },
}

/// What the credentials should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expectation {
    /// They add snapshots, and can take nothing away
    AppendOnly,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let Action::Test { expect } = &arguments.action;
    let location = context.location()?;
    let replace = context.stores.replacer(&location, &context.settings)?;
    let repository = repository::open(context)?;
    let mark = session_mark(context.host(), jiff::Timestamp::now());
    let access = access(&repository, &mark, &*replace)?;
    match context.output.form() {
        Form::Json => context.output.document(document(&access))?,
        Form::Human => show(context, &access)?,
    }
    match expect {
        Some(Expectation::AppendOnly) if !access.is_append_only() => {
            let failure = Failure::new(ExitStatus::Failed, "these credentials are not append-only");
            Err(failure.with_hint("`snap aws policy --role writer` prints the policy that makes them so"))
        }
        _ => Ok(ExitStatus::Done),
    }
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Allowed => "yes",
        Answer::Refused => "no",
        Answer::NotTried => "not tried",
    }
}

fn show(context: &Context, access: &Access) -> Result<(), Failure> {
    let mut rows = vec![["", "create", "replace", "delete"].map(str::to_owned)];
    rows.extend(access.places.iter().map(|place| {
        let Place { prefix, create, replace, delete } = place;
        [prefix, word(*create), word(*replace), word(*delete)].map(str::to_owned)
    }));
    for line in lines([Lean::Left; 4], &rows) {
        context.output.line(&line)?;
    }
    context.output.line("")?;
    match access.writers {
        Some(Writers::Many) => context.output.line("the store decides between writers: any number may write")?,
        Some(Writers::One) => {
            context.output.line("the store replaces objects it was told to keep: only one machine may write")?;
        }
        None => {}
    }
    context.output.line(if access.is_append_only() {
        "append-only: these credentials add snapshots and can take nothing away"
    } else {
        "not append-only"
    })
}

fn document(access: &Access) -> Value {
    let value = |answer: Answer| match answer {
        Answer::Allowed => Value::Bool(true),
        Answer::Refused => Value::Bool(false),
        Answer::NotTried => Value::Null,
    };
    let places = access.places.iter().map(|place| {
        let Place { prefix, create, replace, delete } = place;
        json!({ "prefix": prefix, "create": value(*create), "replace": value(*replace), "delete": value(*delete) })
    });
    json!({
        "places": places.collect::<Vec<_>>(),
        "many_writers": access.writers.map(|writers| writers == Writers::Many),
        "append_only": access.is_append_only(),
    })
}
