//! A throw-away directory, how tests fill it, and how they list it.

use std::path::{Path, PathBuf};

use snap::resource::Gap;
use snap::source::local::LocalRoot;
use snap::source::local::listed::Listed;
use snap::source::local::walk::{Walked, walk};

/// A directory that is removed again, with or without permission bits.
pub(super) struct Zoo {
    directory: tempfile::TempDir,
}

impl Zoo {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("temporary directory") }
    }

    /// In memory where the system has such a place: for trees of thousands, which a disk takes seconds to make.
    pub(super) fn large() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("temporary directory");
        Self { directory }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    pub(super) fn directory(&self, path: &str) -> PathBuf {
        std::fs::create_dir_all(self.at(path)).expect("directory");
        self.at(path)
    }

    pub(super) fn file(&self, path: &str, content: &[u8]) -> PathBuf {
        if let Some(parent) = self.at(path).parent() {
            std::fs::create_dir_all(parent).expect("directory");
        }
        std::fs::write(self.at(path), content).expect("file");
        self.at(path)
    }

    pub(super) fn root(&self) -> LocalRoot {
        LocalRoot::new(self.path())
    }

    pub(super) fn listed(&self, path: &str) -> Listed {
        let (entries, _) = list(&self.root(), 2);
        entries.into_iter().find(|listed| listed.path.as_bytes() == path.as_bytes()).expect("listed")
    }
}

pub(super) fn list(root: &LocalRoot, threads: usize) -> (Vec<Listed>, Vec<Gap>) {
    let (mut entries, mut gaps) = (Vec::new(), Vec::new());
    for walked in walk(root, threads).expect("root opens").flatten() {
        match walked {
            Walked::Entry(listed) => entries.push(listed),
            Walked::Gap(gap) => gaps.push(gap),
        }
    }
    (entries, gaps)
}

pub(super) fn paths(root: &LocalRoot, threads: usize) -> Vec<Vec<u8>> {
    list(root, threads).0.into_iter().map(|listed| listed.path.0).collect()
}

pub(super) fn texts(root: &LocalRoot) -> Vec<String> {
    paths(root, 2).into_iter().map(|path| String::from_utf8_lossy(&path).into_owned()).collect()
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub(super) fn skipped(reason: &str) {
    use std::io::Write;
    let _unseen = writeln!(std::io::stderr(), "skipped: {reason}");
}

/// Runs in a thread that may do no more than anybody, whoever runs the tests.
pub(super) fn as_nobody<T: Send>(zoo: &Zoo, run: impl FnOnce(&Zoo) -> T + Send) -> T {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(zoo.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if is_root() {
                let nobody = rustix::process::Uid::from_raw(65_534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("user");
            }
            run(zoo)
        });
        thread.join().expect("because the test ran to its end")
    })
}
