//! The names of variables and secrets: all that are certain, and never a piece of a value, whatever files hold.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};
use snap::operation::backup::BackupReport;
use snap::repository::Repository;
use snap::source::environment::dotenv::{Outcome, names};
use snap::source::environment::{Environment, EnvironmentSettings, Name, NameSource, Names, Origin};
use snap::source::estate::{Problem, Source};

use super::engine::{capture_all, entries, gaps, record, repository};

const MANIFEST: &str = "environment-manifest.json";

fn back_up(repository: &Arc<Repository>, settings: EnvironmentSettings) -> BackupReport {
    capture_all(repository, vec![Arc::new(Environment::new(settings)) as Arc<dyn Source>])
}

/// The manifest, as it is stored.
fn manifest(repository: &Repository, report: &BackupReport) -> Value {
    let entries = entries(repository, record(report, MANIFEST));
    assert_eq!(entries.keys().collect::<Vec<_>>(), [""]);
    serde_json::from_slice(&entries[""].1).expect("JSON")
}

fn found(content: &str) -> (Vec<String>, Option<usize>) {
    let Outcome { names, stopped_at } = names(content.as_bytes());
    (names, stopped_at)
}

fn all(content: &str) -> Vec<String> {
    let (names, stopped_at) = found(content);
    assert_eq!(stopped_at, None, "{content:?}: {names:?}");
    names
}

#[test]
fn every_name_of_a_file_is_found() {
    assert_eq!(all(""), [""; 0]);
    assert_eq!(all("\u{feff}A=1\r\nexport B = 2\r\n\r\n# C=3\r\nD=\r\n"), ["A", "B", "D"]);
    assert_eq!(all("  A=indented\nexport\tB=tab\nc.d-e=1\n_=2\nA=again"), ["A", "B", "c.d-e", "_", "A"]);
    assert_eq!(all("A='one # two' # three\nB=\"x\\\"y\"\nC=`z`\nD=# no\nE=a #b'\n"), ["A", "B", "C", "D", "E"]);
    assert_eq!(all("A=\"one\nB=not\n\nC='not'\"\nD='x\nE=not\n'\r\nF=`\nG=`"), ["A", "D", "F"]);
    assert_eq!(all("URL=postgres://u:p=w@h/d?x=y&z=[1]\nJSON={\"a\": \"b=c\"}\nLAST=x"), ["URL", "JSON", "LAST"]);
    assert_eq!(all("A=QUJDRA==\nB=YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo=\nC_D=\n"), ["A", "B", "C_D"]);
}

#[test]
fn a_key_of_many_lines_is_passed_over_in_quotes_or_without() {
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSj=\nabcd1234==\n\
               Proc-Type=4\n-----END PRIVATE KEY-----";
    for quote in ["", "\"", "'", "`"] {
        for (ending, before) in [("\n", ""), ("\r\n", "export ")] {
            let content = format!("A=1\n{before}KEY={quote}{key}{quote}\nB=2\n").replace('\n', ending);
            assert_eq!(all(&content), ["A", "KEY", "B"], "{content}");
        }
    }
    assert_eq!(all("KEY=\"-----BEGIN KEY-----\\nabc=\\n-----END KEY-----\"\nB=2"), ["KEY", "B"]);
    assert_eq!(all("KEY=-----BEGIN KEY-----\\nabc=\\n-----END KEY-----\nB=2"), ["KEY", "B"]);
    assert_eq!(found(&format!("A=1\nKEY={}\nB=2\n", &key[..70])), (vec!["A".into(), "KEY".into()], Some(2)));
    // The second begins before the first ends.
    let (names, stopped_at) = found("A=-----BEGIN KEY-----\nb=\nC=-----BEGIN KEY-----\nd=\n-----END KEY-----\nE=1");
    assert_eq!((names, stopped_at), (vec!["A".to_owned()], Some(1)));
}

