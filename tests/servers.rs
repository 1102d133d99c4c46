//! Servers that are not written here: emulators of AWS in Python, installed into a virtual environment under `target`.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server that stops when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts `program` at a free port, which `arguments` name, as a command that `prepare` may add to, and waits until it answers.
    pub(crate) fn start(
        program: &Path,
        arguments: impl Fn(u16, &Path) -> Vec<String>,
        prepare: impl Fn(&mut Command, (u16, &Path)),
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.args(arguments(port, folder.path())).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        prepare(&mut command, (port, folder.path()));
        let mut child = command.spawn().expect("it starts");
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begin.elapsed() > Duration::from_secs(120) || child.try_wait().expect("a state").is_some() {
                let _ = child.kill();
                let mut said = String::new();
                child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
                panic!("{} does not serve: {said}", program.display());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // Whatever it says from now on must not stop it.
        let mut errors = child.stderr.take().expect("piped");
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        Self { child, port, _folder: folder }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder for what tests and examples make.
fn under_target() -> PathBuf {
    match option_env!("CARGO_TARGET_TMPDIR") {
        Some(folder) => folder.into(),
        // Only tests are told; an example lies in `target/release/examples`.
        None => {
            let program = std::env::current_exe().expect("it runs");
            program.ancestors().nth(3).expect("it is there").join("tmp")
        }
    }
}

/// A program of the virtual environment, which is made once, under `target`.
pub(crate) fn installed(program: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = under_target().join("servers");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requirements.txt");
    let wanted = fs::read_to_string(&list).expect("the list of packages");
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        let run = |command: &mut Command| {
            let output = command.output().expect("it starts");
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(folder.join("bin/python")).args(install).arg(&list));
        fs::write(&stamp, &wanted).expect("written last, so that half an installation is made again");
    }
    folder.join("bin").join(program)
}
