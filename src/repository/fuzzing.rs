//! Doors for fuzzers to what reads bytes from storage and is nobody else's business.
//!
//! Each takes any bytes and must neither panic nor set aside more memory than the format allows; what it can tell of the
//! result, it asserts. Nothing of the program calls these.

use crate::codec::key::{Keys, RootSecret};
use crate::codec::seal::{Cipher, NonceCounter, SealKey};
use crate::id::{RepositoryId, SessionId};
use crate::repository::config::UnverifiedConfig;
use crate::repository::index::delta::{decode_delta, encode_delta};
use crate::repository::object::{DOCUMENT_SIZE_MAX, open_object, seal_object};
use crate::repository::snapshot::parse_cell;
use crate::storage::name::ObjectName;

/// The plaintext of an index delta; what is read is written the same.
pub fn delta(bytes: &[u8]) {
    if let Ok(packs) = decode_delta(bytes) {
        assert_eq!(encode_delta(&packs), bytes, "a delta has one encoding");
    }
}

/// A `config` document.
pub fn config(bytes: &[u8]) {
    drop(UnverifiedConfig::parse(bytes));
}

/// A commit cell.
pub fn cell(bytes: &[u8]) {
    drop(parse_cell(bytes));
}

/// A sealed object: the header is what the first 64 bytes say, the rest is sealed under it as a co-writer would.
pub fn envelope(bytes: &[u8]) {
    let (keys, name) = sealing();
    drop(open_object(&keys, REPOSITORY, &name, bytes, DOCUMENT_SIZE_MAX));
    let Some((header, body)) = bytes.split_at_checked(64) else { return };
    let Some(cipher) = Cipher::from_number(header[10]) else { return };
    let associated = [&REPOSITORY.0[..], header, name.as_str().as_bytes()].concat();
    let key = SealKey::new(cipher, &crate::codec::hash::keyed(&keys.objects, &header[32..]));
    let mut sealed = [header, body].concat();
    key.seal_in_place(NonceCounter::ONLY, &associated, &mut sealed, 64);
    if let Ok(plain) = open_object(&keys, REPOSITORY, &name, &sealed, DOCUMENT_SIZE_MAX) {
        let length = header[16..24].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        assert_eq!(plain.len() as u64, length, "an object has the length that it says");
    }
}

/// The bytes that [`envelope`] takes for this plaintext: header and body, not sealed.
pub fn open_envelope(plaintext: &[u8]) -> Vec<u8> {
    let (keys, name) = sealing();
    let sealed = seal_object(&keys, REPOSITORY, &name, plaintext, Cipher::Aes256Gcm, [7; 32]);
    let mut bytes = sealed.expect("because it is small").bytes().to_vec();
    let (header, body) = bytes.split_at_mut(64);
    let associated = [&REPOSITORY.0[..], header, name.as_str().as_bytes()].concat();
    let key = SealKey::new(Cipher::Aes256Gcm, &crate::codec::hash::keyed(&keys.objects, &header[32..]));
    let length = key.open_in_place(NonceCounter::ONLY, &associated, body).expect("because it was just sealed").len();
    bytes.truncate(64 + length);
    bytes
}

const REPOSITORY: RepositoryId = RepositoryId([7; 16]);

fn sealing() -> (Keys, ObjectName) {
    (Keys::derive(&RootSecret([7; 32])), ObjectName::commit_cell(&SessionId([7; 16])))
}
