//! Authenticated encryption of a run of bytes in place, and [`Sealed`], the only thing that storage is given.
//!
//! Keys are used once per pack or object, with counters for nonces (FORMAT.md §4), so no random nonce is ever
//! drawn here. Which bytes are sealed together, and with what beside them, is `repository`'s business.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use thiserror::Error;

/// Bytes that an authentication tag adds.
pub const TAG_SIZE: usize = 16;

/// Bytes that may be given to storage: sealed, or a document that is meant to be read in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed(Arc<Vec<u8>>);

/// What [`Bytes`] holds on to.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Sealed {
    /// A whole pack or object whose parts were sealed by a [`SealKey`].
    pub(crate) fn of_sealed_parts(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    /// A document that FORMAT.md keeps in clear: `config`, a key slot, or the bytes of `reserve`.
    pub(crate) fn of_clear_document(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }

    /// The bytes, shared.
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(Shared(Arc::clone(&self.0)))
    }

    /// The buffer for another use, once storage holds none of it any more.
    pub(crate) fn reclaim(self) -> Option<Vec<u8>> {
        Arc::into_inner(self.0)
    }
}

/// Which cipher seals; the number stands in every header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-GCM.
    Aes256Gcm = 1,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305 = 2,
}

impl Cipher {
    /// The faster of the two on this processor.
    pub fn fastest_here() -> Self {
        #[cfg(target_arch = "x86_64")]
        let has_aes = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { Self::Aes256Gcm } else { Self::ChaCha20Poly1305 }
    }

    /// The cipher of this number, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// Sealed bytes that do not open: damaged, or sealed under another key, name or place.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("the seal does not open: the bytes were changed, or belong to another key or name")]
pub struct SealError;

/// A key for one pack or one object, ready for use.
pub struct SealKey(LessSafeKey);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

impl SealKey {
    /// Makes the key ready for `cipher`.
    pub fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        let algorithm = match cipher {
            Cipher::Aes256Gcm => &AES_256_GCM,
            Cipher::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        Self(LessSafeKey::new(UnboundKey::new(algorithm, key).expect("because both ciphers take 32 bytes")))
    }

    /// Seals `target[start..]` in place and appends its tag. The caller never uses `nonce` twice under this key.
    pub fn seal_in_place(&self, nonce: NonceCounter, associated: &[u8], target: &mut Vec<u8>, start: usize) {
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce.nonce(), Aad::from(associated), &mut target[start..])
            .expect("because no text here comes near the cipher's limit of 64 GiB");
        target.extend_from_slice(tag.as_ref());
    }

    /// Opens `sealed` (ciphertext and tag) into `target`, which has the length of the plaintext.
    pub fn open_into(
        &self,
        nonce: NonceCounter,
        associated: &[u8],
        sealed: &[u8],
        target: &mut [u8],
    ) -> Result<(), SealError> {
        let (ciphertext, tag) = sealed.split_at_checked(target.len()).ok_or(SealError)?;
        let associated = Aad::from(associated);
        self.0.open_separate_gather(nonce.nonce(), associated, ciphertext, tag, target).map_err(|_| SealError)
    }

    /// Opens `sealed` (ciphertext and tag) in place; the plaintext is what is returned.
    pub fn open_in_place<'a>(
        &self,
        nonce: NonceCounter,
        associated: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a mut [u8], SealError> {
        self.0.open_in_place(nonce.nonce(), Aad::from(associated), sealed).map_err(|_| SealError)
    }
}

/// Which text of a key this is: a number, and which part of the thing with that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NonceCounter {
    /// Number of the frame; [`NonceCounter::TRAILER`] for a pack's trailer.
    pub number: u64,
    /// Part of it.
    pub part: u32,
}

impl NonceCounter {
    /// The number that a pack's trailer is sealed under.
    pub const TRAILER: u64 = 0xffff_ffff;
    /// The only nonce of a key that seals one text.
    pub const ONLY: Self = Self { number: 0, part: 0 };

    fn nonce(self) -> Nonce {
        let mut bytes = [0; NONCE_LEN];
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..].copy_from_slice(&self.part.to_le_bytes());
        Nonce::assume_unique_for_key(bytes)
    }
}
