//! `config init --aws`: looks at an account and writes a configuration that captures it, with what was found beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::estate::EstateArgs;
use crate::cli::estate::aws::accounts;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::text;
use crate::operation::backup::BackupError;
use crate::operation::survey::{Surveyed, survey};
use crate::progress::Silent;
use crate::resource::escape_path;
use crate::source::aws::account::{AccountSettings, Connection};
use crate::source::aws::{SERVICES, sources};

/// The regions that every account has.
const REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
];
/// Whose things show that a region is in use; whatever else is there seldom comes without them.
const WITNESSES: &[&str] = &["apigateway", "dynamodb", "lambda"];
/// Names of one service that are shown.
const NAMES_SHOWN: usize = 12;

/// The text of a configuration for the account at hand.
pub fn starter(region: &[String], aws_profile: Option<&str>, context: &Context) -> Result<String, Failure> {
    let arguments = EstateArgs {
        aws: true,
        region: region.to_vec(),
        aws_profile: aws_profile.map(str::to_owned),
        ..EstateArgs::default()
    };
    let settings = accounts(&arguments, context)?.swap_remove(0).settings;
    let (regions, surveyed) = look(&settings)?;
    Ok(written(&settings, &regions, &surveyed))
}

/// The regions in use, and what there is in them. Whoever wants no more ends the process: there is nothing to lose.
fn look(settings: &AccountSettings) -> Result<(Vec<String>, Vec<Surveyed>), Failure> {
    let ask = |regions: Vec<String>, services: &[&str]| {
        let connection = Arc::new(Connection::new(AccountSettings { regions, ..settings.clone() }));
        let surveyed = survey(&sources(&connection, services), &Silent);
        let failed = |source| Failure::from(BackupError::Runtime { source });
        surveyed.map(Option::unwrap_or_default).map_err(failed)
    };
    let mut surveyed = ask(settings.regions.clone(), SERVICES)?;
    let Some(asked) = surveyed.iter().find_map(|source| source.asked.clone()) else {
        let problem = surveyed.iter().flat_map(|source| &source.unknown).next();
        let reason = problem.map(|(_, problem)| format!("{}: {}", problem.code, problem.reason)).unwrap_or_default();
        return Err(Failure::new(ExitStatus::Failed, format!("the account cannot be looked at: {reason}"))
            .with_hint("are there credentials, as the AWS tools want them? `aws sts get-caller-identity` tells"));
    };
    let mut regions = asked.regions;
    if settings.regions.is_empty() {
        let others: Vec<String> =
            REGIONS.iter().map(|region| (*region).to_owned()).filter(|region| !regions.contains(region)).collect();
        let elsewhere = ask(others, WITNESSES)?;
        let found = elsewhere.iter().flat_map(|source| &source.resources);
        // Each region has a resource of its own for what belongs to no API.
        let things = found.filter(|thing| thing.attributes.contains_key("arn"));
        let in_use: BTreeSet<&String> = things.filter_map(|thing| thing.attributes.get("region")).collect();
        regions.extend(in_use.into_iter().cloned());
        surveyed.extend(elsewhere.into_iter().map(|source| Surveyed { unknown: Vec::new(), ..source }));
    }
    Ok((regions, surveyed))
}

fn written(settings: &AccountSettings, regions: &[String], surveyed: &[Surveyed]) -> String {
    let account = surveyed.iter().find_map(|source| source.asked.as_ref()).map(|asked| asked.account.as_str());
    let mut all = String::from(
        "# Configuration of snap; `snap config init` prints every key there is, `snap backup --dry-run` what this captures.\n",
    );
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let list = |items: &[String]| items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", ");
    let mut line = |text: &str| {
        let _a_string_takes_all = writeln!(all, "{text}");
    };
    line("\n# Where snapshots are kept; without it in your data folder.\n# repository = \"s3://BUCKET/PREFIX\"");
    line(&format!("\n[account.{}]", settings.profile.as_deref().map_or("main".to_owned(), bare)));
    line(&format!("# Account {}.", account.unwrap_or("unknown")));
    match &settings.profile {
        Some(profile) => line(&format!("profile = {}", quoted(profile))),
        None => line("# profile = \"NAME\"  # of the AWS tools; now it is whatever credentials are at hand"),
    }
    line("# role = \"arn:aws:iam::ACCOUNT:role/NAME\"  # assumed to look; `snap aws policy` prints what it needs");
    line(&format!(
        "# The regions that are in use, the home region first; names of others say theirs.\nregions = [{}]",
        list(regions)
    ));
    line("# What there is, by service. To capture less: only = [\"s3\", \"lambda\"]");
    for (source, names) in &names(surveyed) {
        let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
        line(&text::harmless(&format!("#   {source} {}: {shown}{more}", names.len())));
    }
    for (path, problem) in surveyed.iter().flat_map(|source| &source.unknown) {
        line(&text::harmless(&format!("# ! {path} cannot be listed: {} {}", problem.code, problem.hint)));
    }
    line(
        "# What is left out: globs as in .gitignore, on paths as `snap ls` shows them.\n# exclude = [\"s3-buckets/logs-*\", \"dynamodb-tables/sessions/items.jsonl\"]",
    );
    line("# s3-versions = \"all\"    # older versions of objects too");
    line(
        "# s3-metadata = \"full\"   # tags and access lists of objects are asked for in each run, not only when they changed",
    );
    line("# lambda-versions = \"all\"  # published versions of functions too");
    line("# table-sample = 100     # so many items of each table instead of all");
    line("# api-share = 50         # per cent of the calls AWS allows that are made at most");
    line("\n[retention]\nkeep-daily = 14\nkeep-weekly = 8\nkeep-monthly = 24");
    all
}

/// The names of things by service, as the layout has them.
fn names(surveyed: &[Surveyed]) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut names: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
    for source in surveyed {
        for resource in source.resources.iter().filter(|resource| resource.attributes.contains_key("arn")) {
            let path = escape_path(&resource.path);
            let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches("@settings.json");
            names.entry(source.source).or_default().insert(name.to_owned());
        }
    }
    names
}

/// A name that a table of TOML may have as it is.
fn bare(name: &str) -> String {
    let is_bare = |character: &char| character.is_ascii_alphanumeric() || "-_".contains(*character);
    let bare: String = name.chars().filter(is_bare).collect();
    if bare.is_empty() { "main".to_owned() } else { bare }
}
