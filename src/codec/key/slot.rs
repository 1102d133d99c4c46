//! Key slots (FORMAT.md §3): documents that hold the root secrets, wrapped for one passphrase or key.
//!
//! Costs are checked before anything is computed, the commitment before anything is opened, so a wrong secret is
//! told from a damaged slot. Names and copies of slots are `repository`'s business.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::codec::hash::{digest, keyed};
use crate::codec::key::secret::{FileKey, Passphrase};
use crate::codec::key::{RootSecret, fill_random};
use crate::codec::seal::{Cipher, NonceCounter, SealKey, TAG_SIZE};
use crate::id::{RepositoryId, SlotId};

/// Longest slot document, in bytes.
pub const DOCUMENT_SIZE_MAX: usize = 64 * 1024;

const VERSION: u32 = 1;
const COMMITMENT_CONTEXT: &str = "snap-backup 2026 v1 slot commitment";
const WRAP_CONTEXT: &str = "snap-backup 2026 v1 slot wrap";

/// Why a slot does not open, or cannot be made.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// The slot is intact, and made for another passphrase or key (or another repository).
    #[error("the {kind} does not open this key slot")]
    WrongSecret {
        /// What was tried.
        kind: SlotKind,
    },
    /// The slot is made for another kind of secret.
    #[error("the key slot opens with a {kind}, not with what was given")]
    OtherKind {
        /// What it opens with.
        kind: SlotKind,
    },
    /// The bytes are not those that were written.
    #[error("the key slot is damaged: {reason}")]
    Damaged {
        /// What shows it.
        reason: &'static str,
    },
    /// The bytes are those that were written, but make no slot.
    #[error("the key slot is malformed: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The slot asks for more work than any real one.
    #[error("the key slot asks for {t} passes over {m} KiB in {p} lanes, more than 16 over 1048576 in 16")]
    TooCostly {
        /// Passes.
        t: u32,
        /// Memory in KiB.
        m: u32,
        /// Lanes.
        p: u32,
    },
    /// A newer program wrote the slot; it is not damaged.
    #[error("the key slot has version {version}: a newer program is needed")]
    NewerVersion {
        /// The slot's version.
        version: u32,
    },
    /// A newer program wrote a slot for secrets that this one does not know; it is not damaged.
    #[error("the key slot is of kind {kind:?}: a newer program is needed")]
    UnknownKind {
        /// The slot's kind.
        kind: String,
    },
    /// The memory that deriving takes is not there.
    #[error("there is not enough memory to derive a key: {m} KiB are needed")]
    Memory {
        /// Memory in KiB.
        m: u32,
    },
}

/// What a passphrase costs to try: Argon2id's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KdfCost {
    /// Passes.
    pub t: u32,
    /// Memory in KiB.
    pub m: u32,
    /// Lanes.
    pub p: u32,
}

impl Default for KdfCost {
    fn default() -> Self {
        Self { t: 3, m: 64 * 1024, p: 4 }
    }
}

impl KdfCost {
    /// Most that is computed, whatever a slot says; more would be an attack on the reader.
    pub const MAX: Self = Self { t: 16, m: 1024 * 1024, p: 16 };

    fn parameters(self) -> Result<Params, KeyError> {
        let Self { t, m, p } = self;
        if t > Self::MAX.t || m > Self::MAX.m || p > Self::MAX.p {
            return Err(KeyError::TooCostly { t, m, p });
        }
        Params::new(m, t, p, Some(32)).map_err(|error| KeyError::Malformed { reason: error.to_string() })
    }
}

/// What kind of secret opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// A [`Passphrase`].
    Password,
    /// A [`FileKey`].
    KeyFile,
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::KeyFile => "key file",
        })
    }
}

/// A secret to make or open a slot with.
#[derive(Clone, Copy, Debug)]
pub enum SlotSecretSource<'a> {
    /// A passphrase; slow to try.
    Password(&'a Passphrase),
    /// A key file or recovery words.
    KeyFile(&'a FileKey),
}

impl SlotSecretSource<'_> {
    /// Which slots it can open.
    pub fn kind(&self) -> SlotKind {
        match self {
            Self::Password(_) => SlotKind::Password,
            Self::KeyFile(_) => SlotKind::KeyFile,
        }
    }
}

