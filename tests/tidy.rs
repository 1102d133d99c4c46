//! The house rules, read off the sources: floors, sizes, names, module comments.
//!
//! `src/README.md` says why. A rule that is broken here is broken for every reader, so there are no exceptions.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const NAMES_REFUSED: [&str; 5] = ["util", "helpers", "common", "misc", "manager"];
/// Top-level modules by floor, lowest first; those on one floor never meet.
const FLOORS: [&[&str]; 7] = [
    &["id", "entry", "resource"],
    &["codec", "platform", "progress"],
    &["storage"],
    &["repository", "source"],
    &["tree"],
    &["operation"],
    &["cli"],
];
/// On the lowest floor, words are made of words.
const MAY_MEET: &[(&str, &str)] = &[("entry", "id"), ("resource", "id"), ("resource", "entry")];

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn lines_of_code(&self) -> impl Iterator<Item = &str> {
        let before_tests = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        before_tests.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
    }

    /// The top-level module the file belongs to.
    fn module(&self) -> String {
        let relative = self.path.strip_prefix(folder("src")).expect("because sources lie in src");
        let first = relative.components().next().expect("because a file has a name");
        Path::new(&first).file_stem().expect("because a file has a name").to_string_lossy().into_owned()
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn rust_files(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("because the folder is part of the project") {
            let path = entry.expect("because the folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("because sources are text");
                found.push(Source { path, text });
            }
        }
    }
    found
}

fn sources() -> Vec<Source> {
    let sources = rust_files(&folder("src"));
    assert!(sources.len() > 40, "only {} sources were found", sources.len());
    sources
}

/// Shows all that breaks a rule at once.
fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn modules_use_only_lower_floors() {
    let floor = |module: &str| FLOORS.iter().position(|modules| modules.contains(&module));
    let mut broken = Vec::new();
    for source in sources() {
        let module = source.module();
        let Some(own) = floor(&module) else {
            if !["main", "lib"].contains(&module.as_str()) {
                broken.push(format!("{}: {module} is on no floor", source.path.display()));
            }
            continue;
        };
        for used in source.text.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let meets = MAY_MEET.contains(&(module.as_str(), used.as_str()));
            let Some(other) = floor(&used) else { continue };
            if used != module && other >= own && !meets {
                broken.push(format!("{} uses {used}", source.path.display()));
            }
        }
    }
    assert_none(&broken, "a module uses only lower floors");
}

#[test]
fn files_are_short() {
    let long = |source: &Source| Some(source.lines_of_code().count()).filter(|lines| *lines > FILE_LINES_MAX);
    let broken: Vec<String> = sources()
        .iter()
        .filter_map(|source| long(source).map(|lines| format!("{}: {lines} lines of code", source.path.display())))
        .collect();
    assert_none(&broken, "a file has at most 400 lines of code");
}

#[test]
fn functions_are_short() {
    let mut broken = Vec::new();
    for source in sources() {
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION_LINES_MAX {
                broken.push(format!("{}: {name} has {lines} lines", source.path.display()));
            }
        }
    }
    assert_none(&broken, "a function has at most 70 lines");
}

/// Name and length of each function; rustfmt puts the closing brace under the line it begins in.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "];
        let bare = words.iter().fold(trimmed, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
        let Some(rest) = bare.strip_prefix("fn ") else { continue };
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let closing = format!("{}}}", &line[..line.len() - trimmed.len()]);
        if let Some(length) = lines[start..].iter().position(|line| *line == closing) {
            found.push((name, length + 1));
        }
    }
    found
}

#[test]
fn a_long_function_would_be_found() {
    let body = "    line();\n".repeat(80);
    let text = format!("impl X {{\n    pub fn long() {{\n{body}    }}\n}}\n");
    assert_eq!(functions(&text), [("long".to_owned(), 82)]);
}

#[test]
fn every_file_begins_with_a_module_comment() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! ") && !source.text.starts_with("#![doc = include_str!"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert_none(&broken, "a file begins with a module comment");
}

#[test]
fn no_file_is_named_for_what_it_is_not() {
    let all = sources().into_iter().chain(rust_files(&folder("tests"))).chain(rust_files(&folder("benches")));
    let broken: Vec<String> = all
        .filter(|source| {
            let stem = source.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            NAMES_REFUSED.contains(&stem.as_str())
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert_none(&broken, "a file is named for what is in it");
}

#[test]
fn no_test_is_forgotten_by_the_suite() {
    let suite = fs::read_to_string(folder("tests/suite.rs")).expect("because the suite is there");
    let mut broken = Vec::new();
    for entry in fs::read_dir(folder("tests")).expect("because the folder is there") {
        let path = entry.expect("because the folder can be read").path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_module = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        if is_module && stem != "suite" && !suite.contains(&format!("mod {stem};")) {
            broken.push(path.display().to_string());
        }
    }
    assert_none(&broken, "tests/suite.rs names every test file");
}

#[test]
fn what_may_not_be_said_is_not_said() {
    let refused = ["use crate::*", ".unwrap()", "todo!(", "unimplemented!(", "dbg!(", "FIXME", "#[allow("];
    let mut broken = Vec::new();
    for source in sources() {
        for (number, line) in source.lines_of_code().enumerate() {
            for word in refused.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}: code line {}: {word}", source.path.display(), number + 1));
            }
        }
    }
    assert_none(&broken, "sources hold no wildcard of the crate, no unwrap, nothing unfinished, no silenced lint");
}

#[test]
fn each_planted_bug_of_the_drill_has_its_place() {
    let output = std::process::Command::new("python3").args(["tests/drill", "--check"]).output();
    let output = output.expect("python3 starts, as it does for the second reader");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
