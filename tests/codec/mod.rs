//! The codec floor: cutting, compressing, sealing, keys and the binary encoding, with golden vectors.

mod chunk;
mod compress;
mod encode;
mod hash;
mod key;
mod seal;

/// Pseudo-random bytes that are the same on every run.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Lines of text that are the same on every run.
fn text(seed: &str, length: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "store", "photo", "estate", "region", "bucket", "lambda", "entry", "chunk", "frame", "index", "table",
        "record", "zone", "queue", "stage", "role",
    ];
    let mut bytes = Vec::with_capacity(length + 64);
    for (number, byte) in noise(seed, length).into_iter().enumerate() {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(WORDS[usize::from(byte & 15)].as_bytes());
        bytes.extend_from_slice(if number % 9 == 8 { b"\n" } else { b" " });
    }
    bytes.truncate(length);
    bytes
}
