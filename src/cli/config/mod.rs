//! Configuration in layers, each value with its origin: defaults, the machine's file, the user's, the current folder's,
//! the profile, variables, flags.
//!
//! Which keys there are is the schema's business, and reading one file that of `file`. A list replaces that of the layer
//! below it, as every other value does.

pub mod file;
pub mod schema;
pub mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::cli::config::file::{FileLayer, Found, Line, Trust};
use crate::cli::config::schema::{KEYS, Key, nearest};
use crate::cli::config::value::{Origin, Place, Value};
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;

/// The name of a configuration file in each of its folders.
pub const FILE_NAME: &str = "snap.toml";

/// A configuration that cannot be obeyed.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file is there but cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file says what it must not.
    #[error("the configuration {} is wrong: {}", path.display(), list(problems))]
    Invalid {
        /// Which.
        path: PathBuf,
        /// All that is wrong with it, by line.
        problems: Vec<Problem>,
    },
    /// A variable has a value that it must not.
    #[error("{variable} should be {expected}")]
    Variable {
        /// Which.
        variable: &'static str,
        /// What it should be.
        expected: String,
    },
    /// No file has this profile.
    #[error("no configuration has a profile {name:?}{}", meant.as_ref().map(|m| format!("; did you mean {m:?}?")).unwrap_or_default())]
    NoProfile {
        /// Which.
        name: String,
        /// The one that was probably meant.
        meant: Option<String>,
    },
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// What.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let failure = Self::of(ExitStatus::Usage, &error);
        match error {
            ConfigError::Invalid { .. } => failure.with_hint("`snap config init` prints every key there is"),
            _ => failure,
        }
    }
}

/// A flag of the command line that sets a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Full name of the key.
    pub key: &'static str,
    /// The flag, as the user wrote it.
    pub flag: &'static str,
    /// Its value.
    pub value: Value,
}

/// Values of one table, or of all that stand alone, each with its origin.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<&'static str, (Value, Origin)>);

/// The configuration in force.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    values: Values,
    /// Tables that bear a name of their own, by kind and name (`account`, `prod`).
    named: BTreeMap<(&'static str, String), Values>,
    /// What the user should know of how it came to be.
    pub notices: Vec<String>,
    /// The files that were read, weakest first.
    pub files: Vec<PathBuf>,
}

impl Settings {
    /// Reads all layers; `profile` and `flags` come from the command line.
    pub fn load(environment: &Environment, profile: Option<&str>, flags: Vec<Flag>) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        let mut layers: Vec<FileLayer> = Vec::new();
        for (path, trust) in candidates(environment) {
            match file::read(&path, trust, environment)? {
                Found::Absent => {}
                Found::Read(layer) => layers.push(layer),
                Found::Untrusted(reason) => {
                    settings.notices.push(format!("{} is ignored: {reason}", path.display()));
                }
            }
        }
        for layer in &layers {
            settings.files.push(layer.path.clone());
            settings.take(&layer.settings, |line| Origin::File { path: layer.path.clone(), line });
        }
        let variable = environment.non_empty("SNAP_PROFILE").map(|name| name.to_string_lossy().into_owned());
        if let Some(name) = profile.map(str::to_owned).or(variable) {
            settings.take_profile(&layers, name)?;
        }
        settings.take_variables(environment)?;
        for Flag { key, flag, value } in flags {
            settings.values.0.insert(key, (value, Origin::Flag(flag)));
        }
        Ok(settings)
    }

    fn take(&mut self, lines: &[Line], origin: impl Fn(usize) -> Origin) {
        for Line { key, of, value, line } in lines {
            let table = match of {
                Some(of) => {
                    let kind = key.split('.').next().unwrap_or_default();
                    self.named.entry((kind, of.clone())).or_default()
                }
                None => &mut self.values,
            };
            table.0.insert(key, (value.clone(), origin(*line)));
        }
    }

    fn take_profile(&mut self, layers: &[FileLayer], name: String) -> Result<(), ConfigError> {
        let mut known: Vec<&str> = Vec::new();
        let mut is_found = false;
        for layer in layers {
            for (profile, lines) in &layer.profiles {
                known.push(profile);
                if *profile == name {
                    is_found = true;
                    let (name, path) = (name.clone(), layer.path.clone());
                    self.take(lines, |line| Origin::Profile { name: name.clone(), path: path.clone(), line });
                }
            }
        }
        let meant = nearest(&name, known.into_iter()).map(str::to_owned);
        if is_found { Ok(()) } else { Err(ConfigError::NoProfile { name, meant }) }
    }

    fn take_variables(&mut self, environment: &Environment) -> Result<(), ConfigError> {
        let place = Place { environment, folder: &environment.current_folder };
        for key in KEYS {
            let Some(variable) = key.variable else { continue };
            let Some(text) = environment.non_empty(variable) else { continue };
            let wrong = || ConfigError::Variable { variable, expected: key.kind.expected() };
            let value = match (key.kind, text.to_str()) {
                (schema::Kind::Path | schema::Kind::Location, None) => {
                    Value::Path(environment.current_folder.join(text))
                }
                (_, Some(text)) => Value::of_text(key.kind, text, place).ok_or_else(wrong)?,
                (_, None) => return Err(wrong()),
            };
            self.values.0.insert(key.name, (value, Origin::Variable(variable)));
        }
        Ok(())
    }

    /// The tables of a kind, by name.
    pub fn named(&self, kind: &str) -> impl Iterator<Item = (&str, &Values)> {
        self.named.iter().filter(move |((of, _), _)| *of == kind).map(|((_, name), values)| (name.as_str(), values))
    }
}

