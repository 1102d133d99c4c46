//! Programs that are run for the user: password commands, hooks, the pager. None of them is given a secret.
//!
//! Commands are lists of words, run without a shell; a text is split into words by the quotes in it.

use std::process::Command;

/// Variables that hold a secret or lead to one; no child's environment has them.
pub const SECRET_VARIABLES: [&str; 5] =
    ["SNAP_PASSWORD", "SNAP_PASSWORD_FILE", "SNAP_PASSWORD_FD", "SNAP_PASSWORD_COMMAND", "SNAP_KEY_FILE"];

/// A program with its arguments, in an environment without secrets; `None` without any words.
pub fn command(words: &[String]) -> Option<Command> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments);
    for variable in SECRET_VARIABLES {
        command.env_remove(variable);
    }
    Some(command)
}

/// The words of a command line: blanks separate, `'…'` and `"…"` keep together, a backslash outside `'…'` keeps the
/// next character; `None` where a quote is not closed.
pub fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::split_words;

    #[test]
    fn quotes_keep_words_together() {
        let words = |line| split_words(line).map(|words| words.join("|"));
        assert_eq!(
            words(r#"pass show 'my repo' "a b\"c" d\ e ''"#).as_deref(),
            Some(r#"pass|show|my repo|a b"c|d e|"#)
        );
        assert_eq!(words("  "), Some(String::new()));
        assert_eq!(words("'open"), None);
        assert_eq!(words(r"end\"), None);
    }
}