#[test]
fn where_readers_differ_on_the_end_of_a_value_reading_ends() {
    let begins_here = [
        "A='x\\'\nB=y'\n",
        "A=`x\\`\nB=y`\n",
        "A=\"x\\\\\"\nB=y\"\n",
        "A='x'\\''\nB=y'\n",
        "A=\"x\"y\nB=z\n",
        "A=\"x\nB=y\n",
        "A=it's\nB=y'\n",
        "A=b#it's\nB=y'\n",
        "A=b'\"'\"\nB=y\"\n",
        "A=b\\ #\"\nB=y\"\n",
        "A=\"b$(c \"\nB=y\")\"\n",
        "A=\"b`c \"\nB=y\"`\"\n",
        "A=b\\\nB=c\n",
        "A=$(cat <<EOF\nB=c\nEOF\n)\n",
        "A=<<EOF\nB=c\nEOF\n",
        "A={\nB=c\n}\n",
        "A=[\n  B=c\n]\n",
        "A=b\rB=c\n",
        "A='b'#\"\nB=c\"\n",
        "A=-----BEGIN K-----\n'\n-----END K-----\nB=c'\n",
        "A=-----BEGIN K-----'-----END K-----\nB=c'\n",
        "A='b' #\rB=c\n",
    ];
    for content in begins_here {
        assert_eq!(found(content), (vec!["A".to_owned()], Some(1)), "{content:?}");
    }
    let second = [
        "A=b\nrest of it\nB=c\n",
        "A=b\n+/abc==\nB=c\n",
        "A=b\nabcd1234==\nB=c\n",
        "A=MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG\nabcdefg=\nB=c\n",
        "A=b\n  url=c\nB=c\n",
        "A=b\nB: c\n",
        "A=b\n#\rB=c\n",
        "A=b\n2B=c\n",
        "A=b\nif true; then\n",
    ];
    for content in second {
        assert_eq!(found(content), (vec!["A".to_owned()], Some(2)), "{content:?}");
    }
    let long = format!("A=b\n{}=c\n", "x".repeat(101));
    assert_eq!(found(&long), (vec!["A".to_owned()], Some(2)));
    assert_eq!(names(b"\xff\xfeA\0=\0b\0").stopped_at, Some(1));
}

/// What a shell takes for assignments, where quotes of all kinds go over lines.
fn names_of_a_shell(content: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut quote, mut is_escaped, mut is_comment) = (None, false, false);
    let mut before = '\n';
    let mut is_start = true;
    for (at, character) in content.char_indices() {
        if is_start {
            names.extend(name_at(&content[at..]));
        }
        is_start = false;
        match (quote, character) {
            _ if is_escaped => is_escaped = false,
            (None, '\n') => (is_comment, is_start) = (false, true),
            _ if is_comment => {}
            (None, '#') if before.is_whitespace() => is_comment = true,
            (None | Some('"' | '`'), '\\') => is_escaped = true,
            (None, '"' | '\'' | '`') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        before = character;
    }
    names
}

/// The name that a line begins with.
fn name_at(text: &str) -> Option<String> {
    let line = text.split('\n').next()?.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let name = line.split_once('=')?.0.trim_end();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    is_name.then(|| name.to_owned())
}

/// What the expression of `dotenv` for node takes for assignments.
fn names_of_node(content: &str) -> BTreeSet<String> {
    let content = content.replace("\r\n", "\n").replace('\r', "\n");
    let mut names = BTreeSet::new();
    let mut at = 0;
    while at < content.len() {
        let end_of_line = |from: usize| content[from..].find('\n').map_or(content.len(), |length| from + length);
        let end = match name_at(&content[at..]) {
            None => end_of_line(at),
            Some(name) => {
                names.insert(name);
                let sign = at + content[at..].find('=').expect("a sign") + 1;
                let value = &content[sign..];
                let start = sign + (value.len() - value.trim_start().len());
                let quote = content[start..].chars().next().filter(|first| "\"'`".contains(*first));
                quote.and_then(|quote| end_in_node(&content, start + 1, quote)).unwrap_or_else(|| end_of_line(sign))
            }
        };
        at = end_of_line(end) + 1;
    }
    names
}

/// The last quote that may end a value there: all before it have a backslash, and nothing but a comment comes after it.
fn end_in_node(content: &str, start: usize, quote: char) -> Option<usize> {
    let mut last = None;
    for (at, _) in content[start..].match_indices(quote) {
        let at = start + at;
        let rest = content[at + 1..].split('\n').next().unwrap_or_default().trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            last = Some(at + 1);
        }
        if !content[start..at].ends_with('\\') {
            break;
        }
    }
    last
}

#[test]
fn the_other_readers_read() {
    let content = "A='x\\'\nB=y'\nC=\"d\ne=f\"\n# G=\nexport H=i # j'\nK=l";
    let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(names_of_node(content), of(&["A", "C", "H", "K"]));
    assert_eq!(names_of_a_shell(content), of(&["A", "B", "K"]));
    assert_eq!(names_of_node("A=\n'b\nC=d'\nE=f"), of(&["A", "E"]));
}

