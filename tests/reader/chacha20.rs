//! A repository like those of `fixtures/make.sh`, sealed with the cipher that no command line chooses.
//!
//! The program seals with what is fastest on the machine, so this one is made through the library. The kept one was made
//! by this same function.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use snap::codec::key::secret::Passphrase;
use snap::codec::seal::Cipher;
use snap::operation::backup::{BackupRequest, Rereading, SnapshotLabel, backup};
use snap::platform::Ways;
use snap::progress::Silent;
use snap::repository::Repository;
use snap::repository::keyring::Opener;
use snap::repository::session::Mode;
use snap::source::local::LocalRoot;
use snap::storage::local::LocalStorage;

use super::python::{script, succeed};

const SECRET: &str = "correct horse";

/// Makes `chacha20` below `target`; what is captured lies in `target/source` meanwhile.
pub(crate) fn make(target: &Path) {
    let (folder, source) = (target.join("chacha20"), target.join("source"));
    fs::create_dir_all(&folder).expect("a folder");
    succeed(&mut script("fixtures/trees.py", ["small".as_ref(), source.as_os_str()]));
    fs::write(folder.join("secret"), SECRET).expect("written");
    let time: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let storage = LocalStorage::create(&folder.join("repository"), Ways::Native).expect("a folder");
    let opener = Opener::Password(Arc::new(Passphrase::new(SECRET.to_owned())));
    let repository = Repository::init(Arc::new(storage), &[(opener, "")], time, None).expect("a repository");
    let repository = Arc::new(repository.with_cipher(Cipher::ChaCha20Poly1305));
    let label = SnapshotLabel {
        time,
        host: "golden".to_owned(),
        user: "golden".to_owned(),
        series: None,
        tags: Vec::new(),
        description: String::new(),
        scope: Vec::new(),
    };
    let roots = vec![LocalRoot::new(source.clone())];
    let request = BackupRequest {
        roots,
        sources: Vec::new(),
        label,
        rereading: Rereading::Everything,
        mode: Mode::Write,
        threads: 2,
    };
    backup(&repository, &request, &Silent).expect("a snapshot");
    fs::remove_file(folder.join("repository/reserve")).or_else(ignore_missing).expect("a megabyte without meaning");
    fs::write(folder.join("tree.json"), "[]").expect("written");
    let (tree, place) = (folder.join("tree.json"), format!("local{}", source.display()));
    let add = ["--add".as_ref(), tree.as_os_str(), place.as_ref(), source.as_os_str()];
    succeed(&mut script("tests/reader/listing.py", add));
    fs::remove_dir_all(&source).expect("removed");
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[test]
fn every_pack_and_sealed_object_names_the_cipher() {
    let scratch = tempfile::tempdir().expect("a folder");
    make(scratch.path());
    let mut found = 0;
    for file in super::files_below(&scratch.path().join("chacha20/repository")) {
        let bytes = fs::read(&file).expect("read");
        let at = if bytes.starts_with(b"SNAPPACK") || bytes.starts_with(b"SNAPSEAL") { 10 } else { continue };
        assert_eq!(bytes[at], 2, "{}", file.display());
        found += 1;
    }
    assert!(found >= 4, "{found}");
}
