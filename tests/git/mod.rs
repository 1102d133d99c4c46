//! Git clones, captured and restored, and then compared by git itself.
//!
//! A [`Bench`] is a folder with clones made by the real program, which sees no configuration but its own, and a repository in memory.

mod kinds;
mod race;
mod selection;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use jiff::Timestamp;
use snap::codec::key::secret::FileKey;
use snap::operation::backup::{BackupReport, BackupRequest, Rereading, SnapshotLabel, backup};
use snap::operation::check::{CheckRequest, Depth, Verdict, check};
use snap::operation::restore::{Deletion, RestoreMode, RestoreRequest, restore};
use snap::operation::target::TargetOptions;
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::session::Mode;
use snap::resource::{Coverage, ResourceRecord};
use snap::source::git::{Git, GitSettings};
use snap::storage::memory::MemoryStorage;

struct Bench {
    folder: tempfile::TempDir,
    repository: Arc<Repository>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("home")).expect("a home");
        let opener = Opener::Key(Arc::new(FileKey::generate()));
        let storage = Arc::new(MemoryStorage::new());
        let repository = Repository::init(storage, &[(opener, "")], Timestamp::UNIX_EPOCH, None).expect("init");
        Self { folder, repository: Arc::new(repository) }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Runs git in a folder of the bench; what it says.
    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let output = self.try_git(&self.at(folder), arguments);
        assert!(output.status.success(), "git {arguments:?} in {folder}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn try_git(&self, folder: &Path, arguments: &[&str]) -> Output {
        git(&self.at("home"), folder, arguments)
    }

    /// A clone with some history, a branch, tags, a stash, changed, untracked and ignored files.
    fn clone_with_everything(&self, name: &str) {
        let file = |file: &str| format!("{name}/{file}");
        self.git(".", &["init", "-q", name]);
        self.write(&file(".gitignore"), "*.log\n/build/\n");
        self.write(&file("src/a.txt"), "first\n");
        self.write(&file(".early"), "sorts before .git\n");
        std::os::unix::fs::symlink("src/a.txt", self.at(&file("link"))).expect("a link");
        self.commit(name, "one");
        self.git(name, &["tag", "-a", "-m", "a tag", "v1"]);
        self.git(name, &["branch", "side"]);
        self.write(&file("src/b.txt"), &"second\n".repeat(400));
        self.commit(name, "two");
        self.git(name, &["gc", "-q"]);
        self.write(&file("src/a.txt"), "stashed\n");
        self.git(name, &["stash", "-q"]);
        self.write(&file("src/c.txt"), "third\n");
        self.commit(name, "three");
        self.write(&file("src/a.txt"), "changed\n");
        self.write(&file("staged.txt"), "staged\n");
        self.git(name, &["add", "staged.txt"]);
        self.write(&file("untracked.txt"), "untracked\n");
        self.write(&file("noise.log"), "ignored\n");
        self.write(&file("build/out"), "ignored\n");
    }

    fn commit(&self, folder: &str, message: &str) {
        self.git(folder, &["add", "-A"]);
        self.git(folder, &["commit", "-q", "--allow-empty", "-m", message]);
    }

    fn settings(&self, names: &[&str]) -> GitSettings {
        GitSettings {
            repositories: names.iter().map(|name| self.at(name)).collect(),
            home: Some(self.at("home")),
            clock: settled_clock,
            ..GitSettings::default()
        }
    }

    fn capture(&self, names: &[&str]) -> BackupReport {
        self.capture_with(self.settings(names))
    }

    fn capture_with(&self, settings: GitSettings) -> BackupReport {
        let label = SnapshotLabel {
            time: Timestamp::now(),
            host: "host".to_owned(),
            user: "user".to_owned(),
            series: Some("clones".to_owned()),
            tags: Vec::new(),
            description: String::new(),
            scope: Vec::new(),
        };
        let request = BackupRequest {
            roots: Vec::new(),
            sources: vec![Arc::new(Git::new(settings))],
            label,
            rereading: Rereading::Changed,
            mode: Mode::Write,
            threads: 2,
        };
        backup(&self.repository, &request, &Silent).expect("a backup")
    }

    fn check(&self) {
        let checking = CheckRequest { depth: Depth::Data(100.0), threads: 1, now: Timestamp::now() };
        let checked = check(&self.repository, &checking, &Silent).expect("a check");
        assert_eq!(checked.verdict(), Verdict::Sound, "{checked:?}");
    }

    /// Restores a snapshot into a folder of the bench.
    fn restore(&self, report: &BackupReport, name: &str) -> PathBuf {
        let target = self.at(name);
        let request = RestoreRequest {
            target: target.clone(),
            inside: None,
            include: Vec::new(),
            exclude: Vec::new(),
            options: TargetOptions::default(),
            deletion: Deletion::Keep,
            mode: RestoreMode::Write,
            threads: NonZeroUsize::new(2).expect("it is not 0"),
        };
        let restored = restore(&self.repository, &report.record, &request, &Silent).expect("a restore");
        assert_eq!((restored.lost, restored.skipped), (0, 0), "{restored:?}");
        target.join("local-repos")
    }

    /// What git says of a repository: references, history, state, and that nothing is damaged.
    fn view(&self, folder: &Path) -> Vec<String> {
        let questions: [&[&str]; 8] = [
            &["for-each-ref"],
            &["rev-parse", "--symbolic-full-name", "HEAD"],
            &["log", "--all", "--reflog", "--format=%H %s", "--date-order"],
            &["reflog"],
            &["stash", "list"],
            &["ls-files", "--stage"],
            &["status", "--porcelain=v2", "--branch", "--ignore-submodules=none"],
            &["fsck", "--full", "--no-progress"],
        ];
        let answer = |arguments: &&[&str]| {
            let output = self.try_git(folder, arguments);
            let both = [output.stdout, output.stderr].concat();
            format!("{arguments:?} {}\n{}", output.status, String::from_utf8_lossy(&both))
        };
        questions.iter().map(answer).collect()
    }

    /// That git finds nothing wrong with what was restored.
    fn assert_sound(&self, folder: &Path, context: &str) {
        let output = self.try_git(folder, &["fsck", "--full", "--no-progress"]);
        assert!(output.status.success(), "{context}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("error") && !said.contains("broken"), "{context}: {said}");
        let output = self.try_git(folder, &["log", "--all", "--reflog", "--format=%H", "-p"]);
        assert!(output.status.success(), "{context}: {output:?}");
    }
}

fn git(home: &Path, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("git");
    command.args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", "-c", "gc.autoDetach=false"]);
    command.args(arguments).current_dir(folder).env_clear().env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "One").env(format!("GIT_{who}_EMAIL"), "one@example.org");
        command.env(format!("GIT_{who}_DATE"), "2026-01-02T03:04:05Z");
    }
    command.output().expect("git starts")
}

/// A clock so far ahead that no time stamp is too new to be trusted.
fn settled_clock() -> snap::entry::Timestamp {
    snap::entry::Timestamp { seconds: i64::MAX / 2, nanoseconds: 0 }
}

fn record<'r>(report: &'r BackupReport, path: &str) -> &'r ResourceRecord {
    let found = report.record.resources.iter().find(|resource| resource.path == path);
    found.unwrap_or_else(|| panic!("no {path} in {:?}", report.record.resources))
}

/// Path and code of each gap.
fn gaps(record: &ResourceRecord) -> Vec<(String, String)> {
    match &record.coverage {
        Coverage::Partial { gaps, .. } => gaps.iter().map(|gap| (gap.path.clone(), gap.code.clone())).collect(),
        Coverage::Failed { reason } => vec![("failed".to_owned(), reason.clone())],
        Coverage::Complete => Vec::new(),
    }
}
