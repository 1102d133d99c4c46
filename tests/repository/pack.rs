//! Packs byte by byte: what FORMAT.md §5 says of their parts holds for those that a session writes.

use std::sync::Arc;

use snap::codec::hash::pack_id;
use snap::id::PackId;
use snap::repository::Repository;
use snap::repository::error::RepositoryError;
use snap::repository::pack::{FOOTER_SIZE, HEADER_SIZE, PackFooter, PackHeader, PackKind};
use snap::repository::session::Origin;
use snap::storage::memory::MemoryStorage;
use snap::storage::name::{ObjectName, Prefix};

use super::{begin, content, epoch, flip, fresh, names, noise, record, store, text};

/// Every pack's id, size, and what closed it.
fn check_layout(storage: &MemoryStorage, repository: &Repository) -> Vec<(PackId, usize)> {
    let mut packs = Vec::new();
    for name in names(storage, Prefix::Packs) {
        let bytes = content(storage, &name);
        let id = name.pack_id().expect("a pack");
        assert_eq!(pack_id(&bytes), id, "the name is the hash of the bytes");
        assert_eq!(&bytes[..9], b"SNAPPACK\x01");
        assert_eq!(bytes[11..32], [0; 21], "no wrap, epoch 0, reserved bytes zero");
        let header = PackHeader::decode(&bytes[..HEADER_SIZE]).expect("a header");
        let footer = PackFooter::decode(&bytes[bytes.len() - FOOTER_SIZE..]).expect("a footer");
        let trailer_end = bytes.len() - FOOTER_SIZE;
        let trailer = &bytes[trailer_end - footer.trailer_length as usize..trailer_end];
        assert_eq!(crc32c::crc32c(trailer), footer.trailer_checksum);
        let record = repository.verify_pack(&id).expect("it proves whole");
        assert_eq!((record.header, record.size as usize), (header, bytes.len()));
        assert_eq!(trailer.len(), record.directory.encode().len() + 16);
        let padding_end = trailer_end - trailer.len();
        let padding_start = usize::try_from(record.directory.frames_end()).expect("it fits");
        assert_eq!(padding_end - padding_start, footer.padding_length as usize);
        packs.push((id, bytes.len()));
    }
    packs
}

fn is_padme(length: usize) -> bool {
    let exponent = length.ilog2();
    length.is_multiple_of(1 << (exponent - exponent.ilog2() - 1))
}

#[test]
fn a_full_pack_is_a_multiple_of_4_kib_and_the_last_one_hides_its_length() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let chunks: Vec<Vec<u8>> = (0..20).map(|seed| noise(1 << 20, seed)).collect();
    store(&repository, &chunks).expect("stored");
    let mut sizes: Vec<usize> = check_layout(&storage, &repository).into_iter().map(|(_, size)| size).collect();
    sizes.sort_unstable();
    let [last, full] = sizes[..] else { panic!("{sizes:?} should be two packs") };
    assert!(full >= 16 << 20 && full.is_multiple_of(4096), "{full}");
    assert!(is_padme(last), "{last}");
}

#[test]
fn each_effort_has_frames_of_its_own_in_one_pack() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    let session = begin(&repository);
    let mut writer = session.writer(PackKind::Data).expect("a writer");
    writer.store(&text(100_000, 1), Origin::Small).expect("stored");
    writer.store(&text(100_000, 2), Origin::Large).expect("stored");
    writer.store(&noise(100_000, 3), Origin::Large).expect("stored");
    writer.flush().expect("flushed");
    session.commit(record(epoch())).expect("committed");
    let [(pack, _)] = check_layout(&storage, &repository)[..] else { panic!("one pack") };
    let frames = repository.verify_pack(&pack).expect("whole").directory.frames;
    let smaller: Vec<bool> = frames.iter().map(|frame| frame.stored_length < frame.plain_length / 4).collect();
    assert_eq!(smaller, [true, true, false]);
    assert!(frames.iter().all(|frame| frame.chunk_count == 1 && frame.plain_length == 100_008));
}

#[test]
fn a_pack_that_is_longer_or_shorter_than_listed_is_damaged_and_never_a_panic() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    store(&repository, &[text(5000, 1)]).expect("stored");
    let name = names(&*storage, Prefix::Packs).remove(0);
    let (pack, bytes) = (name.pack_id().expect("a pack"), content(&*storage, &name));
    for length in 0..bytes.len() {
        storage.tamper(&name, bytes.slice(..length));
        // As a listing may still say what was there a moment ago.
        assert!(repository.read_directory(&pack, bytes.len() as u64).is_err(), "{length}");
        assert!(repository.verify_pack(&pack).is_err(), "{length}");
    }
}

#[test]
fn every_byte_of_a_pack_is_proven() {
    let storage = Arc::new(MemoryStorage::new());
    let (repository, _) = fresh(storage.clone());
    store(&repository, &[text(600, 1), noise(600, 2)]).expect("stored");
    let name = names(&*storage, Prefix::Packs).remove(0);
    let pack = name.pack_id().expect("a pack");
    for at in 0..content(&*storage, &name).len() {
        flip(&storage, &name, at);
        assert!(matches!(repository.verify_pack(&pack), Err(RepositoryError::PackDamaged { .. })), "byte {at}");
        flip(&storage, &name, at);
    }
    repository.verify_pack(&pack).expect("whole again");
    assert!(repository.verify_pack(&PackId([9; 32])).is_err(), "{}", ObjectName::pack(&PackId([9; 32])));
}
