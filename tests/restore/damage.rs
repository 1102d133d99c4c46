//! A repository that lost something: what is lost is named, all else comes back, nothing is half right.

use std::fs;

use bytes::Bytes;
use snap::operation::restore::RestoreRequest;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::{ByteRange, Storage};

use super::{Bench, picture};

/// Packs of a kind (1 data, 2 pages), with their bytes.
fn packs(bench: &Bench, kind: u8) -> Vec<(ObjectName, Vec<u8>)> {
    let objects = bench.storage.list(&Prefix::Packs).unwrap();
    let read = |name: ObjectName| {
        let bytes = bench.storage.get(&name, ByteRange::All).unwrap().to_vec();
        (name, bytes)
    };
    objects.into_iter().map(|object| read(object.name)).filter(|(_, bytes)| bytes[9] == kind).collect()
}

fn flip(bench: &Bench, (name, bytes): &(ObjectName, Vec<u8>), at: usize) {
    let mut bytes = bytes.clone();
    bytes[at] ^= 1;
    bench.storage.tamper(name, Bytes::from(bytes));
}

/// Files in a frame each, and more than one frame.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("a/large", 5_000_000);
    bench.write("b/small", 2_000);
    bench.write("c/large", 5_000_000);
    fs::write(bench.live("inline"), "x").unwrap();
    bench
}

#[test]
fn a_bad_frame_loses_its_files_alone_and_names_them() {
    let bench = bench();
    let record = bench.backup();
    let data = packs(&bench, 1);
    flip(&bench, &data[0], 100);
    let (outcome, told) = bench.restore_told(&record, &bench.request());
    let report = outcome.unwrap();
    let failures = told.failures();
    assert!(report.lost >= 1 && report.lost == failures.len() as u64, "{failures:?}");
    let mut lost = Vec::new();
    for (path, message) in &failures {
        assert!(message.contains("bytes ") && message.contains("pack "), "{message}");
        lost.push(path.strip_prefix(&format!("{}/", bench.layout())).unwrap().to_owned());
    }
    let (live, out) = (picture(&bench.live("")), picture(&bench.out("")));
    for (path, seen) in &live {
        let is_lost = lost.iter().any(|lost| path.as_os_str() == lost.as_str());
        assert_eq!(out.get(path), (!is_lost).then_some(seen), "{}", path.display());
    }
    assert!(out.len() + lost.len() == live.len(), "nothing else is there: {:?}", out.keys());
}

#[test]
fn a_missing_pack_loses_what_it_held() {
    let bench = bench();
    let record = bench.backup();
    for (name, _) in packs(&bench, 1) {
        bench.storage.delete(&name).unwrap();
    }
    let (outcome, told) = bench.restore_told(&record, &bench.request());
    assert_eq!(outcome.unwrap().lost, 3, "{:?}", told.failures());
    assert_eq!(bench.out_paths(), ["", "a", "b", "c", "inline"]);
}

#[test]
fn a_chunk_with_a_bad_copy_comes_from_the_other() {
    for bad in [0, 1] {
        let bench = bench();
        bench.backup();
        let indexes: Vec<_> = bench.storage.list(&Prefix::Index).unwrap();
        let kept: Vec<_> = indexes
            .iter()
            .map(|object| (object.name.clone(), bench.storage.get(&object.name, ByteRange::All).unwrap()))
            .collect();
        let first = packs(&bench, 1);
        for object in &indexes {
            bench.storage.delete(&object.name).unwrap();
        }
        // Without an index nothing is known to be there, so all is sent a second time.
        let second_record = bench.backup_root(snap::source::local::LocalRoot::new(bench.live("")), &[]);
        let second: Vec<_> = packs(&bench, 1).into_iter().filter(|pack| !first.contains(pack)).collect();
        assert!(!second.is_empty());
        for (name, bytes) in kept {
            bench.storage.tamper(&name, bytes);
        }
        for pack in [&first, &second][bad] {
            flip(&bench, pack, 100);
        }
        let (outcome, told) = bench.restore_told(&second_record, &bench.request());
        assert_eq!((outcome.unwrap().lost, told.failures()), (0, Vec::new()));
        assert_eq!(picture(&bench.out("")), picture(&bench.live("")));
    }
}

#[test]
fn a_lost_page_loses_its_stretch_and_deletes_nothing() {
    let bench = Bench::new();
    for number in 0..6_000 {
        fs::write(bench.live(&format!("{number:05}")), "x").unwrap();
    }
    let record = bench.backup();
    let before = bench.restore(&record, &bench.request()).restored;
    fs::write(bench.out("extra"), "x").unwrap();
    for pack in packs(&bench, 2) {
        flip(&bench, &pack, 100);
    }
    let deletion = snap::operation::restore::Deletion::Remove;
    let elsewhere = RestoreRequest { deletion, ..bench.request() };
    let (outcome, told) = bench.restore_told(&record, &elsewhere);
    match outcome {
        Ok(report) => {
            assert!(report.lost > 0 && report.restored < before);
            assert!(told.failures().iter().all(|(_, message)| message.contains("is lost")), "{:?}", told.failures());
        }
        // The page that was hit may be the root itself.
        Err(error) => assert!(matches!(error, snap::operation::restore::RestoreError::Tree(_)), "{error}"),
    }
    assert!(bench.out("extra").exists());
}
