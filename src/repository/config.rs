//! `config`: what a repository is (FORMAT.md §2): three lines, stored twice.
//!
//! Parsing needs no key; `verify` proves with the config key that its owner wrote it.

use serde::{Deserialize, Serialize};

use crate::codec::chunk::ChunkerParameters;
use crate::codec::hash::{HashKey, digest, keyed};
use crate::codec::seal::Sealed;
use crate::id::RepositoryId;
use crate::repository::error::RepositoryError;

const MAGIC: &str = "snap repository";
const VERSION: u32 = 1;
pub(super) const SIZE_MAX: usize = 64 * 1024;

/// What a repository is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    magic: String,
    version: u32,
    /// Drawn at `init`.
    pub id: RepositoryId,
    /// When it was made.
    pub created: jiff::Timestamp,
    features: Features,
    /// How content is cut.
    pub chunker: ChunkerParameters,
    /// Bytes of content after which a frame is sealed.
    pub frame_size: u32,
    /// Bytes after which a data pack is closed.
    pub pack_size: u32,
    /// Bytes after which a page pack is closed.
    pub page_pack_size: u32,
    /// Mean number of entries in a page.
    pub page_entries: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Features {
    compatible: Vec<String>,
    read_compatible: Vec<String>,
    incompatible: Vec<String>,
}

/// Sizes at which frames and packs are closed, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackSizes {
    /// Content of a frame.
    pub frame: usize,
    /// A data pack.
    pub data_pack: usize,
    /// A page pack.
    pub page_pack: usize,
}

impl Config {
    /// The configuration of a new repository, with the numbers of FORMAT.md.
    pub fn new(id: RepositoryId, created: jiff::Timestamp) -> Self {
        Self {
            magic: MAGIC.to_owned(),
            version: VERSION,
            id,
            created,
            features: Features::default(),
            chunker: ChunkerParameters::default(),
            frame_size: 1 << 20,
            pack_size: 8 << 20,
            page_pack_size: 4 << 20,
            page_entries: 512,
        }
    }

    /// The sizes at which frames and packs are closed.
    pub fn sizes(&self) -> PackSizes {
        PackSizes {
            frame: self.frame_size as usize,
            data_pack: self.pack_size as usize,
            page_pack: self.page_pack_size as usize,
        }
    }

    /// Whether this program may write here, or what it does not know.
    pub fn writable(&self) -> Result<(), RepositoryError> {
        match self.features.read_compatible.first() {
            None => Ok(()),
            Some(feature) => Err(newer(format!("it may only read what has the feature {feature:?}"))),
        }
    }

    /// The bytes of the object, marked with the config key.
    pub(crate) fn to_document(&self, config_key: &HashKey) -> Sealed {
        let line = serde_json::to_string(self).expect("because a config is plain data");
        let mac = hex::encode(keyed(config_key, line.as_bytes()));
        let body = format!("{line}\nmac {mac}\n");
        let checksum = hex::encode(digest(body.as_bytes()));
        Sealed::of_clear_document(format!("{body}blake3 {checksum}\n").into_bytes())
    }
}

/// A `config` as it was read, not yet proven.
#[derive(Clone, Debug)]
pub(crate) struct UnverifiedConfig {
    pub(crate) config: Config,
    line: String,
    mac: [u8; 32],
}

impl UnverifiedConfig {
    /// Reads the object's bytes; a newer version is not damage.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, RepositoryError> {
        let damaged = |reason: &str| RepositoryError::ConfigDamaged { reason: reason.to_owned() };
        if bytes.len() > SIZE_MAX {
            return Err(damaged("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let (body, checksum) = split_last_line(text, "blake3 ").ok_or_else(|| damaged("it has no checksum"))?;
        if hex::encode(digest(body.as_bytes())) != checksum {
            return Err(damaged("its checksum is wrong"));
        }
        let (line, mac) = split_last_line(body, "mac ").ok_or_else(|| damaged("it has no mark of its key"))?;
        let line = line.strip_suffix('\n').ok_or_else(|| damaged("its first line is empty"))?.to_owned();
        let mut mac_bytes = [0; 32];
        hex::decode_to_slice(mac, &mut mac_bytes).map_err(|_| damaged("the mark of its key is not hex"))?;
        let config = parse_line(&line)?;
        Ok(Self { config, line, mac: mac_bytes })
    }

    /// The config, if whoever holds `config_key` wrote it.
    pub(crate) fn verify(self, config_key: &HashKey) -> Result<Config, RepositoryError> {
        let expected = blake3::Hash::from_bytes(keyed(config_key, self.line.as_bytes()));
        if expected == blake3::Hash::from_bytes(self.mac) {
            Ok(self.config)
        } else {
            Err(RepositoryError::ConfigForged)
        }
    }
}

fn split_last_line<'t>(text: &'t str, label: &str) -> Option<(&'t str, &'t str)> {
    let without_end = text.strip_suffix('\n')?;
    let start = without_end.rfind('\n')? + 1;
    Some((&text[..start], without_end[start..].strip_prefix(label)?))
}

fn newer(reason: String) -> RepositoryError {
    RepositoryError::NewerFormat { what: "the repository".to_owned(), reason }
}

fn parse_line(line: &str) -> Result<Config, RepositoryError> {
    #[derive(Deserialize)]
    struct Front {
        magic: String,
        version: u32,
        #[serde(default)]
        features: FrontFeatures,
    }
    #[derive(Default, Deserialize)]
    struct FrontFeatures {
        #[serde(default)]
        incompatible: Vec<String>,
    }
    let damaged = |error: serde_json::Error| RepositoryError::ConfigDamaged { reason: error.to_string() };
    let front: Front = serde_json::from_str(line).map_err(damaged)?;
    if front.magic != MAGIC {
        return Err(RepositoryError::ConfigDamaged { reason: "it is not of a snap repository".to_owned() });
    }
    if front.version > VERSION {
        return Err(newer(format!("its format is version {}, this program knows up to {VERSION}", front.version)));
    }
    if let Some(feature) = front.features.incompatible.first() {
        return Err(newer(format!("it has the feature {feature:?}")));
    }
    let config: Config = serde_json::from_str(line).map_err(damaged)?;
    validate(&config)?;
    Ok(config)
}

/// Refuses numbers that no writer of this format could have meant, before memory is spent on them.
fn validate(config: &Config) -> Result<(), RepositoryError> {
    let in_range = [
        (4096..=8 << 20).contains(&config.frame_size),
        (65_536..=128 << 20).contains(&config.pack_size),
        (65_536..=128 << 20).contains(&config.page_pack_size),
        (2..=65_536).contains(&config.page_entries),
        config.version == VERSION,
    ];
    if in_range.contains(&false) {
        let reason = "a size in it is outside what the format allows".to_owned();
        return Err(RepositoryError::ConfigDamaged { reason });
    }
    config.chunker.validate().map_err(|reason| RepositoryError::ConfigDamaged { reason: reason.to_string() })
}
