//! Colour, which only ever repeats what a symbol or a word says already.
//!
//! `--color` decides, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether the stream is a terminal that can.

use std::fmt::Display;

use crate::cli::environment::Environment;

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Whether a stream is a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// It is.
    Terminal,
    /// It is a file, a pipe, or nothing.
    Other,
}

impl Stream {
    /// What [`std::io::IsTerminal`] told.
    pub fn of(stream: &impl std::io::IsTerminal) -> Self {
        if stream.is_terminal() { Self::Terminal } else { Self::Other }
    }
}

/// Colours, or the same text without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// SGR sequences around the text.
    Coloured,
    /// The text alone.
    Plain,
}

impl Palette {
    /// What `--color`, the environment and the stream together mean.
    pub fn choose(when: When, environment: &Environment, stream: Stream) -> Self {
        let is_set = |name: &str| environment.variable(name).is_some_and(|value| !value.is_empty());
        let coloured = match when {
            When::Always => true,
            When::Never => false,
            When::Auto if is_set("NO_COLOR") => false,
            When::Auto if environment.variable("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0") => true,
            When::Auto => stream == Stream::Terminal && environment.variable("TERM").is_none_or(|term| term != "dumb"),
        };
        if coloured { Self::Coloured } else { Self::Plain }
    }

    /// What was added, or is well.
    pub fn good(self, text: impl Display) -> String {
        self.paint("32", text)
    }

    /// What was changed, or asks for attention.
    pub fn attention(self, text: impl Display) -> String {
        self.paint("33", text)
    }

    /// What was removed, or is wrong.
    pub fn bad(self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// A heading.
    pub fn strong(self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: impl Display) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: impl Display) -> String {
        match self {
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Palette, Stream, When};
    use crate::cli::environment::Environment;

    #[test]
    fn the_flag_is_over_the_environment_and_that_over_the_terminal() {
        let bare = Environment::for_test(&[]);
        let no = Environment::for_test(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]);
        let forced = Environment::for_test(&[("CLICOLOR_FORCE", "1")]);
        let dumb = Environment::for_test(&[("TERM", "dumb")]);
        assert_eq!(Palette::choose(When::Auto, &bare, Stream::Terminal), Palette::Coloured);
        assert_eq!(Palette::choose(When::Auto, &bare, Stream::Other), Palette::Plain);
        assert_eq!(Palette::choose(When::Auto, &no, Stream::Terminal), Palette::Plain);
        assert_eq!(Palette::choose(When::Always, &no, Stream::Other), Palette::Coloured);
        assert_eq!(Palette::choose(When::Auto, &forced, Stream::Other), Palette::Coloured);
        assert_eq!(Palette::choose(When::Auto, &dumb, Stream::Terminal), Palette::Plain);
    }
}
