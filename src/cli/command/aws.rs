//! `snap aws`: what is asked of an AWS account for this program.

use clap::Subcommand;
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::Location;
use crate::cli::output::Form;
use crate::storage::s3::address::S3Address;
use crate::storage::s3::policy::{Role, policy};

/// Prints what an AWS account must allow
///
/// Examples:
///   snap aws policy --role writer --repository s3://my-bucket/backup
///
/// Exit codes:
///   0 done · 2 usage
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What of an account.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the IAM policy of those who write, read or prune a repository
    ///
    /// A writer can only create (s3:if-none-match is demanded) and delete nothing: with its credentials alone, snapshots
    /// can be added and none taken away. A reader restores and checks. A pruner forgets and prunes; it writes too, so keep
    /// its credentials where the machines that back up cannot reach them. `snap init` needs more than any of them: the owner's.
    /// `snap repository test` says what the credentials at hand really allow.
    ///
    /// Examples:
    ///   snap aws policy --role writer
    ///   snap aws policy --role pruner --repository 's3://my-bucket/backup?region=eu-west-1' > pruner.json
    ///   aws iam put-user-policy --user-name backup --policy-name snap --policy-document file://writer.json
    ///
    /// Exit codes:
    ///   0 done · 2 usage
    #[command(verbatim_doc_comment)]
    Policy {
        /// Whose policy
        #[arg(long, value_enum, value_name = "ROLE", default_value = "writer")]
        role: RoleWish,
        /// The repository, instead of the configured one
        #[arg(long, value_name = "PLACE")]
        repository: Option<String>,
    },
}

/// Whose policy is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleWish {
    /// Whoever backs up
    Writer,
    /// Whoever restores and checks
    Reader,
    /// Whoever forgets and prunes
    Pruner,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let Action::Policy { role, repository } = &arguments.action;
    let location = match repository {
        Some(place) => Location::of_address(place)?,
        None => context.location()?,
    };
    let Location::S3(address) = location else {
        let failure = Failure::usage(format!("{location} is no repository in S3: policies are for those"));
        return Err(failure.with_hint("name one with --repository s3://BUCKET/PREFIX"));
    };
    let policy = policy(&address, role.role());
    match context.output.form() {
        Form::Json => {
            let place = S3Address::to_string(&address);
            context.output.document(json!({ "repository": place, "role": role.word(), "policy": policy }))?;
        }
        Form::Human => context.output.line(&format!("{policy:#}"))?,
    }
    Ok(ExitStatus::Done)
}

impl RoleWish {
    fn role(self) -> Role {
        match self {
            Self::Writer => Role::Writer,
            Self::Reader => Role::Reader,
            Self::Pruner => Role::Pruner,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Pruner => "pruner",
        }
    }
}