/// Whatever ends a value, or does not.
fn sign() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("\""),
        Just("'"),
        Just("`"),
        Just("\\"),
        Just("#"),
        Just(" "),
        Just("x"),
        Just(" #"),
        Just("\r"),
        Just("\t")
    ]
}

/// The same, lines, and what begins them.
fn part() -> impl Strategy<Value = &'static str> {
    let lines = prop_oneof![
        Just("A="),
        Just("B="),
        Just("\nC="),
        Just("\nD=\""),
        Just("\nE='"),
        Just("\n"),
        Just("\r\n"),
        Just("export "),
        Just("-----BEGIN K-----"),
        Just("-----END K-----")
    ];
    prop_oneof![lines, sign()]
}

/// Where ours takes something for a name, so do the others.
fn agree(content: &str) -> Result<(), TestCaseError> {
    let ours: BTreeSet<String> = names(content.as_bytes()).names.into_iter().collect();
    let (shell, node) = (names_of_a_shell(content), names_of_node(content));
    prop_assert!(ours.is_subset(&shell), "{:?} is no name for a shell ({:?}): {:?}", ours, shell, content);
    prop_assert!(ours.is_subset(&node), "{:?} is no name for node ({:?}): {:?}", ours, node, content);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_in_a_value_for_any_reader_is_a_name_for_none(parts in proptest::collection::vec(part(), 0..24)) {
        agree(&parts.concat())?;
    }

    #[test]
    fn what_a_line_leaves_open_is_a_name_for_none(
        first in proptest::collection::vec(sign(), 0..8), second in proptest::collection::vec(sign(), 0..4)
    ) {
        agree(&format!("A={}\nB={}\nC=", first.concat(), second.concat()))?;
    }
}

proptest! {
    #[test]
    fn no_piece_of_a_value_is_in_the_manifest_or_in_what_is_said(
        variables in proptest::collection::vec((any::<Index>(), proptest::collection::vec(piece(), 1..6)), 1..8)
    ) {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut content, mut wanted) = (String::new(), Vec::new());
        for (number, (style, pieces)) in variables.iter().enumerate() {
            wanted.push(format!("NAME_{number}"));
            content.push_str(&format!("NAME_{number}={}\n", written(&pieces.concat(), style.index(6))));
        }
        let file = folder.path().join(".env");
        fs::write(&file, &content).expect("a file");
        let repository = repository();
        let settings = EnvironmentSettings { folders: vec![folder.path().to_owned()], ..Default::default() };
        let report = back_up(&repository, settings);
        let manifest = manifest(&repository, &report);
        let told = format!("{manifest} {report:?}");
        prop_assert!(!told.contains("CANARY"), "{}\n{}", content, told);
        // And all names up to where it ends, which is said.
        let named: Vec<&str> =
            manifest["origins"][0]["names"].as_array().expect("names").iter().filter_map(|name| name["name"].as_str()).collect();
        prop_assert!(wanted.iter().map(String::as_str).take(named.len()).eq(named.iter().copied()), "{:?}", named);
        prop_assert_eq!(report.gap_count(), u64::from(names(content.as_bytes()).stopped_at.is_some()));
        prop_assert!(named.len() == wanted.len() || report.gap_count() == 1);
    }
}

/// Pieces of values, made to be taken for something else.
fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("CANARY1"),
        Just("\nCANARY2=\n"),
        Just("\nCANARY3=x"),
        Just("\nexport CANARY4=\"y\"\n"),
        Just("\n-----BEGIN PRIVATE KEY-----\nCANARY5CANARY5CANARY5CANARY5\nCANARY6=\n-----END PRIVATE KEY-----\n"),
        Just("'"),
        Just("\""),
        Just("`"),
        Just("\\"),
        Just("#"),
        Just(" "),
        Just("="),
        Just("\r\n"),
        Just("${CANARY7}"),
        Just("é"),
    ]
}

