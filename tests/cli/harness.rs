//! Runs the program in a home of its own, and reads what it said as the contract promises.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A home, a current folder, and the program.
pub(crate) struct Machine {
    folder: TempDir,
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Machine {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["home", "work"] {
            std::fs::create_dir(folder.path().join(name)).expect("created");
        }
        Self { folder }
    }

    /// A path under the current folder of its runs.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.folder.path().join("work").join(name)
    }

    /// A path under its home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    /// Writes a file, with its folders.
    pub(crate) fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("created");
        std::fs::write(path, text).expect("written");
    }

    /// The program, not started yet.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snap"));
        command.args(arguments).env_clear().env("HOME", self.folder.path().join("home"));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.folder.path().join("work")).stdin(Stdio::null());
        command
    }

    /// Runs the program with arguments.
    pub(crate) fn snap(&self, arguments: &[&str]) -> Ran {
        self.snap_with(arguments, &[])
    }

    /// Runs the program with arguments and variables.
    pub(crate) fn snap_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = self.command(arguments).envs(variables.iter().copied()).output().expect("it starts");
        Ran::of(&output)
    }
}

impl Ran {
    /// What a finished run said.
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout.clone()).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr.clone()).expect("stderr is UTF-8"),
        }
    }

    /// Standard output of a query with `--json`: one document and nothing else.
    #[track_caller]
    pub(crate) fn document(&self) -> Value {
        let lines = self.json_lines();
        assert_eq!(lines.len(), 1, "a query answers with one document: {self:?}");
        assert_eq!(lines[0]["schema"], "1.0", "a document says its schema: {self:?}");
        lines[0].clone()
    }

    /// Standard output with `--json`: nothing but JSON, one value a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?} in {self:?}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Asserts how it ended, and shows all of it if not.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }
}
