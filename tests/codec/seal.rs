//! Sealing: published vectors, and every way in which a seal must not open.

use snap::codec::seal::{Cipher, NonceCounter, SealError, SealKey, TAG_SIZE};

const CIPHERS: [Cipher; 2] = [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305];
const NONCE: NonceCounter = NonceCounter { number: 0x0807_0605_0403_0201, part: 0x0c0b_0a09 };

fn sealed(cipher: Cipher, nonce: NonceCounter, associated: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut target = plain.to_vec();
    SealKey::new(cipher, &[0x42; 32]).seal_in_place(nonce, associated, &mut target, 0);
    target
}

fn opened(cipher: Cipher, nonce: NonceCounter, associated: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut bytes = sealed.to_vec();
    SealKey::new(cipher, &[0x42; 32]).open_in_place(nonce, associated, &mut bytes).map(|plain| plain.to_vec())
}

#[test]
fn aes_agrees_with_the_published_vector() {
    // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14: all zero.
    let mut target = vec![0; 16];
    SealKey::new(Cipher::Aes256Gcm, &[0; 32]).seal_in_place(NonceCounter::ONLY, &[], &mut target, 0);
    assert_eq!(hex::encode(&target), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

#[test]
fn golden_seals_stay_what_they_were() {
    let seals = CIPHERS.map(|cipher| hex::encode(sealed(cipher, NONCE, b"associated", b"plaintext")));
    assert_eq!(
        seals.each_ref().map(String::as_str),
        ["c596472523072c7bf89b43da3ad12484c57cf537e8802d9280", "ce7df29e213c97e8d0143b969dfd3b5a28530af12e657135dd"]
    );
}

#[test]
fn sealed_bytes_open_under_the_same_key_nonce_and_associated_data_only() {
    for cipher in CIPHERS {
        let plain = super::noise("seal", 1000);
        let bytes = sealed(cipher, NONCE, b"associated", &plain);
        assert_eq!(bytes.len(), plain.len() + TAG_SIZE);
        assert_eq!(opened(cipher, NONCE, b"associated", &bytes), Ok(plain.clone()));
        assert_eq!(opened(cipher, NONCE, b"other", &bytes), Err(SealError));
        assert_eq!(opened(cipher, NonceCounter { number: 0, ..NONCE }, b"associated", &bytes), Err(SealError));
        assert_eq!(opened(cipher, NonceCounter { part: 0, ..NONCE }, b"associated", &bytes), Err(SealError));
        for position in [0, 500, 999, 1000, 1015] {
            let mut bad = bytes.clone();
            bad[position] ^= 1;
            assert_eq!(opened(cipher, NONCE, b"associated", &bad), Err(SealError), "byte {position}");
        }
        for length in [0, 15, 16, 1015] {
            assert_eq!(opened(cipher, NONCE, b"associated", &bytes[..length]), Err(SealError), "{length} bytes");
        }
        let other_key = SealKey::new(cipher, &[0x43; 32]);
        assert!(other_key.open_in_place(NONCE, b"associated", &mut bytes.clone()).is_err());
    }
}

#[test]
fn what_stands_before_the_start_is_left_alone() {
    for cipher in CIPHERS {
        let mut target = b"headerplain".to_vec();
        SealKey::new(cipher, &[0x42; 32]).seal_in_place(NONCE, &[], &mut target, 6);
        assert_eq!(&target[..6], b"header");
        assert_eq!(opened(cipher, NONCE, &[], &target[6..]), Ok(b"plain".to_vec()));
    }
}

#[test]
fn ciphers_keep_their_numbers() {
    assert_eq!(CIPHERS.map(|cipher| cipher as u8), [1, 2]);
    let known = [Some(Cipher::Aes256Gcm), Some(Cipher::ChaCha20Poly1305)];
    assert_eq!([1, 2].map(Cipher::from_number), known);
    assert_eq!([0, 3, 255].map(Cipher::from_number), [None; 3]);
}
