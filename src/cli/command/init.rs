//! `snap init`: makes a repository where there is none.
//!
//! The key of the embedded default is drawn here too; what a repository consists of is `repository`'s business.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{Presence, WhenAbsent};
use crate::cli::repository;

/// Makes a new repository
///
/// With no --repo this is the default one in your data folder, opened by a random key in your configuration folder; write
/// its recovery words down (`snap key words`). Elsewhere the password is asked for twice, or taken from where the options
/// below say.
///
/// A bucket of S3 exists already; credentials and region are those of the AWS tools (variables, profile, SSO, role).
/// Other stores are reached by parameters of the address:
///   s3://BUCKET/PREFIX?endpoint=URL&path-style=yes|no&region=NAME&profile=NAME
/// An endpoint may come from AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3 too. Storage classes are keys of the configuration.
///
/// Examples:
///   snap init
///   snap init -r /mnt/disk/backup
///   snap init -r /mnt/disk/backup --key-file ~/.config/snap/key
///   snap init -r s3://my-bucket/backup
///   snap init -r 's3://my-bucket/backup?endpoint=https://s3.example.net'
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 11 there is a repository already · 12 no usable password
///   13 store unreachable or refused
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name of the first key slot
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub label: String,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let location = context.location()?;
    if context.presence(&location)? == Presence::There {
        return Err(Failure::new(ExitStatus::Conflict, format!("there is a repository at {location} already")));
    }
    let access = context.access(WhenAbsent::Create)?;
    let repository = repository::create(context, &access, &arguments.label)?;
    let id = repository.config().id;
    context.output.document(json!({ "repository": location.to_string(), "id": id.to_string() }))?;
    Ok(ExitStatus::Done)
}
