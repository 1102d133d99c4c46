//! The Python that the reader runs in: made once under `target`, and used again without a network.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A file or folder of this repository.
pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An interpreter that has what `requirements.txt` names.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let wanted = fs::read_to_string(here("tests/reader/requirements.txt")).expect("the list of packages");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reader-python");
        let (program, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            run("python3", [OsStr::new("-m"), "venv".as_ref(), "--clear".as_ref(), folder.as_ref()]);
            let list = here("tests/reader/requirements.txt");
            let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"].map(OsStr::new);
            run(&program, install.into_iter().chain([list.as_ref()]));
            fs::write(&stamp, &wanted).expect("written last, so that half an installation is made again");
        }
        program
    })
}

/// A script of ours with its arguments, not started yet.
pub(crate) fn script<S: AsRef<OsStr>>(path: &str, arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(here(path)).args(arguments);
    command
}

/// Runs to success, or panics with all that was said.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = || [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, said());
    output
}

#[track_caller]
fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = S>) {
    succeed(Command::new(program).args(arguments));
}
