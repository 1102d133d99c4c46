//! `snap aws`: what is asked of an AWS account for this program.

use clap::Subcommand;
use serde_json::json;

use crate::cli::context::Context;
#[cfg(feature = "aws")]
use crate::cli::estate::{
    EstateArgs,
    aws::{Wanted, accounts},
};
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::Location;
use crate::cli::output::Form;
#[cfg(feature = "aws")]
use crate::source::aws::{
    account::Naming,
    policy::{SIZE_MAX, policies},
};
use crate::storage::s3::address::S3Address;
use crate::storage::s3::policy::{Role, policy};

/// Prints what an AWS account must allow
///
/// Examples:
///   snap aws policy
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
    /// Print the IAM policy of whoever captures the account, or uses a repository in S3
    ///
    /// Without --role: the least that must be allowed to capture what the configuration names (all services where it names no
    /// account): reading only, in its regions only. A managed policy takes 6,144 characters; where that is too little there are
    /// several, and --part prints one. Objects and variables under KMS keys of your own need kms:Decrypt of these keys too.
    ///
    /// A writer can only create (s3:if-none-match is demanded) and delete nothing: with its credentials alone, snapshots
    /// can be added and none taken away. A reader restores and checks. A pruner forgets and prunes; it writes too, so keep
    /// its credentials where the machines that back up cannot reach them. `snap init` needs more than any of them: the owner's.
    /// `snap repository test` says what the credentials at hand really allow.
    ///
    /// Examples:
    ///   snap aws policy > capture.json
    ///   snap aws policy --account prod --part 2
    ///   snap aws policy --role writer
    ///   snap aws policy --role pruner --repository 's3://my-bucket/backup?region=eu-west-1' > pruner.json
    ///   aws iam put-user-policy --user-name backup --policy-name snap --policy-document file://writer.json
    ///
    /// Exit codes:
    ///   0 done · 2 usage
    #[command(verbatim_doc_comment)]
    Policy {
        /// Whose policy, of those who use a repository in S3
        #[arg(long, value_enum, value_name = "ROLE")]
        role: Option<RoleWish>,
        /// The account of the configuration, where there are several
        #[arg(long, value_name = "NAME", conflicts_with_all = ["role", "repository"])]
        account: Option<String>,
        /// Only this one, where there are several policies
        #[arg(long, value_name = "N", conflicts_with_all = ["role", "repository"])]
        part: Option<usize>,
        /// The repository, instead of the configured one
        #[arg(long, value_name = "PLACE", requires = "role")]
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
    let Action::Policy { role, repository, account, part } = &arguments.action;
    match role {
        Some(role) => of_repository(*role, repository.as_deref(), context),
        None => of_capture(account.as_deref(), *part, context),
    }
}

fn of_repository(role: RoleWish, repository: Option<&str>, context: &Context) -> Result<ExitStatus, Failure> {
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

/// The policies of whoever captures an account.
#[cfg(feature = "aws")]
fn of_capture(account: Option<&str>, part: Option<usize>, context: &Context) -> Result<ExitStatus, Failure> {
    let wanted = named_account(account, context)?;
    let policies = policies(&wanted.settings, &wanted.services);
    let count = policies.len();
    let shown = match part {
        Some(part) => {
            let one = part.checked_sub(1).and_then(|at| policies.get(at));
            let none = || Failure::usage(format!("there is no part {part}")).with_hint(format!("there are {count}"));
            vec![one.cloned().ok_or_else(none)?]
        }
        None => policies,
    };
    if context.output.form() == Form::Json {
        context.output.document(json!({ "account": wanted.settings.label, "parts": count, "policies": shown }))?;
        return Ok(ExitStatus::Done);
    }
    if shown.len() > 1 {
        context.remark(&format!(
            "one managed policy takes {SIZE_MAX} characters; print them one by one: --part 1 to {count}"
        ));
    }
    for policy in &shown {
        context.output.line(&format!("{policy:#}"))?;
    }
    Ok(ExitStatus::Done)
}

/// The account that is meant: the one of that name, the only one, the home account, or any where none is configured.
#[cfg(feature = "aws")]
fn named_account(name: Option<&str>, context: &Context) -> Result<Wanted, Failure> {
    let mut accounts = accounts(&EstateArgs { aws: true, ..EstateArgs::default() }, context)?;
    let at = match name {
        Some(name) => accounts.iter().position(|wanted| wanted.settings.label == name),
        None => accounts.iter().position(|wanted| wanted.settings.naming == Naming::Home),
    };
    let Some(at) = at else {
        let names: Vec<String> = accounts.into_iter().map(|wanted| wanted.settings.label).collect();
        let failure = Failure::usage(format!("no account is called {}", name.unwrap_or_default()));
        return Err(failure.with_hint(format!("there are {}", names.join(", "))));
    };
    Ok(accounts.swap_remove(at))
}

#[cfg(not(feature = "aws"))]
fn of_capture(_account: Option<&str>, _part: Option<usize>, _context: &Context) -> Result<ExitStatus, Failure> {
    Err(Failure::usage("this program was built without the sources of AWS").with_hint("name a role: --role writer"))
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
