//! Every key that a configuration may have: its name, what it holds and one line of explanation.
//!
//! The reader of files, the suggestions for misspelt keys, `config show` and `config init` all go by this one table, so
//! a new key is one line here and its use.

use crate::storage::s3::STORAGE_CLASSES;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path; in a file, relative to the file's folder; `~/` is the user's home.
    Path,
    /// A path or an address with a scheme.
    Location,
    /// `true` or `false`.
    Switch,
    /// Bytes: a number, or text as `10M`.
    Size,
    /// A whole number.
    Count,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of paths.
    Paths,
    /// A program and its arguments: a list of words, or one text that is split by its quotes. No shell.
    Command,
}

impl Kind {
    /// What a value should be, for errors.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Location => "a path or an address".to_owned(),
            Self::Switch => "true or false".to_owned(),
            Self::Size => "a size as 1048576 or \"10M\"".to_owned(),
            Self::Count => "a whole number".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Texts => "a list of texts".to_owned(),
            Self::Paths => "a list of paths".to_owned(),
            Self::Command => "a command: a list of words, or one text".to_owned(),
        }
    }
}

/// One key; `account.*.role` stands in each table `[account.NAME]`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its full name, with its table before a dot.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// The variable that sets it, where there is one.
    pub variable: Option<&'static str>,
    /// Its default, as `config init` shows it.
    pub example: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("repository", Kind::Location, "\"/srv/backup\"", "where snapshots are kept").of("SNAP_REPOSITORY"),
    key("host", Kind::Text, "\"laptop\"", "name of this machine in snapshots").of("SNAP_HOST"),
    key("series", Kind::Text, "\"laptop\"", "the line of snapshots that a backup continues").of("SNAP_SERIES"),
    key(
        "password-command",
        Kind::Command,
        "[\"pass\", \"show\", \"snap\"]",
        "prints the password; run without a shell",
    )
    .of("SNAP_PASSWORD_COMMAND"),
    key("password-file", Kind::Path, "\"~/.config/snap/password\"", "holds the password").of("SNAP_PASSWORD_FILE"),
    key("key-file", Kind::Path, "\"~/.config/snap/key\"", "holds a key of 64 hex digits").of("SNAP_KEY_FILE"),
    key("cache-dir", Kind::Path, "\"~/.cache/snap\"", "what can be had again from the repository").of("SNAP_CACHE_DIR"),
    key("cache-size", Kind::Size, "\"1G\"", "most of it that is kept of an S3 repository; 0 keeps the index only"),
    key("color", Kind::Choice(&["auto", "always", "never"]), "\"auto\"", "when to colour").of("SNAP_COLOR"),
    key("s3.packs-class", Kind::Choice(STORAGE_CLASSES), "\"STANDARD_IA\"", "storage class of new packs"),
    key("s3.rest-class", Kind::Choice(STORAGE_CLASSES), "\"STANDARD\"", "storage class of all other new objects"),
    key("backup.paths", Kind::Paths, "[\"~/sites\", \"/etc\"]", "what `snap backup` without paths captures"),
    key("backup.exclude", Kind::Texts, "[\"*.tmp\", \"node_modules/\"]", "globs that are left out"),
    key("backup.exclude-file", Kind::Paths, "[\"excludes.txt\"]", "files with one such glob a line"),
    key("backup.exclude-caches", Kind::Switch, "true", "leave out folders with a CACHEDIR.TAG"),
    key("backup.exclude-larger-than", Kind::Size, "\"2G\"", "leave out larger files"),
    key("backup.one-file-system", Kind::Switch, "true", "do not cross into other file systems"),
    key("backup.gitignore", Kind::Switch, "true", "leave out what .gitignore files name"),
    key("backup.ignore-file", Kind::Texts, "[\".snapignore\"]", "names of files that hold globs for their folder"),
    key("backup.tags", Kind::Texts, "[\"nightly\"]", "labels of each snapshot"),
    key(
        "backup.accept-gaps",
        Kind::Texts,
        "[\"route53:GetDNSSEC\", \"ses/receipt-rules.json\"]",
        "what may be missing without the backup being incomplete: actions, or globs on paths of the layout",
    ),
    key("account.*.profile", Kind::Text, "\"prod\"", "an AWS account that is captured: its profile of the AWS tools"),
    key(
        "account.*.role",
        Kind::Text,
        "\"arn:aws:iam::123456789012:role/snap\"",
        "the role that is assumed to look at it",
    ),
    key("account.*.external-id", Kind::Text, "\"snap\"", "what that role demands to hear"),
    key("account.*.regions", Kind::Texts, "[\"eu-west-1\"]", "the regions that are looked at, the home region first"),
    key(
        "account.*.home",
        Kind::Switch,
        "true",
        "the account whose names need not say which it is, where there are several",
    ),
    key("account.*.only", Kind::Texts, "[\"s3\", \"lambda\"]", "the services that are captured, instead of all"),
    key(
        "account.*.exclude",
        Kind::Texts,
        "[\"s3-buckets/logs-*\"]",
        "what is left out: globs as in .gitignore, on paths of the layout",
    ),
    key("account.*.api-share", Kind::Count, "50", "per cent of the calls AWS allows that are made at most"),
    key("account.*.endpoint", Kind::Text, "\"http://127.0.0.1:4566\"", "a service of one's own instead of AWS"),
    key("account.*.s3-versions", Kind::Choice(&["latest", "all"]), "\"all\"", "which versions of objects"),
    key(
        "account.*.s3-metadata",
        Kind::Choice(&["fast", "full"]),
        "\"full\"",
        "full asks for tags and access lists again, though the object did not change",
    ),
    key("account.*.lambda-versions", Kind::Choice(&["latest", "all"]), "\"all\"", "which versions of functions"),
    key("account.*.table-items", Kind::Choice(&["all", "none"]), "\"none\"", "which items of DynamoDB tables"),
    key("account.*.table-sample", Kind::Count, "100", "so many items of each table instead of all"),
    key("git.repositories", Kind::Paths, "[\"~/sites/www\"]", "clones that are captured, working tree and history"),
    key("git.find-below", Kind::Paths, "[\"~/src\"]", "folders below which clones are looked for"),
    key(
        "launch-agents.capture",
        Kind::Switch,
        "true",
        "capture what this system starts for you: launch agents, units, crontabs",
    ),
    key("launch-agents.paths", Kind::Paths, "[\"/opt/agents\"]", "more folders or files of that kind"),
    key(
        "environment.files",
        Kind::Paths,
        "[\"~/sites/www/.env\"]",
        "files of variables whose names are kept, never a value",
    ),
    key("environment.find-below", Kind::Paths, "[\"~/sites\"]", "folders below which files named .env are looked for"),
    key("apps-script.find", Kind::Switch, "true", "capture all Google Apps Script projects that Drive lists"),
    key(
        "apps-script.projects",
        Kind::Texts,
        "[\"1aBcD…\"]",
        "ids of projects, as those bound to a document are not listed",
    ),
    key(
        "apps-script.credentials",
        Kind::Path,
        "\"~/.clasprc.json\"",
        "a file of clasp or gcloud, or the key of a service account",
    ),
    key(
        "apps-script.user",
        Kind::Text,
        "\"default\"",
        "which user of clasp's file, or for whom a service account acts",
    ),
    key(
        "apps-script.token-command",
        Kind::Command,
        "[\"gcloud\", \"auth\", \"print-access-token\"]",
        "prints an access token; run without a shell",
    ),
    key(
        "apps-script.versions",
        Kind::Choice(&["listed", "content"]),
        "\"content\"",
        "whether files of earlier versions are kept",
    ),
    key("retention.keep-last", Kind::Count, "3", "what `snap forget` keeps of each series: the newest snapshots"),
    key("retention.keep-hourly", Kind::Count, "24", "the newest of each of the last hours that have one"),
    key("retention.keep-daily", Kind::Count, "7", "the same of days"),
    key("retention.keep-weekly", Kind::Count, "5", "of weeks"),
    key("retention.keep-monthly", Kind::Count, "12", "of months"),
    key("retention.keep-yearly", Kind::Count, "10", "of years"),
    key("retention.keep-within", Kind::Text, "\"14d\"", "all that are so much older than the newest, or less"),
    key("retention.keep-tags", Kind::Texts, "[\"keep\"]", "all with one of these labels"),
    key(
        "hooks.before",
        Kind::Command,
        "[\"pg_dump\", \"-f\", \"/var/db.sql\"]",
        "before a backup; if it fails there is none",
    ),
    key("hooks.after", Kind::Command, "[\"echo\", \"done\"]", "after a backup that succeeded"),
    key("hooks.failed", Kind::Command, "[\"logger\", \"backup failed\"]", "after one that did not, or is incomplete"),
    key("hooks.finally", Kind::Command, "[\"umount\", \"/mnt\"]", "after each backup, whatever happened"),
    key(
        "notify.command",
        Kind::Command,
        "[\"notify-send\", \"snap\"]",
        "told the result in SNAP_RESULT and SNAP_EXIT_CODE",
    ),
    key(
        "notify.ping",
        Kind::Text,
        "\"https://hc-ping.com/…\"",
        "asked for /start, and at the end for /EXITCODE with what went wrong, in the manner of Healthchecks",
    ),
    key("notify.webhook", Kind::Text, "\"https://example.org/hook\"", "sent a JSON document about each backup"),
    key(
        "notify.prometheus",
        Kind::Path,
        "\"/var/lib/node_exporter/snap.prom\"",
        "text file of metrics, replaced after each backup",
    ),
];

