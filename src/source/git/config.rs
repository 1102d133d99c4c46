//! What little of git's configuration a capture needs (git-config(1)): a value by its name, and settings taken out of force.
//!
//! Files that a configuration includes are not read.

/// One line of a configuration and what it sets.
struct Line<'l> {
    /// With its end, and the lines that it goes on in.
    text: &'l [u8],
    /// Where a setting begins behind a section's name on the same line.
    setting_at: usize,
    section: Vec<u8>,
    name: String,
    value: String,
}

/// The last value of a setting: its section (`core`, `remote "origin"`), its name in lower case.
pub(super) fn value(text: &[u8], section: &str, name: &str) -> Option<String> {
    let found = lines(text).into_iter().rfind(|line| line.section == section.as_bytes() && line.name == name);
    found.map(|line| line.value)
}

/// The same configuration with these settings of a section made comments.
pub(super) fn without(text: &[u8], section: &str, names: &[&str]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(text.len() + 16);
    for line in lines(text) {
        if line.section != section.as_bytes() || !names.contains(&line.name.as_str()) {
            rest.extend_from_slice(line.text);
            continue;
        }
        let (header, setting) = line.text.split_at(line.setting_at);
        rest.extend_from_slice(header);
        if !header.is_empty() {
            rest.push(b'\n');
        }
        for part in setting.split_inclusive(|byte| *byte == b'\n') {
            rest.push(b'#');
            rest.extend_from_slice(part);
        }
    }
    rest
}

/// A URL without the user, the password and the query that it may have.
pub(super) fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn lines(text: &[u8]) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut section = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = rest.split_at(length_of(rest));
        rest = after;
        let mut setting_at = 0;
        if line.trim_ascii_start().starts_with(b"[") {
            let end = line.iter().position(|byte| *byte == b']').unwrap_or(line.len() - 1);
            let start = line.iter().position(|byte| *byte == b'[').unwrap_or(0);
            section = section_of(&line[start + 1..end.max(start + 1)]);
            setting_at = end + 1;
        }
        let setting = String::from_utf8_lossy(&line[setting_at..]);
        let (name, value) = setting.split_once('=').unwrap_or((&setting, "true"));
        let name = name.trim().to_ascii_lowercase();
        found.push(Line { text: line, setting_at, section: section.clone(), name, value: unquoted(value) });
    }
    found
}

/// Length of the first line, with those it goes on in behind a `\`.
fn length_of(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let end = text[length..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| length + at + 1);
        let line = text[length..end].trim_ascii_end();
        length = end;
        if length == text.len() || !line.ends_with(b"\\") {
            return length;
        }
    }
}

/// The name of a section in lower case; what stands in quotes counts as it is.
fn section_of(text: &[u8]) -> Vec<u8> {
    let (name, rest) = text.split_at(text.iter().position(|byte| *byte == b' ').unwrap_or(text.len()));
    [&name.to_ascii_lowercase(), rest].concat()
}

/// A value without quotes, escapes and the comment behind it.
fn unquoted(text: &str) -> String {
    let mut value = String::new();
    let mut is_quoted = false;
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' => value.extend(characters.next().filter(|next| *next != '\n')),
            '#' | ';' if !is_quoted => break,
            other => value.push(other),
        }
    }
    value.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{value, without, without_credentials};

    const TEXT: &[u8] =
        b"[core]\n\tbare = false ; no\n\tworktree = ../a \\\n b\n[Remote \"Origin\"] url = \"x # y\"\n[core] bare\n";

    #[test]
    fn the_last_value_counts_and_names_of_subsections_are_exact() {
        assert_eq!(value(TEXT, "core", "bare").as_deref(), Some("true"));
        assert_eq!(value(TEXT, "remote \"Origin\"", "url").as_deref(), Some("x # y"));
        assert_eq!(value(TEXT, "remote \"origin\"", "url"), None);
    }

    #[test]
    fn settings_become_comments_with_all_their_lines() {
        let rest = without(TEXT, "core", &["worktree", "bare"]);
        let expected = b"[core]\n#\tbare = false ; no\n#\tworktree = ../a \\\n# b\n[Remote \"Origin\"] url = \"x # y\"\n[core]\n# bare\n";
        assert_eq!(String::from_utf8_lossy(&rest), String::from_utf8_lossy(expected));
    }

    #[test]
    fn what_is_no_configuration_is_read_without_harm() {
        for text in [&b"["[..], b"[a", b"]", b"=", b"[]\\", b"\\\n", b"[core\nbare=1\n"] {
            assert_eq!(value(text, "core", "worktree"), None);
            assert_eq!(without(text, "x", &["y"]), text);
        }
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("https://me:secret@example.org/a.git?token=b", "https://example.org/a.git"),
            ("ssh://git@example.org:22/a", "ssh://example.org:22/a"),
            ("git@example.org:a/b", "git@example.org:a/b"),
            ("/srv/a@b", "/srv/a@b"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
