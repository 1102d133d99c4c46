//! Servers not written here: moto, and rclone serving a folder.
//!
//! Each is started on a loopback port, kept to the contract of every store and used by the program, and stopped.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::Path;

use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use snap::storage::name::ObjectName;
use snap::storage::s3::store::{S3Options, S3Storage};
use snap::storage::{Put, Storage, Writers};

use crate::servers::{Server, installed};
use crate::storage::promises;

use super::matrix::patient;
use super::program::Scene;

impl Server {
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

#[test]
fn moto_keeps_the_contract_and_the_program_works_on_it() {
    let arguments = |port: u16, _: &Path| ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).to_vec();
    let server = Server::start(&installed("moto_server"), arguments, |_, _| {});
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
    let arguments = |port: u16, folder: &Path| {
        fs::create_dir(folder.join("bucket")).expect("a bucket");
        let address = format!("127.0.0.1:{port}");
        let folder = folder.display().to_string();
        ["serve", "s3", "--auth-key", "AKIDEXAMPLE,not-a-secret", "--addr", &address, &folder]
            .map(str::to_owned)
            .to_vec()
    };
    let server = Server::start(&installed("rclone"), arguments, |_, _| {});
    server.keeps_the_contract(RCLONE_BREAKS);
    let store = server.storage("probe");
    assert_eq!(store.put_if_absent(&ObjectName::config(), "config".into()).expect("stored"), Put::Created);
    assert_eq!(store.probe(&ObjectName::config(), "config".into()).expect("tried"), Writers::One);
    Scene::new(server.place("program")).run_all();
}
