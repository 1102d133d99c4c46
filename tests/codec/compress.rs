//! Compression: round trips, what is stored raw, and stored bytes that lie.

use proptest::prelude::{any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use snap::codec::compress::{CompressError, Compressor, Decompressor, Method, looks_incompressible};

use super::{noise, text};

fn compressed(plain: &[u8]) -> (Method, Vec<u8>) {
    let mut target = Vec::new();
    let method = Compressor::new(3).expect("level 3").compress(plain, &mut target).expect("it compresses");
    (method, target)
}

fn decompressed(method: Method, stored: &[u8], plain_length: usize) -> Result<Vec<u8>, CompressError> {
    let mut target = b"before".to_vec();
    let result = Decompressor::new().expect("memory").decompress(method, stored, plain_length, &mut target);
    assert!(target.starts_with(b"before"));
    if result.is_err() {
        assert_eq!(target, b"before", "an error leaves the target as it was");
    }
    result.map(|()| target.split_off(6))
}

/// Bytes as entropy coding leaves them: a few values somewhat more frequent, and a stuffed zero after each 0xff.
fn picture(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 1);
    for byte in noise("picture", length) {
        bytes.push(byte);
        if byte == 0xff {
            bytes.push(0);
        }
    }
    bytes.truncate(length);
    bytes
}

fn base64(length: usize) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    noise("base64", length).into_iter().map(|byte| ALPHABET[usize::from(byte & 63)]).collect()
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, cases: 64, ..Config::default() })]

    #[test]
    fn what_was_compressed_comes_back(
        plain in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..5000),
            prop::collection::vec(0_u8..3, 0..100_000),
        ],
    ) {
        let (method, stored) = compressed(&plain);
        prop_assert_eq!(decompressed(method, &stored, plain.len()), Ok(plain));
    }

    #[test]
    fn arbitrary_bytes_never_make_more_than_they_should(stored in prop::collection::vec(any::<u8>(), 0..200), length in 0_usize..300) {
        if let Ok(plain) = decompressed(Method::Zstd, &stored, length) {
            prop_assert_eq!(plain.len(), length);
        }
    }
}

#[test]
fn compressor_appends_and_serves_again() {
    let (first, second) = (text("first", 100_000), text("second", 3_000));
    let mut compressor = Compressor::new(1).expect("level 1");
    let mut target = b"header".to_vec();
    assert_eq!(compressor.compress(&first, &mut target), Ok(Method::Zstd));
    let middle = target.len();
    assert_eq!(compressor.compress(&second, &mut target), Ok(Method::Zstd));
    assert_eq!(&target[..6], b"header");
    assert_eq!(decompressed(Method::Zstd, &target[6..middle], first.len()), Ok(first));
    assert_eq!(decompressed(Method::Zstd, &target[middle..], second.len()), Ok(second));
}

#[test]
fn same_bytes_compress_alike_whatever_room_there_is() {
    let plain = text("alike", 200_000);
    let mut roomy = Vec::with_capacity(10_000_000);
    Compressor::new(3).expect("level 3").compress(&plain, &mut roomy).expect("it compresses");
    assert_eq!(compressed(&plain).1, roomy);
}

#[test]
fn random_bytes_and_pictures_are_stored_raw() {
    for length in [1024, 5_000, 100_000, 1 << 20] {
        assert!(looks_incompressible(&noise("raw", length)), "{length} random bytes");
        assert!(looks_incompressible(&picture(length)), "{length} bytes of a picture");
    }
    let plain = noise("raw", 100_000);
    assert_eq!(compressed(&plain), (Method::Raw, plain));
}

#[test]
fn random_bytes_of_every_seed_look_so() {
    for seed in 0..2_000 {
        assert!(looks_incompressible(&noise(&format!("seed {seed}"), 4096)), "seed {seed}");
    }
}