/// The root secrets of a repository, wrapped for one secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySlot {
    version: u32,
    kind: SlotKind,
    label: String,
    created: Timestamp,
    kdf: Kdf,
    #[serde(with = "hex_text")]
    commitment: [u8; 32],
    #[serde(with = "hex_text")]
    wrapped: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "lowercase")]
enum Kdf {
    Argon2id {
        #[serde(flatten)]
        cost: KdfCost,
        #[serde(with = "hex_text")]
        salt: [u8; 32],
    },
    Blake3 {
        #[serde(with = "hex_text")]
        salt: [u8; 32],
    },
}

impl Kdf {
    fn new(kind: SlotKind, cost: KdfCost, salt: [u8; 32]) -> Self {
        match kind {
            SlotKind::Password => Self::Argon2id { cost, salt },
            SlotKind::KeyFile => Self::Blake3 { salt },
        }
    }

    fn slot_secret(&self, source: SlotSecretSource<'_>) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        match (self, source) {
            (Self::Argon2id { cost, salt }, SlotSecretSource::Password(passphrase)) => {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.parameters()?);
                let mut secret = Zeroizing::new([0; 32]);
                argon2.hash_password_into(passphrase.as_bytes(), salt, &mut *secret).map_err(|error| match error {
                    argon2::Error::OutOfMemory => KeyError::Memory { m: cost.m },
                    other => KeyError::Malformed { reason: other.to_string() },
                })?;
                Ok(secret)
            }
            (Self::Blake3 { salt }, SlotSecretSource::KeyFile(key)) => Ok(Zeroizing::new(keyed(key.as_bytes(), salt))),
            (Self::Argon2id { .. }, _) => Err(KeyError::OtherKind { kind: SlotKind::Password }),
            (Self::Blake3 { .. }, _) => Err(KeyError::OtherKind { kind: SlotKind::KeyFile }),
        }
    }
}

impl KeySlot {
    /// Wraps `roots`, the root secrets of all epochs from 0, for `source`. `cost` matters to passphrases only.
    ///
    /// # Panics
    /// If there are no root secrets.
    pub fn create(
        slot: SlotId,
        repository: RepositoryId,
        source: SlotSecretSource<'_>,
        label: &str,
        created: Timestamp,
        cost: KdfCost,
        roots: &[RootSecret],
    ) -> Result<Self, KeyError> {
        let mut salt = [0; 32];
        fill_random(&mut salt);
        let kdf = Kdf::new(source.kind(), cost, salt);
        let (commitment, wrapped) = wrap(&kdf, slot, repository, source, roots)?;
        let label = label.to_owned();
        let created = Self { version: VERSION, kind: source.kind(), label, created, kdf, commitment, wrapped };
        match created.to_document().len() {
            0..=DOCUMENT_SIZE_MAX => Ok(created),
            length => Err(too_long(length)),
        }
    }

    /// The root secrets of all epochs from 0, if `source` opens the slot, which is named `slot` in `repository`.
    pub fn unlock(
        &self,
        slot: &SlotId,
        repository: &RepositoryId,
        source: SlotSecretSource<'_>,
    ) -> Result<Vec<RootSecret>, KeyError> {
        let secret = self.kdf.slot_secret(source)?;
        if verify_slices_are_equal(&commitment(&secret, *repository), &self.commitment).is_err() {
            return Err(KeyError::WrongSecret { kind: source.kind() });
        }
        let mut wrapped = Zeroizing::new(self.wrapped.clone());
        let roots = wrap_key(&secret)
            .open_in_place(NonceCounter::ONLY, &associated(*slot, *repository), &mut wrapped)
            .map_err(|_| KeyError::Damaged { reason: "its secrets do not open, or it belongs to another name" })?;
        let (roots, _) = roots.as_chunks::<{ RootSecret::SIZE }>();
        Ok(roots.iter().map(|root| RootSecret(*root)).collect())
    }

    /// What the slot was called when it was made.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// What opens it.
    pub fn kind(&self) -> SlotKind {
        self.kind
    }

    /// The document as it is stored: a line of JSON, and a line with its BLAKE3.
    pub fn to_document(&self) -> Vec<u8> {
        let mut document = serde_json::to_vec(self).expect("because every field has a JSON form");
        document.push(b'\n');
        let checksum = hex::encode(digest(&document));
        document.extend_from_slice(b"blake3 ");
        document.extend_from_slice(checksum.as_bytes());
        document.push(b'\n');
        document
    }

