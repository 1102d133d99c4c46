//! Accounts of AWS, as options and configuration name them.

use std::sync::Arc;

use crate::cli::config::Values;
use crate::cli::context::Context;
use crate::cli::estate::EstateArgs;
use crate::cli::failure::Failure;
use crate::source::aws::account::{AccountSettings, Connection, Naming, Role};
use crate::source::aws::dynamodb::{Items, TableSettings};
use crate::source::aws::lambda::{FunctionScope, FunctionVersions};
use crate::source::aws::names::names;
use crate::source::aws::s3::{Detail, S3Scope, Versions};
use crate::source::aws::{SERVICES, sources as sources_of};
use crate::source::environment::NameSource;
use crate::source::estate::Source;
use crate::source::filter::Filter;

/// An account, and which of its services are wanted.
pub struct Wanted {
    /// How it is looked at.
    pub settings: AccountSettings,
    /// Names of services.
    pub services: Vec<&'static str>,
}

/// Sources, and accounts that tell the names of their variables.
pub(super) type Sources = (Vec<Arc<dyn Source>>, Vec<Arc<dyn NameSource>>);

/// The sources of every account, and the names of variables of those of which everything is wanted.
pub(super) fn sources(arguments: &EstateArgs, context: &Context) -> Result<Sources, Failure> {
    let (mut sources, mut all_names) = Sources::default();
    for Wanted { settings, services } in accounts(arguments, context)? {
        let account = Arc::new(Connection::new(settings));
        sources.extend(sources_of(&account, &services));
        all_names.extend((services.len() == SERVICES.len()).then(|| names(&account)));
    }
    Ok((sources, all_names))
}

/// The accounts that are captured: those of the configuration, or with `--aws` the one at hand.
pub fn accounts(arguments: &EstateArgs, context: &Context) -> Result<Vec<Wanted>, Failure> {
    let configured: Vec<(&str, &Values)> = context.settings.named("account").collect();
    let mut all = match (&arguments.aws_profile, configured.is_empty()) {
        (None, false) => configured_accounts(&configured)?,
        (None, true) if !arguments.aws => Vec::new(),
        (profile, _) => {
            let settings = AccountSettings { profile: profile.clone(), ..AccountSettings::default() };
            vec![Wanted { settings, services: SERVICES.to_vec() }]
        }
    };
    if !arguments.region.is_empty() {
        all.iter_mut().for_each(|wanted| wanted.settings.regions.clone_from(&arguments.region));
    }
    Ok(all)
}

fn configured_accounts(tables: &[(&str, &Values)]) -> Result<Vec<Wanted>, Failure> {
    let homes: Vec<&str> =
        tables.iter().filter(|(_, values)| values.is_on("account.*.home")).map(|(name, _)| *name).collect();
    let home = match (homes.as_slice(), tables) {
        ([home], _) | ([], [(home, _)]) => *home,
        _ => {
            let failure = Failure::usage("there are several accounts, and one of them must be the home account");
            return Err(failure.with_hint(
                "set `home = true` in the table of just one: its names in snapshots are plain, those of others say whose they are",
            ));
        }
    };
    tables.iter().map(|(name, values)| account(name, values, *name == home)).collect()
}

fn account(name: &str, values: &Values, is_home: bool) -> Result<Wanted, Failure> {
    let text = |key: &str| values.text(key).map(str::to_owned);
    let wrong = |key: &str, what: String| Failure::usage(format!("account.{name}.{key}: {what}"));
    let only = values.words("account.*.only");
    if let Some(unknown) = only.iter().find(|only| !SERVICES.contains(&only.as_str())) {
        let failure = wrong("only", format!("no service is called {unknown}"));
        return Err(failure.with_hint(format!("there are {}", SERVICES.join(", "))));
    }
    let share = values.count("account.*.api-share");
    if share.is_some_and(|share| !(1..=100).contains(&share)) {
        return Err(wrong("api-share", "it is per cent, from 1 to 100".to_owned()));
    }
    let excluded = values.words("account.*.exclude");
    let filter = Filter::new(excluded).map_err(|(pattern, error)| {
        let reason = error.to_string();
        wrong("exclude", format!("{pattern} is no glob: {reason}"))
    })?;
    let role = text("account.*.role").map(|arn| Role { arn, external_id: text("account.*.external-id") });
    let items = match (values.text("account.*.table-items"), values.count("account.*.table-sample")) {
        (Some("none"), _) => Items::None,
        (_, Some(count)) => Items::Sample(count.into()),
        _ => Items::All,
    };
    let settings = AccountSettings {
        label: name.to_owned(),
        profile: text("account.*.profile"),
        role,
        naming: if is_home { Naming::Home } else { Naming::Foreign },
        regions: values.words("account.*.regions"),
        endpoint: text("account.*.endpoint"),
        share: share.map(|percent| f64::from(percent) / 100.0),
        filter: (!filter.patterns().is_empty()).then(|| Arc::new(filter)),
        s3: S3Scope {
            versions: match values.text("account.*.s3-versions") {
                Some("all") => Versions::All,
                _ => Versions::Latest,
            },
            detail: match values.text("account.*.s3-metadata") {
                Some("full") => Detail::Full,
                _ => Detail::Fast,
            },
        },
        tables: TableSettings { items, ..TableSettings::default() },
        lambda: FunctionScope {
            versions: match values.text("account.*.lambda-versions") {
                Some("all") => FunctionVersions::All,
                _ => FunctionVersions::Latest,
            },
        },
    };
    let services = SERVICES.iter().filter(|service| only.is_empty() || only.iter().any(|only| only == *service));
    Ok(Wanted { settings, services: services.copied().collect() })
}
