//! Servers not written here: moto, and rclone serving a folder.
//!
//! Each is started on a loopback port, kept to the contract of every store and used by the program, and stopped.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use snap::storage::name::ObjectName;
use snap::storage::s3::store::{S3Options, S3Storage};
use snap::storage::{Put, Storage, Writers};

use crate::storage::promises;

use super::matrix::patient;
use super::program::Scene;

/// A server that stops when it is dropped.
struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts `command` at a free port, which `arguments` name, and waits until it answers.
    fn start(program: &Path, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let mut command = Command::new(program);
        command.args(arguments(port, folder.path())).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
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

    fn place(&self, prefix: &str) -> String {
        format!("s3://bucket/{prefix}?endpoint=http://127.0.0.1:{}&path-style=yes", self.port)
    }

    fn storage(&self, prefix: &str) -> S3Storage {
        let credentials = Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "test");
        let credentials = Some(SharedCredentialsProvider::new(credentials));
        let address = self.place(prefix).parse().expect("an address");
        S3Storage::open(address, S3Options { credentials, ..S3Options::default() }).expect("a store")
    }

    /// The contract, each promise below a prefix of its own; those in `broken` are known not to be kept.
    fn keeps_the_contract(&self, broken: &[&str]) {
        for (name, promise) in promises() {
            if !broken.contains(&name) {
                // As the program does: under load they say 500 now and then.
                promise(&patient(self.storage(name)));
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of the virtual environment, which is made once, under `target`.
fn installed(program: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3-servers");
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s3/requirements.txt");
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

#[test]
fn moto_keeps_the_contract_and_the_program_works_on_it() {
    let server = Server::start(&installed("moto_server"), |port, _| {
        ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec()
    });
    server.make_bucket();
    server.keeps_the_contract(&[]);
    let store = server.storage("probe");
    assert_eq!(store.put_if_absent(&ObjectName::config(), "config".into()).expect("stored"), Put::Created);
    assert_eq!(store.probe(&ObjectName::config(), "config".into()).expect("tried"), Writers::Many);
    Scene::new(server.place("program")).run_all();
}

impl Server {
    /// Emulators make a bucket for whoever asks; the program itself never does.
    fn make_bucket(&self) {
        use std::io::Write;
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it answers");
        let head = format!(
            "PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/s3/aws4_request, \
             SignedHeaders=host, Signature=0\r\n\r\n",
            self.port
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// Promises that rclone's server is known not to keep: it ignores `If-None-Match`.
const RCLONE_BREAKS: &[&str] =
    &["an_object_is_never_overwritten", "of_many_puts_of_one_name_exactly_one_creates", "an_empty_object_is_an_object"];

#[test]
fn rclone_is_good_for_one_writer_and_the_program_works_on_it() {
    let server = Server::start(&installed("rclone"), |port, folder| {
        fs::create_dir(folder.join("bucket")).expect("a bucket");
        let address = format!("127.0.0.1:{port}");
        let folder = folder.display().to_string();
        ["serve", "s3", "--auth-key", "AKIDEXAMPLE,not-a-secret", "--addr", &address, &folder]
            .map(str::to_owned)
            .to_vec()
    });
    server.keeps_the_contract(RCLONE_BREAKS);
    let store = server.storage("probe");
    assert_eq!(store.put_if_absent(&ObjectName::config(), "config".into()).expect("stored"), Put::Created);
    assert_eq!(store.probe(&ObjectName::config(), "config".into()).expect("tried"), Writers::One);
    Scene::new(server.place("program")).run_all();
}