    /// Reads a document; nothing in it is trusted before its BLAKE3 is right, and no key is derived.
    pub fn parse_document(document: &[u8]) -> Result<Self, KeyError> {
        if document.len() > DOCUMENT_SIZE_MAX {
            return Err(too_long(document.len()));
        }
        let json = checked_json(document)?;
        let malformed = |error: serde_json::Error| KeyError::Malformed { reason: error.to_string() };
        let head: Head = serde_json::from_slice(json).map_err(malformed)?;
        if head.version > VERSION {
            return Err(KeyError::NewerVersion { version: head.version });
        }
        if serde_json::from_value::<SlotKind>(head.kind.clone().into()).is_err() {
            return Err(KeyError::UnknownKind { kind: head.kind });
        }
        let slot: Self = serde_json::from_slice(json).map_err(malformed)?;
        slot.check()?;
        Ok(slot)
    }

    fn check(&self) -> Result<(), KeyError> {
        let malformed = |reason: &str| Err(KeyError::Malformed { reason: reason.to_owned() });
        if self.version != VERSION {
            return malformed("there is no version 0");
        }
        match (self.kind, &self.kdf) {
            (SlotKind::Password, Kdf::Argon2id { .. }) | (SlotKind::KeyFile, Kdf::Blake3 { .. }) => {}
            _ => return malformed("its key derivation does not belong to its kind"),
        }
        match self.wrapped.len().checked_sub(TAG_SIZE) {
            Some(length) if length > 0 && length.is_multiple_of(RootSecret::SIZE) => Ok(()),
            _ => malformed("the wrapped secrets have a length that no secrets have"),
        }
    }
}

/// What is read first, as the rest may look different in a newer version or another kind.
#[derive(Deserialize)]
struct Head {
    version: u32,
    kind: String,
}

fn too_long(length: usize) -> KeyError {
    KeyError::Malformed { reason: format!("it has {length} bytes, more than {DOCUMENT_SIZE_MAX}") }
}

/// The first line, if the second is right.
fn checked_json(document: &[u8]) -> Result<&[u8], KeyError> {
    let damaged = KeyError::Damaged { reason: "its BLAKE3 is not the one it states" };
    let Some(end) = document.iter().position(|&byte| byte == b'\n') else { return Err(damaged) };
    let (line, last) = document.split_at(end + 1);
    let stated = format!("blake3 {}\n", hex::encode(digest(line)));
    if last == stated.as_bytes() { Ok(&line[..end]) } else { Err(damaged) }
}

fn wrap(
    kdf: &Kdf,
    slot: SlotId,
    repository: RepositoryId,
    source: SlotSecretSource<'_>,
    roots: &[RootSecret],
) -> Result<([u8; 32], Vec<u8>), KeyError> {
    assert!(!roots.is_empty(), "a slot wraps at least the root secret of epoch 0");
    let secret = kdf.slot_secret(source)?;
    // Reserved as a whole, so that no copy of the secrets stays behind in freed memory.
    let mut wrapped = Vec::with_capacity(roots.len() * RootSecret::SIZE + TAG_SIZE);
    for root in roots {
        wrapped.extend_from_slice(&root.0);
    }
    wrap_key(&secret).seal_in_place(NonceCounter::ONLY, &associated(slot, repository), &mut wrapped, 0);
    Ok((commitment(&secret, repository), wrapped))
}

fn commitment(secret: &[u8; 32], repository: RepositoryId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(COMMITMENT_CONTEXT);
    *hasher.update(secret).update(repository.as_bytes()).finalize().as_bytes()
}

fn wrap_key(secret: &[u8; 32]) -> SealKey {
    let mut key = blake3::derive_key(WRAP_CONTEXT, secret);
    let ready = SealKey::new(Cipher::Aes256Gcm, &key);
    key.zeroize();
    ready
}

fn associated(slot: SlotId, repository: RepositoryId) -> [u8; 32] {
    let mut associated = [0; 32];
    associated[..16].copy_from_slice(repository.as_bytes());
    associated[16..].copy_from_slice(slot.as_bytes());
    associated
}

/// Bytes as hex digits in JSON.
mod hex_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        let bytes = hex::decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let length = bytes.len();
        T::try_from(bytes).map_err(|_| D::Error::custom(format!("{length} bytes are not as many as there should be")))
    }
}