/// A value as somebody may write it; where it cannot stand in these quotes, as a shell writes it.
fn written(value: &str, style: usize) -> String {
    let is_plain = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '=');
    match style {
        0 if !value.contains('\'') => format!("'{value}'"),
        1 if !value.contains('`') => format!("`{value}`"),
        2 if is_plain => value.to_owned(),
        3 => format!("'{}'", value.replace('\'', "'\\''")),
        4 => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")),
        _ => format!("\"{}\" # CANARY8='", value.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// An account of nobody.
struct Account(Names);

#[async_trait]
impl NameSource for Account {
    async fn names(&self) -> Names {
        self.0.clone()
    }
}

fn write(path: &Path, content: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content).expect("a file");
}

#[test]
fn the_manifest_is_sorted_and_says_of_each_origin_its_names_and_of_secrets_their_type() {
    let (folder, repository) = (tempfile::tempdir().expect("a folder"), repository());
    let root = folder.path();
    write(&root.join("site/.env"), "B=1\nA=2\nB=3\n");
    write(&root.join("site/deep/er/.env.production"), "A=\n");
    write(&root.join("site/.env.empty"), "");
    for passed_over in ["site/.envrc", "site/env", "site/node_modules/x/.env", "site/.git/.env", "site/.env.d/file"] {
        write(&root.join(passed_over), "NOT=1\n");
    }
    write(&root.join("vars"), "V=1\n");
    symlink("../vars", root.join("site/.env.linked")).expect("a link");
    symlink("..", root.join("site/round")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, root.join("site/.env.pipe"), rustix::fs::Mode::RUSR).expect("a pipe");
    let name = |name: &str, kind: Option<&str>| Name { name: name.to_owned(), kind: kind.map(str::to_owned) };
    let account = Names {
        origins: vec![
            Origin {
                origin: "ssm:1:eu".to_owned(),
                names: vec![name("/z", Some("String")), name("/a", Some("SecureString"))],
            },
            Origin { origin: "lambda:arn".to_owned(), names: vec![name("X", None)] },
        ],
        problems: vec![Problem { action: "ssm:DescribeParameters".to_owned(), ..Problem::default() }],
    };
    let settings = EnvironmentSettings {
        files: vec![root.join("vars"), root.join("site/.env"), root.join("gone")],
        folders: vec![root.join("site")],
        accounts: vec![Arc::new(Account(account))],
        ..Default::default()
    };
    let report = back_up(&repository, settings.clone());
    let file = |path: &str, names: &[&str]| {
        let names: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        json!({"origin": format!("file:{}", root.join(path).display()), "names": names})
    };
    let wanted = json!({"origins": [
        file("site/.env", &["A", "B"]),
        file("site/.env.empty", &[]),
        file("site/.env.linked", &["V"]),
        file("site/deep/er/.env.production", &["A"]),
        file("vars", &["V"]),
        {"origin": "lambda:arn", "names": [{"name": "X"}]},
        {"origin": "ssm:1:eu", "names": [
            {"name": "/a", "type": "SecureString"}, {"name": "/z", "type": "String"}]},
    ]});
    assert_eq!(manifest(&repository, &report), wanted);
    let gaps = gaps(record(&report, MANIFEST));
    assert_eq!(gaps, [(String::new(), "Unreadable".to_owned()), (String::new(), String::new())]);
    let second = back_up(&repository, settings).record.summary;
    assert_eq!((second.new, second.changed, second.removed), (0, 0, 0));
    assert!(back_up(&repository, EnvironmentSettings::default()).record.resources.is_empty());
}

#[test]
fn a_search_is_bounded_and_says_where_it_ends() {
    let (folder, repository) = (tempfile::tempdir().expect("a folder"), repository());
    write(&folder.path().join("a/b/.env"), "A=1\n");
    write(&folder.path().join("a/b/c/.env"), "B=1\n");
    let huge = "X=1\n".repeat(1 << 18) + "Y=1\n";
    write(&folder.path().join("a/.env"), &huge);
    let mut settings = EnvironmentSettings { folders: vec![folder.path().to_owned()], ..Default::default() };
    settings.bounds.depth_max = 2;
    let report = back_up(&repository, settings.clone());
    let codes = |report: &BackupReport| -> Vec<String> {
        gaps(record(report, MANIFEST)).into_iter().map(|(_, code)| code).collect()
    };
    assert_eq!(codes(&report), ["TooDeep", "Unreadable"]);
    let origins = manifest(&repository, &report)["origins"].as_array().expect("origins").len();
    assert_eq!(origins, 1);
    settings.bounds.entries_max = 1;
    assert_eq!(codes(&back_up(&repository, settings)), ["TooMany"]);
}
