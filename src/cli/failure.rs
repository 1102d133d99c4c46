//! An error at the edge: which exit status it means, its chain of reasons, and the way out.
//!
//! The floors below say what, which and why; only here is a hint added and an exit status chosen. A new operation
//! brings a `From` for its error enum.

use std::error::Error;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::exit::ExitStatus;
use crate::cli::text::harmless;
use crate::id::IdError;
use crate::operation::reference::ReferenceError;

/// Why a command ended, ready to be printed. Without any reasons it ends quietly.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    status: ExitStatus,
    chain: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// A failure that is said here for the first time.
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self { status, chain: vec![message.into()], hint: None }
    }

    /// The failure that an error and all its sources tell, each reason once.
    pub fn of(status: ExitStatus, error: &dyn Error) -> Self {
        let mut chain: Vec<String> = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next {
            let reason = error.to_string();
            if !chain.last().is_some_and(|said| said.ends_with(&reason)) {
                chain.push(reason);
            }
            next = error.source();
        }
        Self { status, chain, hint: None }
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// Something that could not be done with a file: `cannot read /etc/x: permission denied`.
    pub fn file(action: &str, path: &Path, error: &io::Error) -> Self {
        let mut failure = Self::new(ExitStatus::Failed, format!("cannot {action} {}", path.display()));
        failure.chain.push(error.to_string());
        failure
    }

    /// Whoever read stdout has gone: nothing is wrong and nobody is there to be told.
    pub fn reader_gone() -> Self {
        Self { status: ExitStatus::Done, chain: Vec::new(), hint: None }
    }

    /// A signal asked to stop.
    pub fn interrupted(status: ExitStatus) -> Self {
        Self::new(status, "interrupted").with_hint("what was done is kept; run the same command again to go on")
    }
    /// Adds the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first what was being done: `restore of 4ac1…: no space left`.
    #[must_use]
    pub fn while_doing(mut self, what: impl Into<String>) -> Self {
        self.chain.insert(0, what.into());
        self
    }

    /// How the process ends.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Whether there is nothing to say.
    pub fn is_quiet(&self) -> bool {
        self.chain.is_empty()
    }

    /// The lines for people, safe for a terminal: `snap: what: which: why`, then `hint: …`.
    pub fn lines(&self) -> String {
        let mut lines = format!("snap: {}\n", harmless(&self.chain.join(": ")));
        if let Some(hint) = &self.hint {
            lines.push_str(&format!("hint: {}\n", harmless(hint)));
        }
        lines
    }

    /// The `error` line of `--json`.
    pub fn json(&self) -> Value {
        json!({
            "type": "error",
            "message": self.chain.join(": "),
            "chain": self.chain,
            "hint": self.hint,
            "status": self.status.word(),
            "code": self.status.code(),
        })
    }
}

impl From<IdError> for Failure {
    fn from(error: IdError) -> Self {
        Self::of(ExitStatus::Usage, &error)
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        match &error {
            ReferenceError::Malformed { .. } => Self::of(ExitStatus::Usage, &error)
                .with_hint("a snapshot is `latest`, `latest~2`, `@2026-11-01`, an id, `tag:NAME` or `series:NAME`"),
            ReferenceError::Ambiguous { .. } => {
                Self::of(ExitStatus::Failed, &error).with_hint("give more digits of the one that is meant")
            }
            ReferenceError::Empty => {
                Self::of(ExitStatus::Failed, &error).with_hint("`snap backup PATH` makes the first")
            }
            ReferenceError::NotFound { .. } | ReferenceError::TooFarBack { .. } => {
                Self::of(ExitStatus::Failed, &error).with_hint("`snap snapshots` lists what there is")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Failure;
    use crate::cli::exit::ExitStatus;

    #[derive(Debug, thiserror::Error)]
    #[error("pack 12 cannot be read")]
    struct Outer(#[from] Inner);
    #[derive(Debug, thiserror::Error)]
    #[error("no such file")]
    struct Inner;

    #[test]
    fn every_reason_is_said_once_and_the_hint_apart() {
        let failure = Failure::of(ExitStatus::Failed, &Outer(Inner)).with_hint("plug the disk in");
        assert_eq!(failure.lines(), "snap: pack 12 cannot be read: no such file\nhint: plug the disk in\n");
    }

    #[test]
    fn a_name_cannot_smuggle_terminal_commands_into_an_error() {
        let lines = Failure::new(ExitStatus::Failed, "no file \u{1b}[2J\u{202e}x").lines();
        assert_eq!(lines, "snap: no file \\x1b[2J\\u{202e}x\n");
    }
}