impl std::ops::Deref for Settings {
    type Target = Values;

    fn deref(&self) -> &Values {
        &self.values
    }
}

impl Values {
    /// A value and where it came from, if anything sets it.
    pub fn value(&self, key: &str) -> Option<&(Value, Origin)> {
        debug_assert!(Key::named(key).is_some(), "{key} is not in the schema");
        self.0.get(key)
    }

    /// Where a value came from, if anything sets it.
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.value(key).map(|(_, origin)| origin)
    }

    /// A text, a choice or an address.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.value(key) {
            Some((Value::Text(text), _)) => Some(text),
            _ => None,
        }
    }

    /// A path.
    pub fn path(&self, key: &str) -> Option<&Path> {
        match self.value(key) {
            Some((Value::Path(path), _)) => Some(path),
            _ => None,
        }
    }

    /// Whether a switch is on; off where nothing sets it.
    pub fn is_on(&self, key: &str) -> bool {
        matches!(self.value(key), Some((Value::Switch(true), _)))
    }

    /// Bytes.
    pub fn size(&self, key: &str) -> Option<u64> {
        match self.value(key) {
            Some((Value::Size(bytes), _)) => Some(*bytes),
            _ => None,
        }
    }

    /// How many.
    pub fn count(&self, key: &str) -> Option<u32> {
        match self.value(key) {
            Some((Value::Count(count), _)) => Some(*count),
            _ => None,
        }
    }

    /// A list of texts, or the words of a command; empty where nothing sets it.
    pub fn words(&self, key: &str) -> Vec<String> {
        match self.value(key) {
            Some((Value::Texts(texts), _)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    /// A list of paths; empty where nothing sets it.
    pub fn paths(&self, key: &str) -> Vec<PathBuf> {
        match self.value(key) {
            Some((Value::Paths(paths), _)) => paths.clone(),
            _ => Vec::new(),
        }
    }
}

/// Where configuration files may lie, weakest first.
pub fn candidates(environment: &Environment) -> Vec<(PathBuf, Trust)> {
    let user = environment.configuration_folder().map(|folder| (folder.join(FILE_NAME), Trust::Given));
    let machine = (environment.system_folder.join(FILE_NAME), Trust::Given);
    let here = (environment.current_folder.join(FILE_NAME), Trust::IfOwned);
    let mut all = vec![machine];
    all.extend(user.filter(|(path, _)| *path != here.0));
    all.push(here);
    all
}

#[cfg(test)]
mod tests {
    use super::{Flag, Origin, Settings, Value};
    use crate::cli::environment::Environment;
    use std::fs;

    #[test]
    fn each_layer_is_over_the_one_before_and_values_know_their_origin() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("etc/snap.toml", "host = 'etc'\nseries = 'etc'\ncache-dir = 'c'\n[profile.p]\nhost = 'profile'\n"),
            ("config/snap/snap.toml", "series = 'user'\n"),
        ] {
            fs::create_dir_all(path(name).parent().expect("it has one")).expect("made");
            fs::write(path(name), text).expect("written");
        }
        let config = path("config");
        let mut environment =
            Environment::for_test(&[("XDG_CONFIG_HOME", config.to_str().expect("UTF-8")), ("SNAP_COLOR", "never")]);
        environment.system_folder = path("etc");
        let flag = Flag { key: "color", flag: "--color", value: Value::Text("always".into()) };
        let settings = Settings::load(&environment, Some("p"), vec![flag]).expect("it is valid");
        assert_eq!(settings.text("series"), Some("user"));
        assert_eq!(settings.text("host"), Some("profile"));
        assert_eq!(settings.text("color"), Some("always"));
        assert_eq!(settings.path("cache-dir"), Some(path("etc/c").as_path()));
        assert_eq!(settings.origin("series"), Some(&Origin::File { path: path("config/snap/snap.toml"), line: 1 }));
        let error = Settings::load(&environment, Some("q"), Vec::new()).expect_err("there is no such profile");
        assert_eq!(error.to_string(), "no configuration has a profile \"q\"; did you mean \"p\"?");
    }
}
