//! `snap config`: a starter file, a look for mistakes, and which layer set each value.
//!
//! All of it goes by the one table of keys; secrets never stand in a configuration, so everything can be shown.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::command::man::answer;
use crate::cli::config::file::{self, Found, Trust};
use crate::cli::config::schema::KEYS;
use crate::cli::config::value::Origin;
use crate::cli::config::{ConfigError, candidates};
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::Form;
use crate::cli::text;

/// Makes, checks and shows the configuration
///
/// Layers, each over the one before: defaults, /etc/snap/snap.toml, ~/.config/snap/snap.toml, ./snap.toml, the profile,
/// variables (SNAP_…), options. ./snap.toml is only obeyed if it belongs to you or root and nobody else may write it.
///
/// Examples:
///   snap config init ~/.config/snap/snap.toml
///   snap config check
///   snap config show --origin
///
/// Exit codes:
///   0 done · 1 failed · 2 the configuration is wrong
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print a commented starter, or write it to a file that does not exist
    ///
    /// With --aws it looks at the account whose credentials are at hand, in all regions that every account has, and writes
    /// what it takes to capture it, with what was found beside it.
    ///
    /// Examples:
    ///   snap config init
    ///   snap config init ~/.config/snap/snap.toml
    ///   snap config init --aws --aws-profile prod snap.toml
    ///
    /// Exit codes:
    ///   0 done · 1 the file exists or cannot be written · 2 usage
    #[command(verbatim_doc_comment)]
    Init {
        /// File to write
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Look at an AWS account and write what captures it
        #[cfg(feature = "aws")]
        #[arg(long)]
        aws: bool,
        /// Regions to look at, the home region first [default: all that every account has]
        #[cfg(feature = "aws")]
        #[arg(long, value_name = "REGION,…", value_delimiter = ',', requires = "aws")]
        region: Vec<String>,
        /// Profile of the AWS tools
        #[cfg(feature = "aws")]
        #[arg(long, value_name = "NAME", requires = "aws")]
        aws_profile: Option<String>,
    },
    /// Look for mistakes in every file, or in the one given
    ///
    /// Examples:
    ///   snap config check
    ///   snap config check new.toml
    ///
    /// Exit codes:
    ///   0 nothing is wrong · 1 failed · 2 something is wrong
    #[command(verbatim_doc_comment)]
    Check {
        /// File to look at
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Show the configuration in force
    ///
    /// Examples:
    ///   snap config show
    ///   snap config show --origin --profile www
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 2 the configuration is wrong
    #[command(verbatim_doc_comment)]
    Show {
        /// Say which layer set each value
        #[arg(long)]
        origin: bool,
    },
}

impl Args {
    /// Whether it works without a valid configuration.
    pub(crate) fn needs_no_settings(&self) -> bool {
        !matches!(self.action, Action::Show { .. })
    }
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    match &arguments.action {
        #[cfg(feature = "aws")]
        Action::Init { file, aws: true, region, aws_profile } => {
            let text = crate::cli::estate::starter::starter(region, aws_profile.as_deref(), context)?;
            init(file.as_deref(), &text, context)?;
        }
        Action::Init { file, .. } => init(file.as_deref(), &starter(), context)?,
        Action::Check { file } => check(file.as_deref(), context)?,
        Action::Show { origin } => show(if *origin { Origins::Shown } else { Origins::Hidden }, context)?,
    }
    Ok(ExitStatus::Done)
}

/// Writes a starter to a new file, or prints it.
fn init(path: Option<&Path>, starter: &str, context: &Context) -> Result<(), Failure> {
    let Some(path) = path else { return answer(context, "starter", starter.as_bytes()) };
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(starter.as_bytes())
    };
    write().map_err(|error| Failure::file("create", path, &error))?;
    context.output.line(&format!("wrote {}", text::printable(path.as_os_str().as_encoded_bytes())))?;
    context.output.document(json!({ "written": path.display().to_string() }))
}

/// Every key, commented out, under its table.
fn starter() -> String {
    let mut starter =
        String::from("# Configuration of snap. Every key there is; `snap config check` looks for mistakes.\n");
    let mut table = "";
    for key in KEYS {
        let (in_table, name) = key.table_and_name();
        if in_table != table {
            table = in_table;
            match table.strip_suffix(".*") {
                Some(kind) => {
                    starter.push_str(&format!("\n# As many as there are, each with a name.\n# [{kind}.NAME]\n"));
                }
                None => starter.push_str(&format!("\n[{table}]\n")),
            }
        }
        let variable = key.variable.map(|variable| format!(" ({variable})")).unwrap_or_default();
        starter.push_str(&format!("# {}{variable}\n# {name} = {}\n", key.about, key.example));
    }
    starter.push_str(
        "\n# The same keys, used with --profile NAME or SNAP_PROFILE.\n# [profile.NAME]\n# series = \"www\"\n",
    );
    starter
}

