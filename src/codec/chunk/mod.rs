//! Cutting content into pieces (FORMAT.md §11): where a keyed hash is smallest, at zip members, around runs of zeros.
//!
//! A [`Chunker`] belongs to a repository and is shared; a [`Cutter`] belongs to one content and is given windows of
//! it, however large, always to the same result. Nothing is copied or named here: callers hash, store and add up.

pub mod least;

use memchr::{memchr, memmem};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::chunk::least::{CutHash, Instructions, position_of_least};
use crate::codec::hash::HashKey;
use crate::entry::Profile;

/// Largest chunk of any repository, in bytes.
pub const CHUNK_SIZE_MAX: u32 = 8 * 1024 * 1024;

const SIGNATURE_SIZE: usize = 4;
const LOCAL_FILE: &[u8; SIGNATURE_SIZE] = b"PK\x03\x04";
const CENTRAL_FILE: &[u8; SIGNATURE_SIZE] = b"PK\x01\x02";
const RECORD_NAMES: [&[u8]; 6] = [b".jsonl", b".ndjson", b".sql", b".csv", b".tsv", b".log"];

/// How short and how long a chunk may be, in bytes; the last of a content may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLimits {
    /// Shortest, at least 4.
    pub min: u32,
    /// Longest, above `min` and at most [`CHUNK_SIZE_MAX`].
    pub max: u32,
}

/// The sizes a repository cuts by: `chunker` of its `config`. Reading them from there checks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "ParametersDocument", try_from = "ParametersDocument")]
pub struct ChunkerParameters {
    /// For [`Profile::Bulk`].
    pub bulk: ChunkLimits,
    /// For [`Profile::Record`].
    pub record: ChunkLimits,
    /// For [`Profile::Zip`].
    pub zip: ChunkLimits,
    /// Shortest chunk that ends where a zip member begins; at least 1 and at most the longest zip chunk.
    pub zip_member_min: u32,
}

impl Default for ChunkerParameters {
    fn default() -> Self {
        let wide = ChunkLimits { min: 64 * 1024, max: 192 * 1024 };
        let narrow = ChunkLimits { min: 32 * 1024, max: 96 * 1024 };
        Self { bulk: wide, record: narrow, zip: wide, zip_member_min: 4096 }
    }
}

/// Sizes that nothing can be cut by.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum ChunkerParametersError {
    /// A profile's limits.
    #[error(
        "chunks of {min} to {max} bytes for {profile:?} cannot be cut: 4 <= min < max <= {CHUNK_SIZE_MAX} must hold"
    )]
    Limits {
        /// Whose limits they are.
        profile: Profile,
        /// The shortest.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// The shortest zip member.
    #[error("zip members of {member_min} bytes or more cannot be cut: it must be 1 to {max}")]
    MemberMin {
        /// What was asked for.
        member_min: u32,
        /// The longest chunk of zips.
        max: u32,
    },
}

impl ChunkerParameters {
    /// Whether content can be cut by these sizes.
    pub fn validate(&self) -> Result<(), ChunkerParametersError> {
        for profile in [Profile::Bulk, Profile::Record, Profile::Zip] {
            let ChunkLimits { min, max } = self.limits(profile);
            if min < 4 || min >= max || max > CHUNK_SIZE_MAX {
                return Err(ChunkerParametersError::Limits { profile, min, max });
            }
        }
        if self.zip_member_min < 1 || self.zip_member_min > self.zip.max {
            return Err(ChunkerParametersError::MemberMin { member_min: self.zip_member_min, max: self.zip.max });
        }
        Ok(())
    }

    /// The limits of one profile.
    pub fn limits(&self, profile: Profile) -> ChunkLimits {
        match profile {
            Profile::Bulk => self.bulk,
            Profile::Record => self.record,
            Profile::Zip => self.zip,
        }
    }
}

/// [`ChunkerParameters`] as FORMAT.md §2 writes them.
#[derive(Serialize, Deserialize)]
struct ParametersDocument {
    bulk: ChunkLimits,
    record: ChunkLimits,
    zip: ZipDocument,
}

#[derive(Serialize, Deserialize)]
struct ZipDocument {
    min: u32,
    max: u32,
    member_min: u32,
}

impl From<ChunkerParameters> for ParametersDocument {
    fn from(parameters: ChunkerParameters) -> Self {
        let ChunkerParameters { bulk, record, zip: ChunkLimits { min, max }, zip_member_min } = parameters;
        Self { bulk, record, zip: ZipDocument { min, max, member_min: zip_member_min } }
    }
}

impl TryFrom<ParametersDocument> for ChunkerParameters {
    type Error = ChunkerParametersError;

    fn try_from(document: ParametersDocument) -> Result<Self, ChunkerParametersError> {
        let ParametersDocument { bulk, record, zip: ZipDocument { min, max, member_min } } = document;
        let parameters = Self { bulk, record, zip: ChunkLimits { min, max }, zip_member_min: member_min };
        parameters.validate()?;
        Ok(parameters)
    }
}

/// How a content is cut, by its name and its first bytes (four are enough).
pub fn profile_of(name: &[u8], head: &[u8]) -> Profile {
    if head.starts_with(LOCAL_FILE) {
        Profile::Zip
    } else if RECORD_NAMES.iter().any(|suffix| name.ends_with(suffix)) {
        Profile::Record
    } else {
        Profile::Bulk
    }
}