const fn key(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Key {
    Key { name, kind, variable: None, example, about }
}

impl Key {
    const fn of(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }

    /// The key of this full name.
    pub fn named(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// The keys that each named table of this kind (`account`) may have.
    pub fn of_each(kind: &str) -> impl Iterator<Item = &'static Key> {
        KEYS.iter().filter(move |key| key.table_and_name().0.strip_suffix(".*") == Some(kind))
    }

    /// Its table, empty where it stands outside of all, and its name there.
    pub fn table_and_name(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').unwrap_or(("", self.name))
    }
}

/// The name nearest to a misspelt one, if it is near enough to be meant.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase().replace('_', "-");
    let near = names.map(|name| (edit_distance(&wrong, name), name)).min()?;
    (near.0 <= near.1.len().max(3) / 3).then_some(near.1)
}

/// Levenshtein's distance, by one row of the table at a time.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{KEYS, edit_distance, nearest};

    #[test]
    fn a_misspelt_key_finds_the_one_that_was_meant() {
        let names = || KEYS.iter().map(|key| key.name);
        assert_eq!(nearest("repo", names()), None);
        assert_eq!(nearest("repositry", names()), Some("repository"));
        assert_eq!(nearest("password_file", names()), Some("password-file"));
        assert_eq!(nearest("backup.excludes", names()), Some("backup.exclude"));
        assert_eq!(nearest("zzz", names()), None);
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
    }

    #[test]
    fn no_key_stands_twice() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[at + 1..].iter().all(|other| other.name != key.name), "{}", key.name);
        }
    }
}
