//! Asking before something is removed: on a terminal, on stderr; a script says `--yes`.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::failure::Failure;

/// What the user said beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`.
    Given,
    /// Nothing: they are to be asked.
    Asked,
}

impl Consent {
    /// What `--yes` means.
    pub fn of_flag(yes: bool) -> Self {
        if yes { Self::Given } else { Self::Asked }
    }

    /// Fails where consent is not given and nobody can be asked for it.
    pub fn obtainable(self, what: &str) -> Result<(), Failure> {
        let someone = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self == Self::Given || someone {
            return Ok(());
        }
        Err(Failure::usage(format!("{what} needs your consent, and there is no terminal to ask for it"))
            .with_hint("--dry-run shows what would be done, --yes does it without asking"))
    }

    /// Shows `lines` and asks; `false` where the user does not say yes.
    pub fn ask(self, lines: &[String], question: &str) -> Result<bool, Failure> {
        if self == Self::Given {
            return Ok(true);
        }
        let mut text = lines.join("\n");
        text.push_str(&format!("\n{question} [y/N] "));
        let unasked = |_| Failure::usage("the question cannot be shown on the terminal");
        io::stderr().write_all(text.as_bytes()).map_err(unasked)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(unasked)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
