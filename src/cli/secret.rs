//! Where the password or key comes from: command, file, descriptor, variable, prompt, in that order; never an argument.
//!
//! Flags come before variables and those before configuration files. Secrets are zeroed when dropped, and nothing here
//! prints one or gives one to a child.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::cli::child;
use crate::cli::config::Settings;
use crate::cli::config::value::Origin;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;

/// Longest secret that is read; a file that is longer is the wrong file.
const SECRET_SIZE_MAX: u64 = 64 * 1024;

/// What opens a repository.
pub enum Secret {
    /// A password, UTF-8.
    Password(Zeroizing<String>),
    /// The text of a key file: one line of 64 hex digits.
    KeyFile(Zeroizing<String>),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Secret::Password(…)",
            Self::KeyFile(_) => "Secret::KeyFile(…)",
        })
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// What this command prints.
    Command(Vec<String>),
    /// What this file holds.
    File(PathBuf),
    /// What this open descriptor gives.
    Descriptor(String),
    /// The variable `SNAP_PASSWORD`.
    Variable,
    /// A key file.
    KeyFile(PathBuf),
    /// `--insecure-no-password` alone: the empty password.
    Nothing,
    /// A question on the terminal.
    Prompt,
}

/// Whether an empty password is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyPassword {
    /// It is an error.
    #[default]
    Refused,
    /// The user said `--insecure-no-password`.
    Allowed,
}

