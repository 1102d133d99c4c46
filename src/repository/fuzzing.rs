//! Doors for fuzzers and measurements to what reads bytes from storage and is nobody else's business.
//!
//! Each takes any bytes and must neither panic nor set aside more memory than the format allows; what it can tell of the
//! result, it asserts. Nothing of the program calls these.

use std::ops::Range;

use crate::codec::compress::Method;
use crate::codec::hash::digest;
use crate::codec::key::{Keys, RootSecret};
use crate::codec::seal::{Cipher, NonceCounter, SealKey};
use crate::id::{PackId, RepositoryId, SessionId};
use crate::repository::Repository;
use crate::repository::config::UnverifiedConfig;
use crate::repository::error::RepositoryError;
use crate::repository::generation::BaseSegment;
use crate::repository::index::delta::{PackRecord, decode_delta, encode_delta};
use crate::repository::object::{DOCUMENT_SIZE_MAX, open_object, seal_object};
use crate::repository::pack::{FrameRecord, PackDirectory, PackHeader, PackKind, count};
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

/// Chunks in an invented pack, and in each of its frames.
const INVENTED_CHUNKS: (u8, usize) = (64, 8);

/// Puts a base segment of packs that do not exist, of chunks whose ids are the hashes of these numbers: an index of any size
/// without its data. Returns it as a manifest lists it.
pub fn put_invented_base(repository: &Repository, numbers: Range<u64>) -> Result<BaseSegment, RepositoryError> {
    let (of_pack, of_frame) = INVENTED_CHUNKS;
    let mut packs = Vec::new();
    for first in numbers.clone().step_by(usize::from(of_pack)) {
        let ids: Vec<[u8; 32]> =
            (first..numbers.end.min(first + u64::from(of_pack))).map(|number| digest(&number.to_le_bytes())).collect();
        let lengths = vec![INVENTED_LENGTH; ids.len()];
        let frame = |chunks: &[[u8; 32]]| FrameRecord {
            stored_length: INVENTED_LENGTH,
            plain_length: count(chunks.len()) * (INVENTED_LENGTH + 4) + 4,
            chunk_count: count(chunks.len()),
            method: Method::Zstd,
        };
        let directory = PackDirectory { frames: ids.chunks(of_frame).map(frame).collect(), ids, lengths };
        let header = PackHeader { kind: PackKind::Data, cipher: Cipher::Aes256Gcm, salt: digest(&first.to_be_bytes()) };
        let size = count(usize::try_from(directory.frames_end()).unwrap_or(usize::MAX));
        packs.push(PackRecord { id: PackId(header.salt), size, header, directory });
    }
    let id = repository.put_base_segment(&packs)?;
    Ok(BaseSegment { id, packs: packs.len() as u64, gone: Vec::new() })
}

/// Length of an invented chunk.
const INVENTED_LENGTH: u32 = 120_000;
