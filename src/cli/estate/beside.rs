//! What of the estate lies beside AWS, as the configuration names it: repositories of git, Apps Script projects, launch agents,
//! and the names of variables.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::context::Context;
use crate::source::environment::{Environment, EnvironmentSettings, NameSource};
use crate::source::estate::Source;
use crate::source::git::{Git, GitSettings};
use crate::source::launch_agents::{Kept, LaunchAgents, LaunchAgentsSettings, Place, Presence};

/// Every source of these.
pub(super) const NAMES: &[&str] = &[
    #[cfg(feature = "google")]
    "apps-script",
    "environment",
    "git",
    "launch-agents",
];

/// Those that are configured; `accounts` have variables and secrets too.
pub(super) fn sources(context: &Context, accounts: Vec<Arc<dyn NameSource>>) -> Vec<Arc<dyn Source>> {
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    sources.extend(git(context).map(|git| Arc::new(git) as Arc<dyn Source>));
    sources.extend(launch_agents(context).map(|agents| Arc::new(agents) as Arc<dyn Source>));
    let settings = &context.settings;
    let (files, folders) = (settings.paths("environment.files"), settings.paths("environment.find-below"));
    if !files.is_empty() || !folders.is_empty() || !accounts.is_empty() {
        let names = EnvironmentSettings { files, folders, accounts, ..EnvironmentSettings::default() };
        sources.push(Arc::new(Environment::new(names)));
    }
    #[cfg(feature = "google")]
    sources.extend(google::apps_script(context).map(|projects| Arc::new(projects) as Arc<dyn Source>));
    sources
}

fn git(context: &Context) -> Option<Git> {
    let (settings, environment) = (&context.settings, &context.environment);
    let (repositories, find_below) = (settings.paths("git.repositories"), settings.paths("git.find-below"));
    let is_configured = !repositories.is_empty() || !find_below.is_empty();
    is_configured.then(|| {
        let config_home = environment.non_empty("XDG_CONFIG_HOME").map(PathBuf::from);
        Git::new(GitSettings {
            repositories,
            find_below,
            home: environment.home(),
            config_home,
            ..GitSettings::default()
        })
    })
}

fn launch_agents(context: &Context) -> Option<LaunchAgents> {
    let wants_system = context.settings.is_on("launch-agents.capture");
    let of_system = context.environment.home().filter(|_| wants_system);
    let mut places = of_system.map(|home| LaunchAgentsSettings::of_this_system(&home).places).unwrap_or_default();
    let named = |path| Place { path, kept: Kept::default(), presence: Presence::default() };
    places.extend(context.settings.paths("launch-agents.paths").into_iter().map(named));
    (!places.is_empty()).then(|| LaunchAgents::new(LaunchAgentsSettings { places }))
}

/// Google's services.
#[cfg(feature = "google")]
mod google {
    use std::process::Stdio;
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use crate::cli::child;
    use crate::cli::context::Context;
    use crate::source::apps_script::credentials::{Credentials, TokenCommand};
    use crate::source::apps_script::{AppsScript, AppsScriptSettings, Listing, Versions};

    pub(super) fn apps_script(context: &Context) -> Option<AppsScript> {
        let settings = &context.settings;
        let (projects, lists) = (settings.words("apps-script.projects"), settings.is_on("apps-script.find"));
        if projects.is_empty() && !lists {
            return None;
        }
        let words = settings.words("apps-script.token-command");
        let user = settings.text("apps-script.user").map(str::to_owned);
        let credentials = match settings.path("apps-script.credentials") {
            _ if !words.is_empty() => Credentials::Command(token_command(words)),
            Some(path) => Credentials::File { path: path.to_owned(), user },
            None => match context.environment.home() {
                Some(home) => Credentials::File { path: home.join(".clasprc.json"), user },
                None => Credentials::Missing,
            },
        };
        let listing = if lists { Listing::Drive } else { Listing::Named };
        let versions = match settings.text("apps-script.versions") {
            Some("content") => Versions::Content,
            _ => Versions::Listed,
        };
        Some(AppsScript::new(AppsScriptSettings {
            credentials,
            projects,
            listing,
            versions,
            ..AppsScriptSettings::default()
        }))
    }

    fn token_command(words: Vec<String>) -> TokenCommand {
        Arc::new(move || {
            let name = words.first().cloned().unwrap_or_default();
            let mut command = child::command(&words).ok_or_else(|| "it has no words".to_owned())?;
            command.stdin(Stdio::null()).stderr(Stdio::inherit());
            let output = command.output().map_err(|error| format!("{name} cannot be run: {error}"))?;
            if !output.status.success() {
                return Err(format!("{name} failed: {}", output.status));
            }
            let said = Zeroizing::new(output.stdout);
            let text = std::str::from_utf8(&said).map_err(|_| format!("{name} prints no text"))?;
            Ok(Zeroizing::new(text.trim().to_owned()))
        })
    }
}
