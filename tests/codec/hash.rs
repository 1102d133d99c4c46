//! Names of bytes: what `b3sum` would print, and that kinds and keys do not meet.

use snap::codec::hash::{Digest, chunk_id, digest, fill_keystream, keyed, pack_id, page_id};

#[test]
fn digest_of_nothing_is_the_published_one() {
    let published = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(hex::encode(digest(b"")), published);
    assert_eq!(pack_id(b"").to_string(), published);
}

#[test]
fn keyed_names_stay_what_they_were() {
    // From the test vectors of BLAKE3's authors: their key, and the one byte 0.
    let key = *b"whats the Elvish word for friend";
    let published = "6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b";
    assert_eq!(hex::encode(keyed(&key, &[0])), published);
    assert_eq!(chunk_id(&key, &[0]).to_string(), published);
    assert_eq!(page_id(&key, &[0]).to_string(), published);
    assert_ne!(chunk_id(&key, &[0]), chunk_id(&[0; 32], &[0]));
}

#[test]
fn digest_taken_in_parts_is_that_of_the_whole() {
    let bytes = super::noise("digest", 10_000);
    let mut running = Digest::default();
    for part in bytes.chunks(777) {
        running.update(part);
    }
    assert_eq!(running.finish(), digest(&bytes));
}

#[test]
fn keystream_begins_alike_at_every_length_and_differs_by_purpose() {
    let stream = |purpose: &[u8], length| {
        let mut target = vec![0; length];
        fill_keystream(&[9; 32], purpose, &mut target);
        target
    };
    assert_eq!(stream(b"padding", 1000)[..10], stream(b"padding", 10));
    assert_eq!(stream(b"padding", 32), keyed(&[9; 32], b"padding"));
    assert_ne!(stream(b"padding", 32), stream(b"sync", 32));
}
