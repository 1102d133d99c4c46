//! What a repository is unlocked with: a passphrase, or a key of 32 random bytes as a file or as 24 words.
//!
//! How these open a slot is `slot`'s business; where they are read from or shown is `cli`'s.

use std::fmt;

use bip39::{Language, Mnemonic};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::codec::key::fill_random;

/// A password, as its bytes in UTF-8.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct Passphrase(String);

impl Passphrase {
    /// Takes the text over; no copy of it is left here.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

/// Text that is no key. What was given is not repeated, as it may be nearly a secret.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum FileKeyError {
    /// A key file that does not hold 64 hex digits.
    #[error("a key file has one line of 64 hex digits, and this has something else")]
    NotHex,
    /// Too few or too many words.
    #[error("there are 24 recovery words, not {count}")]
    WordCount {
        /// How many were given.
        count: usize,
    },
    /// A word that is in no list.
    #[error("recovery word {number} is not one of the list")]
    UnknownWord {
        /// Which one, counted from 1.
        number: usize,
    },
    /// Words that do not belong together.
    #[error("the recovery words do not fit together: one of them is wrong or in the wrong place")]
    Checksum,
}

/// A key of 32 random bytes. It needs no slow derivation, as nobody can guess it.
#[derive(Clone, Zeroize)]
#[zeroize(drop)]
pub struct FileKey([u8; 32]);

impl FileKey {
    /// A new key from the system's random source.
    pub fn generate() -> Self {
        let mut key = Self([0; 32]);
        fill_random(&mut key.0);
        key
    }

    /// The contents of a key file: 64 hex digits and a newline.
    pub fn to_file_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(hex::encode(self.0));
        text.push('\n');
        text
    }

    /// Reads the contents of a key file; white space around the digits does not matter.
    pub fn parse_file_text(text: &str) -> Result<Self, FileKeyError> {
        let mut key = Self([0; 32]);
        hex::decode_to_slice(text.trim(), &mut key.0).map_err(|_| FileKeyError::NotHex)?;
        Ok(key)
    }

    /// The same key as 24 English words of BIP-39, with one space between them.
    pub fn to_words(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy_in(Language::English, &self.0).expect("because 32 bytes are 24 words");
        let mut words = Zeroizing::new(String::with_capacity(24 * 9));
        for word in mnemonic.words() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.push_str(word);
        }
        words
    }

    /// Reads the words back; case, line ends and further spaces do not matter.
    pub fn from_words(text: &str) -> Result<Self, FileKeyError> {
        let text = Zeroizing::new(text.to_lowercase());
        let count = text.split_whitespace().count();
        if count != 24 {
            return Err(FileKeyError::WordCount { count });
        }
        let mnemonic = Mnemonic::parse_in_normalized(Language::English, &text).map_err(|error| match error {
            bip39::Error::UnknownWord(index) => FileKeyError::UnknownWord { number: index + 1 },
            _ => FileKeyError::Checksum,
        })?;
        let (entropy, _) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let mut key = Self([0; 32]);
        key.0.copy_from_slice(&entropy[..32]);
        Ok(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey(…)")
    }
}