/// Cuts the content of one repository; shared between threads.
pub struct Chunker {
    hash: CutHash,
    parameters: ChunkerParameters,
    instructions: Instructions,
    signature: memmem::Finder<'static>,
}

impl Chunker {
    /// A chunker under the repository's chunker key, searching with the fastest instructions of this processor.
    ///
    /// # Panics
    /// If the parameters are not valid; those read from a `config` are.
    pub fn new(key: &HashKey, parameters: &ChunkerParameters) -> Self {
        Self::with_instructions(key, parameters, Instructions::fastest_here())
    }

    /// As [`Chunker::new`], searching with given instructions: the pieces are the same.
    pub fn with_instructions(key: &HashKey, parameters: &ChunkerParameters, instructions: Instructions) -> Self {
        parameters.validate().expect("because parameters are checked where they are read");
        let word = |start: usize| u32::from_le_bytes([key[start], key[start + 1], key[start + 2], key[start + 3]]);
        Self {
            hash: CutHash { mask: word(0), multiplier: word(4) | 1 },
            parameters: *parameters,
            instructions,
            signature: memmem::Finder::new(b"PK"),
        }
    }

    /// A cutter for one content, at its beginning.
    pub fn cutter(&self, profile: Profile) -> Cutter<'_> {
        let ChunkLimits { min, max } = self.parameters.limits(profile);
        Cutter { chunker: self, profile, min: min as usize, max: max as usize, in_zeros: false }
    }
}

/// Whether content may go on after the bytes that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// It may.
    More,
    /// These are its last bytes.
    Last,
}

/// What stands at the start of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// A chunk of so many bytes.
    Chunk(usize),
    /// So many zeros, which are not stored; pieces of zeros that follow each other are one piece.
    Zeros(u64),
    /// More bytes are needed: the window is below [`Cutter::window_size`] and was not the last.
    NeedMore,
}

/// Where one content is cut.
pub struct Cutter<'a> {
    chunker: &'a Chunker,
    profile: Profile,
    min: usize,
    max: usize,
    in_zeros: bool,
}

impl Cutter<'_> {
    /// Bytes that always suffice to tell the next piece.
    pub fn window_size(&self) -> usize {
        // A zip signature may begin right after the longest chunk.
        self.max + SIGNATURE_SIZE
    }

    /// The next piece. `bytes` begin where the piece before ended; an empty last window has no piece, so the caller stops there.
    pub fn next(&mut self, bytes: &[u8], window: Window) -> Cut {
        if self.in_zeros {
            let length = leading_zeros(bytes);
            self.in_zeros = length == bytes.len();
            if length > 0 {
                return Cut::Zeros(length as u64);
            }
        }
        if bytes.len() < self.window_size() && window == Window::More {
            return Cut::NeedMore;
        }
        if bytes.len() >= self.max && leading_zeros(&bytes[..self.max]) == self.max {
            let length = self.max + leading_zeros(&bytes[self.max..]);
            self.in_zeros = length == bytes.len();
            return Cut::Zeros(length as u64);
        }
        Cut::Chunk(self.chunk_length(bytes))
    }

    /// Whether the last piece was zeros up to the end of its window, so that the run may go on: a hole may then be
    /// skipped, and zeros that come next belong to the same piece.
    pub fn in_zeros(&self) -> bool {
        self.in_zeros
    }

    fn chunk_length(&self, bytes: &[u8]) -> usize {
        if self.profile == Profile::Zip
            && let Some(length) = self.member_length(bytes)
        {
            return length;
        }
        if bytes.len() <= self.max {
            return bytes.len();
        }
        let least = position_of_least(&bytes[self.min - 4..self.max], self.chunker.hash, self.chunker.instructions);
        let length = self.min + least;
        match self.profile {
            Profile::Record => length + memchr(b'\n', &bytes[length..self.max]).map_or(0, |newline| newline + 1),
            Profile::Bulk | Profile::Zip => length,
        }
    }

    /// Bytes up to the next zip signature that is far enough away.
    fn member_length(&self, bytes: &[u8]) -> Option<usize> {
        let first = self.chunker.parameters.zip_member_min as usize;
        let reach = bytes.get(first..bytes.len().min(self.max + SIGNATURE_SIZE))?;
        let mut matches = self.chunker.signature.find_iter(reach);
        let found = matches.find(|&at| reach[at..].starts_with(LOCAL_FILE) || reach[at..].starts_with(CENTRAL_FILE))?;
        Some(first + found)
    }
}

/// Zeros that `bytes` begin with.
fn leading_zeros(bytes: &[u8]) -> usize {
    // Most content has another byte among the first few; long runs are compared block by block.
    const BLOCK: usize = 256;
    let is_zero = |block: &[u8; BLOCK]| block.iter().fold(0, |all, byte| all | byte) == 0;
    if bytes.first().is_none_or(|&byte| byte != 0) {
        return 0;
    }
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let start = BLOCK * blocks.iter().position(|block| !is_zero(block)).unwrap_or(blocks.len());
    start + bytes[start..].iter().position(|&byte| byte != 0).unwrap_or(bytes.len() - start)
}