/// A secret that cannot be had.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The command could not be run.
    #[error("cannot run the password command {program}")]
    CommandNotRun {
        /// Its first word.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The command failed.
    #[error("the password command {program} failed: {status}")]
    CommandFailed {
        /// Its first word.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The file, descriptor or terminal could not be read.
    #[error("cannot read the password from {place}")]
    Unreadable {
        /// Which.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// It is not UTF-8, or far too long.
    #[error("what {place} gives is no password: {reason}")]
    Unusable {
        /// Which.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// It is empty.
    #[error("the password from {place} is empty")]
    Empty {
        /// Which.
        place: String,
    },
    /// The two answers differ.
    #[error("the two passwords differ")]
    Mismatch,
    /// The user left at the prompt.
    #[error("interrupted at the prompt")]
    Interrupted,
    /// No source is given and nobody can be asked.
    #[error("no password is given, and there is no terminal to ask for it")]
    NobodyToAsk,
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        match &error {
            SecretError::NobodyToAsk => Self::of(ExitStatus::WrongPassword, &error)
                .with_hint("set SNAP_PASSWORD_COMMAND or SNAP_PASSWORD_FILE, or give --password-file or --key-file"),
            SecretError::Empty { .. } => {
                Self::of(ExitStatus::WrongPassword, &error).with_hint("--insecure-no-password takes an empty password")
            }
            SecretError::Interrupted => Self::of(ExitStatus::Interrupted, &error),
            _ => Self::of(ExitStatus::WrongPassword, &error),
        }
    }
}

impl SecretSource {
    /// The first that is given: flags, then variables, then files; and in each command, file, descriptor, variable, key.
    /// An empty password that the user allowed is the last of the flags, so it comes before every variable.
    pub fn choose(settings: &Settings, environment: &Environment, empty: EmptyPassword) -> Self {
        type Layer = fn(&Origin) -> bool;
        let flags: Layer = |origin| matches!(origin, Origin::Flag(_));
        let variables: Layer = |origin| matches!(origin, Origin::Variable(_));
        let files: Layer = |origin| matches!(origin, Origin::File { .. } | Origin::Profile { .. });
        for (layer, is_variables) in [(flags, false), (variables, true), (files, false)] {
            let has = |key| settings.origin(key).is_some_and(layer);
            if has("password-command") {
                return Self::Command(settings.words("password-command"));
            }
            if let Some(path) = settings.path("password-file").filter(|_| has("password-file")) {
                return Self::File(path.to_owned());
            }
            if let Some(number) = environment.variable("SNAP_PASSWORD_FD").filter(|_| is_variables) {
                return Self::Descriptor(number.to_string_lossy().into_owned());
            }
            if is_variables && environment.variable("SNAP_PASSWORD").is_some() {
                return Self::Variable;
            }
            if let Some(path) = settings.path("key-file").filter(|_| has("key-file")) {
                return Self::KeyFile(path.to_owned());
            }
            if empty == EmptyPassword::Allowed {
                return Self::Nothing;
            }
        }
        Self::Prompt
    }

    /// The secret of a repository that exists.
    pub fn read(&self, environment: &Environment, empty: EmptyPassword) -> Result<Secret, SecretError> {
        if let Self::KeyFile(path) = self {
            return Ok(Secret::KeyFile(read_file(path)?));
        }
        let password = match self {
            Self::Prompt => ask("password: ")?,
            _ => self.read_given(environment)?,
        };
        self.accept(password, empty)
    }

    /// The secret of a new slot: at a prompt it is asked for twice.
    pub fn read_new(&self, environment: &Environment, empty: EmptyPassword) -> Result<Secret, SecretError> {
        if *self != Self::Prompt {
            return self.read(environment, empty);
        }
        let password = ask("new password: ")?;
        if *password != *ask("new password again: ")? {
            return Err(SecretError::Mismatch);
        }
        self.accept(password, empty)
    }

    fn accept(&self, password: Zeroizing<String>, empty: EmptyPassword) -> Result<Secret, SecretError> {
        if password.is_empty() && empty == EmptyPassword::Refused {
            return Err(SecretError::Empty { place: self.to_string() });
        }
        Ok(Secret::Password(password))
    }

    fn read_given(&self, environment: &Environment) -> Result<Zeroizing<String>, SecretError> {
        match self {
            Self::Command(words) => run(words, self),
            Self::File(path) => read_file(path),
            Self::Descriptor(number) => {
                let unreadable = |source| SecretError::Unreadable { place: self.to_string(), source };
                let number: u32 = number.parse().map_err(|_| unreadable(io::ErrorKind::InvalidInput.into()))?;
                let file = File::open(format!("/dev/fd/{number}")).map_err(unreadable)?;
                read_all(file, &self.to_string())
            }
            Self::Variable => {
                let value = environment.variable("SNAP_PASSWORD").unwrap_or_default().to_str();
                let unusable = || SecretError::Unusable { place: self.to_string(), reason: "it is not UTF-8" };
                Ok(Zeroizing::new(value.ok_or_else(unusable)?.to_owned()))
            }
            Self::KeyFile(_) | Self::Nothing | Self::Prompt => Ok(Zeroizing::default()),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => write!(f, "the command {}", words.first().map_or("", String::as_str)),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Descriptor(number) => write!(f, "descriptor {number}"),
            Self::Variable => f.write_str("SNAP_PASSWORD"),
            Self::KeyFile(path) => write!(f, "the key file {}", path.display()),
            Self::Nothing => f.write_str("--insecure-no-password"),
            Self::Prompt => f.write_str("the terminal"),
        }
    }
}

fn run(words: &[String], source: &SecretSource) -> Result<Zeroizing<String>, SecretError> {
    let program = words.first().cloned().unwrap_or_default();
    let not_run = |source| SecretError::CommandNotRun { program: program.clone(), source };
    let mut command = child::command(words).ok_or_else(|| not_run(io::ErrorKind::InvalidInput.into()))?;
    let mut running = command.stdout(Stdio::piped()).spawn().map_err(not_run)?;
    let output = running.stdout.take().expect("because it was just piped");
    let password = read_all(output, &source.to_string());
    let status = running.wait().map_err(not_run)?;
    if status.success() { password } else { Err(SecretError::CommandFailed { program, status }) }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, SecretError> {
    let place = path.display().to_string();
    let file = File::open(path).map_err(|source| SecretError::Unreadable { place: place.clone(), source })?;
    read_all(file, &place)
}

/// All that there is, without its last line end. The buffer never grows, so that no copy of it stays behind.
fn read_all(reader: impl Read, place: &str) -> Result<Zeroizing<String>, SecretError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024 + 1));
    reader
        .take(SECRET_SIZE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| SecretError::Unreadable { place: place.to_owned(), source })?;
    let unusable = |reason| SecretError::Unusable { place: place.to_owned(), reason };
    if bytes.len() as u64 > SECRET_SIZE_MAX {
        return Err(unusable("it is longer than 64 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("it is not UTF-8"))?;
    let line = text.strip_suffix('\n').map_or(text, |rest| rest.strip_suffix('\r').unwrap_or(rest));
    Ok(Zeroizing::new(line.to_owned()))
}

fn ask(question: &str) -> Result<Zeroizing<String>, SecretError> {
    if !io::stdin().is_terminal() && !io::stderr().is_terminal() {
        return Err(SecretError::NobodyToAsk);
    }
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => SecretError::NobodyToAsk,
        io::ErrorKind::Interrupted => SecretError::Interrupted,
        _ => SecretError::Unreadable { place: "the terminal".to_owned(), source },
    })
}
