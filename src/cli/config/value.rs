//! Values of configuration, typed as the schema says, and where each came from.
//!
//! A file's values are TOML, a variable's and a flag's are text; both become the same [`Value`].

use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use crate::cli::child::split_words;
use crate::cli::config::schema::Kind;
use crate::cli::environment::Environment;
use crate::cli::text;

/// A value of configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, a choice or an address.
    Text(String),
    /// A path.
    Path(PathBuf),
    /// A switch.
    Switch(bool),
    /// Bytes.
    Size(u64),
    /// How many.
    Count(u32),
    /// A list of texts, or the words of a command.
    Texts(Vec<String>),
    /// A list of paths.
    Paths(Vec<PathBuf>),
}

/// Where a value came from, weakest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// A profile of a configuration file.
    Profile {
        /// Its name.
        name: String,
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// A variable.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Profile { name, path, line } => write!(f, "profile {name}, {}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Where relative paths of a value start.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// For `~/`.
    pub environment: &'a Environment,
    /// The file's folder, or the current one.
    pub folder: &'a Path,
}

impl Place<'_> {
    fn path(self, text: &str) -> PathBuf {
        self.environment.resolve(self.folder, Path::new(text))
    }
}

impl Value {
    /// A value of a file; `None` where it is not of this kind.
    pub fn of_toml(kind: Kind, value: &DeValue<'_>, place: Place<'_>) -> Option<Self> {
        let texts = || -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
        };
        match kind {
            Kind::Switch => value.as_bool().map(Self::Switch),
            Kind::Size => match value.as_integer() {
                Some(number) => u64::from_str_radix(number.as_str(), number.radix()).ok().map(Self::Size),
                None => Self::of_text(kind, value.as_str()?, place),
            },
            Kind::Count => {
                let number = value.as_integer()?;
                u32::from_str_radix(number.as_str(), number.radix()).ok().map(Self::Count)
            }
            Kind::Texts => texts().map(Self::Texts),
            Kind::Paths => texts().map(|texts| Self::Paths(texts.iter().map(|t| place.path(t)).collect())),
            Kind::Command if value.is_array() => texts().filter(|words| !words.is_empty()).map(Self::Texts),
            _ => Self::of_text(kind, value.as_str()?, place),
        }
    }

    /// The value that a text means, in a variable or a flag; `None` where it is not of this kind.
    pub fn of_text(kind: Kind, text: &str, place: Place<'_>) -> Option<Self> {
        match kind {
            Kind::Text => Some(Self::Text(text.to_owned())),
            Kind::Path => Some(Self::Path(place.path(text))),
            Kind::Location if text.contains("://") => Some(Self::Text(text.to_owned())),
            Kind::Location => Some(Self::Path(place.path(text))),
            Kind::Switch => text.parse().ok().map(Self::Switch),
            Kind::Size => text::parse_bytes(text).map(Self::Size),
            Kind::Count => text.parse().ok().map(Self::Count),
            Kind::Choice(words) => words.contains(&text).then(|| Self::Text(text.to_owned())),
            Kind::Texts => Some(Self::Texts(vec![text.to_owned()])),
            Kind::Paths => Some(Self::Paths(vec![place.path(text)])),
            Kind::Command => split_words(text).filter(|words| !words.is_empty()).map(Self::Texts),
        }
    }

    /// As JSON, which for every kind is also how TOML writes it.
    pub fn json(&self) -> serde_json::Value {
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Path(path) => shown(path).into(),
            Self::Switch(switch) => (*switch).into(),
            Self::Size(bytes) => (*bytes).into(),
            Self::Count(count) => (*count).into(),
            Self::Texts(texts) => texts.clone().into(),
            Self::Paths(paths) => paths.iter().map(shown).collect::<Vec<_>>().into(),
        }
    }
}
