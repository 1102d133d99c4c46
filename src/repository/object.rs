//! Sealed objects: everything under `s/ i/ c/ f/ g/ b/` (FORMAT.md §6).
//!
//! Each has a salt, so a key, of its own, and carries its full name among the authenticated data. What stands
//! inside is the business of `index`, `session` and `snapshot`.

use crate::codec::compress::{Compressor, Decompressor, Method};
use crate::codec::hash::keyed;
use crate::codec::key::Keys;
use crate::codec::seal::{Cipher, NonceCounter, SealKey, Sealed, TAG_SIZE};
use crate::id::{RepositoryId, SegmentId};
use crate::repository::error::RepositoryError;
use crate::storage::name::{ObjectName, Prefix};

const MAGIC: &[u8; 8] = b"SNAPSEAL";
const VERSION: u8 = 1;
const HEADER_SIZE: usize = 64;
/// Bytes a sealed object has beside its body.
pub(super) const OBJECT_OVERHEAD: u64 = (HEADER_SIZE + TAG_SIZE) as u64;
/// Level for objects: they are small and kept long.
const LEVEL: i32 = 3;

/// Largest document, decompressed.
pub(crate) const DOCUMENT_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// Largest index delta, decompressed.
pub(crate) const DELTA_SIZE_MAX: u64 = 512 * 1024 * 1024;
/// A delta is mostly ids, which no compression makes smaller: beyond this many times its stored size (and some room for
/// the smallest) it can only be meant to fill memory.
const EXPANSION_MAX: u64 = 16;
const HEAD_ROOM: u64 = 64 * 1024;

/// Seals `plaintext` as the object `name`, under the key that `salt` makes its own.
pub(crate) fn seal_object(
    keys: &Keys,
    repository: RepositoryId,
    name: &ObjectName,
    plaintext: &[u8],
    cipher: Cipher,
    salt: [u8; 32],
) -> Result<Sealed, RepositoryError> {
    let mut bytes = Vec::with_capacity(HEADER_SIZE + plaintext.len() / 2 + TAG_SIZE);
    bytes.resize(HEADER_SIZE, 0);
    let method = Compressor::new(LEVEL)?.compress(plaintext, &mut bytes)?;
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8] = VERSION;
    bytes[9] = method as u8;
    bytes[10] = cipher as u8;
    bytes[16..24].copy_from_slice(&(plaintext.len() as u64).to_le_bytes());
    bytes[32..64].copy_from_slice(&salt);
    let associated = associated_data(repository, &bytes[..HEADER_SIZE], name);
    let key = SealKey::new(cipher, &keyed(&keys.objects, &salt));
    key.seal_in_place(NonceCounter::ONLY, &associated, &mut bytes, HEADER_SIZE);
    Ok(Sealed::of_sealed_parts(bytes))
}

/// Opens the object `name`; at most `size_max` bytes come out.
pub(crate) fn open_object(
    keys: &Keys,
    repository: RepositoryId,
    name: &ObjectName,
    stored: &[u8],
    size_max: u64,
) -> Result<Vec<u8>, RepositoryError> {
    let damaged = |reason: &str| RepositoryError::ObjectDamaged { name: name.clone(), reason: reason.to_owned() };
    if stored.len() < HEADER_SIZE + TAG_SIZE || &stored[..8] != MAGIC {
        return Err(damaged("it does not begin as a sealed object"));
    }
    let (header, body) = stored.split_at(HEADER_SIZE);
    if header[8] != VERSION || header[11] != 0 || header[12..16] != [0; 4] {
        let reason = format!("object version {}, wrap kind {}", header[8], header[11]);
        return Err(RepositoryError::NewerFormat { what: name.to_string(), reason });
    }
    let cipher = Cipher::from_number(header[10]).ok_or_else(|| damaged("its cipher is unknown"))?;
    let method = Method::from_number(u32::from(header[9])).ok_or_else(|| damaged("its compression is unknown"))?;
    let length = u64::from_le_bytes(header[16..24].try_into().expect("because the slice has 8 bytes"));
    if length > size_max {
        return Err(damaged("it says it is larger than any such object"));
    }
    if length > HEAD_ROOM + EXPANSION_MAX * stored.len() as u64 && size_max == DELTA_SIZE_MAX {
        return Err(damaged("it says it is larger than ids of so many bytes can make it"));
    }
    let associated = associated_data(repository, header, name);
    let key = SealKey::new(cipher, &keyed(&keys.objects, &header[32..64]));
    let mut sealed = body.to_vec();
    let opened =
        key.open_in_place(NonceCounter::ONLY, &associated, &mut sealed).map_err(|e| damaged(&e.to_string()))?;
    let length = usize::try_from(length).map_err(|_| damaged("it is larger than this machine can hold"))?;
    let mut plaintext = Vec::with_capacity(length);
    Decompressor::new()?.decompress(method, opened, length, &mut plaintext).map_err(|e| damaged(&e.to_string()))?;
    Ok(plaintext)
}

/// The name under which a segment of the base index is sealed: its own is only known by its sealed bytes.
pub(crate) fn base_name() -> ObjectName {
    ObjectName::base_segment(&SegmentId([0; 32]))
}

fn associated_data(repository: RepositoryId, header: &[u8], name: &ObjectName) -> Vec<u8> {
    let name = if name.base_segment_id().is_some() { Prefix::Base.as_str() } else { name.as_str() };
    [&repository.0[..], header, name.as_bytes()].concat()
}
