//! Reads one configuration file: TOML, every key known, every value of its kind, each with its line.
//!
//! All that is wrong is found in one pass, so that `config check` can show it together.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::config::schema::{KEYS, Key, nearest};
use crate::cli::config::value::{Place, Value};
use crate::cli::config::{ConfigError, Problem};
use crate::cli::environment::Environment;

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLayer {
    /// Which file.
    pub path: PathBuf,
    /// Values outside profiles.
    pub settings: Vec<Line>,
    /// Values of each profile.
    pub profiles: Vec<(String, Vec<Line>)>,
}

/// One value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Full name of the key.
    pub key: &'static str,
    /// The name of its table, where there are several of the kind.
    pub of: Option<String>,
    /// Its value.
    pub value: Value,
    /// Line in the file, from 1.
    pub line: usize,
}

/// Whether a file that anyone may have put there is obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The place itself is trusted.
    Given,
    /// Only if the user or root owns it and nobody else may write it.
    IfOwned,
}

/// A file as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Absent,
    /// It is obeyed.
    Read(FileLayer),
    /// It is not obeyed, and why.
    Untrusted(&'static str),
}

/// Reads the file at `path`, if there is one that may be obeyed.
pub fn read(path: &Path, trust: Trust, environment: &Environment) -> Result<Found, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Found::Absent);
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Judged by the open file, so that it cannot be exchanged between the look and the reading.
    let metadata = file.metadata().map_err(unreadable)?;
    if trust == Trust::IfOwned
        && let Some(reason) = distrust(metadata.uid(), metadata.mode(), environment.user_id)
    {
        return Ok(Found::Untrusted(reason));
    }
    let text = io::read_to_string(file).map_err(unreadable)?;
    parse(path, &text, environment).map(Found::Read)
}

/// Why a file in the current folder is not obeyed: it can run commands as the user.
fn distrust(owner: u32, mode: u32, user: u32) -> Option<&'static str> {
    if owner != user && owner != 0 {
        return Some("it belongs to another user");
    }
    (mode & 0o022 != 0).then_some("others may write it")
}

/// What the text of a file sets; the error lists every problem of it.
pub fn parse(path: &Path, text: &str, environment: &Environment) -> Result<FileLayer, ConfigError> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let place = Place { environment, folder: path.parent().unwrap_or(Path::new("/")) };
    let mut reader = Reader { text, place, problems: Vec::new() };
    for error in errors {
        let line = error.span().map_or(1, |span| reader.line(span.start));
        reader.problems.push(Problem { line, message: error.message().to_owned() });
    }
    let mut layer = FileLayer { path: path.to_owned(), ..FileLayer::default() };
    // A broken file loses parts, and what is left would be judged wrongly.
    if reader.problems.is_empty() {
        reader.table("", table.get_ref(), &mut layer);
    }
    reader.problems.sort_by_key(|problem| problem.line);
    if reader.problems.is_empty() {
        Ok(layer)
    } else {
        Err(ConfigError::Invalid { path: path.to_owned(), problems: reader.problems })
    }
}

struct Reader<'a> {
    text: &'a str,
    place: Place<'a>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>, layer: &mut FileLayer) {
        let mut settings = Vec::new();
        for (name, value) in table {
            let line = self.line(name.span().start);
            match value.get_ref() {
                DeValue::Table(profiles) if prefix.is_empty() && name.get_ref() == "profile" => {
                    self.profiles(profiles, layer);
                }
                _ => self.value(&join(prefix, name.get_ref()), line, value, &mut settings),
            }
        }
        layer.settings.extend(settings);
    }

    fn profiles(&mut self, profiles: &DeTable<'_>, layer: &mut FileLayer) {
        for (name, value) in profiles {
            let line = self.line(name.span().start);
            let Some(table) = value.get_ref().as_table() else {
                let message = format!("profile.{} should be a table", name.get_ref());
                self.problems.push(Problem { line, message });
                continue;
            };
            let mut settings = Vec::new();
            for (key, value) in table {
                let line = self.line(key.span().start);
                self.value(key.get_ref(), line, value, &mut settings);
            }
            layer.profiles.push((name.get_ref().to_string(), settings));
        }
    }

    /// Takes a key's value, or every value of a table of keys.
    fn value(&mut self, name: &str, line: usize, value: &Spanned<DeValue<'_>>, settings: &mut Vec<Line>) {
        if let Some(key) = Key::named(name) {
            return self.set(key, None, (name, line), value, settings);
        }
        if Key::of_each(name).next().is_some() {
            return self.named_tables(name, line, value, settings);
        }
        let is_table = KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        match value.get_ref().as_table() {
            Some(table) if is_table && !name.contains('.') => {
                for (inner, value) in table {
                    let line = self.line(inner.span().start);
                    self.value(&join(name, inner.get_ref()), line, value, settings);
                }
            }
            _ => self.problems.push(Problem { line, message: unknown(name, meant(name)) }),
        }
    }

    fn set(
        &mut self,
        key: &Key,
        of: Option<&str>,
        (name, line): (&str, usize),
        value: &Spanned<DeValue<'_>>,
        settings: &mut Vec<Line>,
    ) {
        match Value::of_toml(key.kind, value.get_ref(), self.place) {
            Some(value) => settings.push(Line { key: key.name, of: of.map(str::to_owned), value, line }),
            None => {
                let message = format!("`{name}` should be {}", key.kind.expected());
                self.problems.push(Problem { line, message });
            }
        }
    }

    /// Takes the keys of all tables of a kind, each with a name of its own (`[account.prod]`).
    fn named_tables(&mut self, kind: &str, line: usize, value: &Spanned<DeValue<'_>>, settings: &mut Vec<Line>) {
        let Some(tables) = value.get_ref().as_table() else {
            let message = format!("`{kind}` should be tables, each with a name: [{kind}.NAME]");
            return self.problems.push(Problem { line, message });
        };
        for (of, table) in tables {
            let line = self.line(of.span().start);
            let of = of.get_ref();
            let Some(table) = table.get_ref().as_table().filter(|table| !table.is_empty()) else {
                let message = format!("[{kind}.{of}] should be a table with at least one key");
                self.problems.push(Problem { line, message });
                continue;
            };
            for (name, value) in table {
                let line = self.line(name.span().start);
                let full = format!("{kind}.{of}.{}", name.get_ref());
                match Key::named(&format!("{kind}.*.{}", name.get_ref())) {
                    Some(key) => self.set(key, Some(of), (&full, line), value, settings),
                    None => {
                        let names = Key::of_each(kind).map(|key| key.table_and_name().1);
                        let meant = nearest(name.get_ref(), names).map(|name| format!("{kind}.{of}.{name}"));
                        self.problems.push(Problem { line, message: unknown(&full, meant.as_deref()) });
                    }
                }
            }
        }
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count()
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// The key that was probably meant: a near name, or the same name in another table.
fn meant(name: &str) -> Option<&'static str> {
    let plain = || KEYS.iter().map(|key| key.name).filter(|name| !name.contains('*'));
    let tables = KEYS.iter().filter_map(|key| key.name.split_once('.').map(|(table, _)| table)).chain(["profile"]);
    let last = name.rsplit('.').next().unwrap_or(name);
    let elsewhere = plain().find(|key| key.rsplit('.').next() == Some(last));
    elsewhere.or_else(|| nearest(name, plain().chain(tables)))
}