fn check(path_given: Option<&Path>, context: &Context) -> Result<(), Failure> {
    let files = match path_given {
        Some(path) => vec![(context.environment.current_folder.join(path), Trust::Given)],
        None => candidates(&context.environment),
    };
    let mut rows = Vec::new();
    let mut first_error: Option<Failure> = None;
    for (path, trust) in files {
        let verdict = match file::read(&path, trust, &context.environment) {
            Ok(Found::Absent) if path_given.is_some() => {
                return Err(Failure::file("read", &path, &std::io::ErrorKind::NotFound.into()));
            }
            Ok(Found::Absent) => "absent",
            Ok(Found::Read(_)) => "valid",
            Ok(Found::Untrusted(reason)) => {
                context
                    .output
                    .line(&format!("ignored  {}: {reason}", text::printable(path.as_os_str().as_encoded_bytes())))?;
                "ignored"
            }
            Err(error) => {
                problems(&error, context)?;
                first_error.get_or_insert(error.into());
                "wrong"
            }
        };
        if matches!(verdict, "valid" | "absent") {
            context.output.line(&format!("{verdict:7}  {}", text::printable(path.as_os_str().as_encoded_bytes())))?;
        }
        rows.push(json!({ "path": path.display().to_string(), "verdict": verdict }));
    }
    match first_error {
        Some(failure) => Err(failure),
        None => context.output.document(json!({ "files": rows })),
    }
}

fn problems(error: &ConfigError, context: &Context) -> Result<(), Failure> {
    if let ConfigError::Invalid { path, problems } = error {
        for problem in problems {
            let place = format!("{}:{}", path.display(), problem.line);
            context.output.line(&format!("wrong    {}", text::harmless(&format!("{place}: {}", problem.message))))?;
        }
    }
    Ok(())
}

/// Whether origins are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origins {
    Shown,
    Hidden,
}

fn show(origins: Origins, context: &Context) -> Result<(), Failure> {
    let mut document = serde_json::Map::new();
    for (name, value, origin) in in_force(context) {
        if context.output.form() == Form::Human {
            let said = format!("{name} = {value}");
            let line = match origins {
                Origins::Hidden => said,
                Origins::Shown => format!("{said}  {}", context.palette.faint(format!("# {origin}"))),
            };
            context.output.line(&line)?;
        }
        document.insert(name, json!({ "value": value, "origin": origin.to_string() }));
    }
    let files: Vec<String> = context.settings.files.iter().map(|path| path.display().to_string()).collect();
    context.output.document(json!({ "settings": document, "files": files }))
}

/// Every key that amounts to something, its full name, its value and where it came from.
fn in_force(context: &Context) -> Vec<(String, Value, Origin)> {
    let mut all = Vec::new();
    for key in KEYS {
        if let Some(kind) = key.table_and_name().0.strip_suffix(".*") {
            let set = context.settings.named(kind).filter_map(|(of, values)| {
                let (value, origin) = values.value(key.name)?;
                Some((key.name.replacen('*', of, 1), value.json(), origin.clone()))
            });
            all.extend(set);
            continue;
        }
        let (value, origin) = match context.settings.value(key.name) {
            Some((value, origin)) => (value.json(), origin.clone()),
            None => (default(key.name, context), Origin::Default),
        };
        if !value.is_null() {
            all.push((key.name.to_owned(), value, origin));
        }
    }
    all
}

/// What a key that nobody set amounts to; null where that is nothing.
fn default(key: &str, context: &Context) -> Value {
    let shown = |path: Option<PathBuf>| path.map_or(Value::Null, |path| path.display().to_string().into());
    match key {
        "repository" => shown(context.environment.data_folder().map(|folder| folder.join("repository"))),
        "key-file" if context.settings.value("repository").is_none() => {
            shown(context.environment.configuration_folder().map(|folder| folder.join("key")))
        }
        "host" | "series" => context.host().into(),
        "cache-dir" => shown(context.environment.cache_folder()),
        "color" => "auto".into(),
        "backup.exclude-caches" | "backup.one-file-system" | "backup.gitignore" => false.into(),
        "launch-agents.capture" | "apps-script.find" => false.into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::starter;
    use crate::cli::config::file::parse;
    use crate::cli::config::schema::KEYS;
    use crate::cli::environment::Environment;
    use std::path::Path;

    #[test]
    fn every_key_of_the_starter_is_valid_once_uncommented() {
        let uncommented: Vec<String> = starter()
            .lines()
            .map(|line| {
                line.strip_prefix("# ")
                    .filter(|rest| rest.contains(" = ") || rest.ends_with(".NAME]"))
                    .unwrap_or(line)
                    .to_owned()
            })
            .collect();
        let text = uncommented.join("\n").replace("series = \"www\"", "").replace("[profile.NAME]", "");
        let layer = parse(Path::new("/x/snap.toml"), &text, &Environment::for_test(&[])).expect("it is valid");
        assert_eq!(layer.settings.len(), KEYS.len());
    }
}
