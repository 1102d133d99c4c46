//! Long answers on a terminal go through the user's pager: `SNAP_PAGER`, `PAGER`, or `less -FRX`.
//!
//! Where there is no pager the text is simply printed.

use std::process::{Child, Stdio};

use crate::cli::child;
use crate::cli::environment::Environment;
use crate::cli::output::{Form, Output};

/// A running pager; `end` waits until the user has left it.
#[derive(Debug, Default)]
pub struct Pager(Option<Child>);

impl Pager {
    /// Sends all later output through the pager, if it is for people and goes to a terminal.
    pub fn begin(output: &Output, environment: &Environment) -> Self {
        if output.form() == Form::Json || !output.is_terminal() {
            return Self(None);
        }
        let Some(words) = choose(environment) else { return Self(None) };
        let Some(mut command) = child::command(&words) else { return Self(None) };
        command.stdin(Stdio::piped());
        if environment.variable("LESSCHARSET").is_none() {
            command.env("LESSCHARSET", "utf-8");
        }
        let Ok(mut child) = command.spawn() else { return Self(None) };
        if let Some(input) = child.stdin.take() {
            output.redirect(Box::new(std::io::BufWriter::new(input)));
        }
        Self(Some(child))
    }

    /// Closes its input and waits until the user has left it.
    pub fn end(mut self, output: &Output) {
        if let Some(mut child) = self.0.take() {
            // A reader that left early is no failure, and neither is how a pager exits.
            let _ = output.flush();
            output.redirect(Box::new(std::io::stdout()));
            let _ = child.wait();
        }
    }
}

/// The pager's words; `None` where the user wants none.
fn choose(environment: &Environment) -> Option<Vec<String>> {
    let wish = environment.variable("SNAP_PAGER").or_else(|| environment.variable("PAGER"));
    let words = match wish {
        Some(line) => child::split_words(line.to_str()?)?,
        None => vec!["less".to_owned(), "-FRX".to_owned()],
    };
    (!words.is_empty() && words != ["cat"]).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::cli::environment::Environment;

    #[test]
    fn an_empty_pager_means_none() {
        let chosen = |variables: &[(&str, &str)]| choose(&Environment::for_test(variables));
        assert_eq!(chosen(&[]), Some(vec!["less".to_owned(), "-FRX".to_owned()]));
        assert_eq!(chosen(&[("PAGER", "")]), None);
        assert_eq!(chosen(&[("PAGER", "more"), ("SNAP_PAGER", "most -s")]), Some(vec!["most".into(), "-s".into()]));
    }
}