fn unknown(name: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("unknown key `{name}`; did you mean `{meant}`?"),
        None => format!("unknown key `{name}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::{distrust, parse};
    use crate::cli::config::ConfigError;
    use crate::cli::config::value::Value;
    use crate::cli::environment::Environment;
    use std::path::{Path, PathBuf};

    fn problems(text: &str) -> Vec<String> {
        match parse(Path::new("/etc/snap/snap.toml"), text, &Environment::for_test(&[])) {
            Err(ConfigError::Invalid { problems, .. }) => problems.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_problem_is_told_with_its_line_and_what_was_meant() {
        let found =
            problems("repositry = 'x'\nexclude = []\n[backup]\nexcludes = []\ngitignore = 'yes'\n[zebra]\na = 1\n");
        assert_eq!(
            found,
            [
                "line 1: unknown key `repositry`; did you mean `repository`?",
                "line 2: unknown key `exclude`; did you mean `backup.exclude`?",
                "line 4: unknown key `backup.excludes`; did you mean `backup.exclude`?",
                "line 5: `backup.gitignore` should be true or false",
                "line 6: unknown key `zebra`",
            ]
        );
    }

    #[test]
    fn tables_with_names_of_their_own_hold_the_keys_of_their_kind() {
        let text = "[account.prod]\nprofile = 'p'\nregions = ['a', 'b']\n[profile.x]\naccount.test.home = true\n";
        let layer = parse(Path::new("/etc/snap/snap.toml"), text, &Environment::for_test(&[])).expect("it is valid");
        let line = |line: &super::Line| (line.key, line.of.clone().unwrap_or_default(), line.line);
        let mut lines: Vec<_> = layer.settings.iter().map(line).collect();
        lines.sort();
        let prod = || "prod".to_owned();
        assert_eq!(lines, [("account.*.profile", prod(), 2), ("account.*.regions", prod(), 3)]);
        assert_eq!(line(&layer.profiles[0].1[0]), ("account.*.home", "test".to_owned(), 5));
        let found = problems("account = 1\n");
        assert_eq!(found, ["line 1: `account` should be tables, each with a name: [account.NAME]"]);
        let found = problems("[account.a]\n[account.b]\nregion = ['x']\nhome = 1\n[account.c]\nzebra = 1\n");
        let expected = [
            "line 1: [account.a] should be a table with at least one key",
            "line 3: unknown key `account.b.region`; did you mean `account.b.regions`?",
            "line 4: `account.b.home` should be true or false",
            "line 6: unknown key `account.c.zebra`",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn toml_that_is_none_is_told_with_its_line() {
        let found = problems("host = 'a'\nseries =\n");
        assert!(found[0].starts_with("line 2: "), "{found:?}");
    }

    #[test]
    fn profiles_hold_the_same_keys() {
        let text = "[profile.www]\nrepository = 'repo'\nbackup.paths = ['~/www']\n";
        let environment = Environment::for_test(&[("HOME", "/home/me")]);
        let layer = parse(Path::new("/etc/snap/snap.toml"), text, &environment).expect("it is valid");
        let (name, lines) = &layer.profiles[0];
        let values: Vec<_> = lines.iter().map(|line| (line.key, line.value.clone(), line.line)).collect();
        assert_eq!(name, "www");
        assert!(values.contains(&("repository", Value::Path("/etc/snap/repo".into()), 2)));
        assert!(values.contains(&("backup.paths", Value::Paths(vec![PathBuf::from("/home/me/www")]), 3)));
        assert!(problems("[profile.www]\nprofile = 1\n")[0].contains("unknown key `profile`"));
    }

    #[test]
    fn only_files_of_the_user_or_root_that_nobody_else_writes_are_trusted() {
        assert_eq!(distrust(1000, 0o100_644, 1000), None);
        assert_eq!(distrust(0, 0o100_644, 1000), None);
        assert!(distrust(1001, 0o100_644, 1000).is_some());
        assert!(distrust(1001, 0o100_644, 0).is_some());
        assert!(distrust(1000, 0o100_664, 1000).is_some());
        assert!(distrust(1000, 0o100_646, 1000).is_some());
    }
}