#[test]
fn text_json_base64_and_hex_are_never_called_incompressible() {
    let json = r#"{"id":"Zm9v","count":12,"nested":{"a":[1,2,3.5,null],"ü":"é"}},"#.repeat(2_000).into_bytes();
    let hex = hex::encode(noise("hex", 50_000)).into_bytes();
    for (name, plain) in [("text", text("probe", 100_000)), ("json", json), ("base64", base64(100_000)), ("hex", hex)] {
        for length in [0, 1, 1023, 1024, 4096, 50_000, plain.len()] {
            assert!(!looks_incompressible(&plain[..length]), "{length} bytes of {name}");
        }
        assert_eq!(compressed(&plain).0, Method::Zstd, "{name}");
    }
}

#[test]
fn counters_and_short_repeats_are_never_called_incompressible() {
    let table: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    assert!(!looks_incompressible(&table));
    assert!(!looks_incompressible(&noise("repeat", 256).repeat(400)));
}

#[test]
fn chunk_of_text_among_pictures_is_seen() {
    let mut frame = noise("mixed", 1 << 20);
    frame[400_000..530_000].copy_from_slice(&text("mixed", 130_000));
    assert!(!looks_incompressible(&frame));
    assert_eq!(compressed(&frame).0, Method::Zstd);
}

#[test]
fn wrong_length_is_refused() {
    let plain = text("length", 50_000);
    let (method, stored) = compressed(&plain);
    for length in [0, 49_999, 50_001, 16 << 20] {
        let error = CompressError::Length { expected: length, actual: 50_000 };
        assert_eq!(decompressed(method, &stored, length), Err(error));
        assert!(decompressed(Method::Raw, &plain, length).is_err());
    }
}

#[test]
fn bomb_without_a_stated_size_makes_no_more_than_it_should() {
    use std::io::Write;
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("an encoder");
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).expect("it compresses");
    }
    let bomb = encoder.finish().expect("it ends");
    assert!(bomb.len() < 20_000);
    let mut target = Vec::new();
    assert!(Decompressor::new().expect("memory").decompress(Method::Zstd, &bomb, 1000, &mut target).is_err());
    assert!(target.is_empty() && target.capacity() <= 1000);
    assert_eq!(decompressed(Method::Zstd, &bomb, 64 << 20).map(|plain| plain.len()), Ok(64 << 20));
}

#[test]
fn frame_without_a_stated_size_must_make_as_many_bytes_as_it_should() {
    let stored = zstd::stream::encode_all(&[7; 1000][..], 3).expect("it compresses");
    for length in [999, 1001] {
        let mut target = Vec::with_capacity(1 << 20);
        target.push(1);
        let result = Decompressor::new().expect("memory").decompress(Method::Zstd, &stored, length, &mut target);
        assert_eq!(result, Err(CompressError::Length { expected: length, actual: 1000 }));
        assert_eq!(target, [1]);
    }
    assert_eq!(decompressed(Method::Zstd, &stored, 1000), Ok(vec![7; 1000]));
}

#[test]
fn bytes_after_the_frame_are_refused() {
    let plain = text("trailing", 5_000);
    let (method, stored) = compressed(&plain);
    let second = [stored.as_slice(), stored.as_slice()].concat();
    assert_eq!(decompressed(method, &second, 10_000), Err(CompressError::TrailingBytes { count: stored.len() }));
    let skippable = [stored.as_slice(), b"\x50\x2a\x4d\x18\x00\x00\x00\x00"].concat();
    assert_eq!(decompressed(method, &skippable, 5_000), Err(CompressError::TrailingBytes { count: 8 }));
    assert!(decompressed(method, &stored[..stored.len() - 1], 5_000).is_err());
    assert!(decompressed(method, &[], 0).is_err());
}

#[test]
fn levels_that_zstd_lacks_are_refused() {
    assert!(Compressor::new(23).is_err());
    assert!(Compressor::new(i32::MIN).is_err());
    assert!(Compressor::new(-5).is_ok());
}

#[test]
fn methods_keep_their_numbers() {
    assert_eq!((Method::Raw as u32, Method::Zstd as u32), (0, 1));
    assert_eq!([0, 1, 2].map(Method::from_number), [Some(Method::Raw), Some(Method::Zstd), None]);
}
