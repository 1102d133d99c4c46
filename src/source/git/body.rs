//! The bytes of a file: kept in memory, from a descriptor that is held, or from a file that is opened when it is wanted.
//!
//! A small file is read at once, and again if it changed meanwhile. A large one is sent in parts; if it changed by its end, what was sent is
//! not one state of it, and is a gap.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::entry::{Content, Metadata, PosixMetadata, Xattr};
use crate::source::estate::{Problem, Remote};
use crate::source::git::folder::{open, read_whole};
use crate::source::local::LocalError;
use crate::source::local::attributes::Attributes;
use crate::source::local::listed::Listed;
use crate::source::local::metadata::OwnerNames;
use crate::source::local::read::{OpenFile, Span};

/// Files up to this size are read at once; it is what a part has at most, too.
pub(super) const WHOLE_MAX: u64 = 1 << 20;
/// How often a small file that changes while it is read is read in all.
const READS_MAX: usize = 3;

/// Where the bytes are.
pub(super) enum Origin {
    /// Here.
    Kept(Bytes),
    /// In a file that may go meanwhile, or stay and change.
    Listed(Box<Listed>),
    /// In a file that is open, which nobody writes to any more, though its name may go.
    Open(OpenFile),
}

/// A body that is fetched when it is wanted.
pub(super) struct FileBody {
    origin: Option<Origin>,
    size: u64,
    owners: Arc<OwnerNames>,
    whole: Option<Bytes>,
    rest: Option<Rest>,
    missing: Vec<Problem>,
    /// Goes when all is read or nobody wants it.
    permit: Option<OwnedSemaphorePermit>,
}

/// What is left of a large file.
struct Rest {
    file: OpenFile,
    zeros: u64,
    seen: u64,
    stability: Stability,
}

/// Whether a file may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stability {
    Changing,
    /// Its name, its times and its count of links may, its bytes not.
    Immutable,
}

impl FileBody {
    pub(super) fn new(
        origin: Origin,
        size: u64,
        owners: &Arc<OwnerNames>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let owners = Arc::clone(owners);
        Self { origin: Some(origin), size, owners, whole: None, rest: None, missing: Vec::new(), permit }
    }

    fn open_now(&mut self) -> Result<Option<Metadata>, LocalError> {
        let (mut file, stability) = match self.origin.take() {
            Some(Origin::Listed(mut listed)) => (open(&mut listed)?, Stability::Changing),
            Some(Origin::Open(file)) => (file, Stability::Immutable),
            Some(Origin::Kept(bytes)) => {
                self.whole = Some(bytes);
                return Ok(None);
            }
            None => return Ok(None),
        };
        let (attributes, refused) = match file.attributes() {
            Ok(attributes) => (attributes, None),
            Err(error) => (Attributes::default(), Some(problem_of(&error))),
        };
        let mut flags = 0;
        let mut metadata = file.stat().posix_metadata(&self.owners);
        if file.stat().size <= WHOLE_MAX {
            for read in 1..=READS_MAX {
                self.whole = Some(read_whole(&mut file)?.into());
                metadata = file.stat().posix_metadata(&self.owners);
                if stability == Stability::Immutable || file.is_unchanged_since_open()? {
                    break;
                }
                match read {
                    READS_MAX => flags = PosixMetadata::CHANGED_WHILE_READ,
                    _ => file.rewind()?,
                }
            }
        } else {
            self.rest = Some(Rest { file, zeros: 0, seen: 0, stability });
        }
        metadata.flags |= flags;
        self.missing = take_attributes(attributes, &mut metadata);
        self.missing.extend(refused);
        Ok(Some(Metadata::Posix(Box::new(metadata))))
    }
}

#[async_trait]
impl Remote for FileBody {
    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    async fn open(&mut self) -> Result<Option<Metadata>, Problem> {
        tokio::task::block_in_place(|| self.open_now()).map_err(|error| problem_of(&error))
    }

    fn missing(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.missing)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        if let Some(bytes) = self.whole.take() {
            return Ok(Some(bytes));
        }
        let Some(rest) = &mut self.rest else { return Ok(None) };
        let next = tokio::task::block_in_place(|| rest.next())?;
        if next.is_none() {
            self.rest = None;
            self.permit = None;
        }
        Ok(next)
    }
}

impl Rest {
    fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let part_size = usize::try_from(WHOLE_MAX).unwrap_or(usize::MAX);
        if self.zeros == 0 {
            let mut bytes = Vec::new();
            match self.file.read_into(&mut bytes, part_size).map_err(|error| problem_of(&error))? {
                Span::Data(length) => {
                    self.seen += length as u64;
                    return Ok(Some(bytes.into()));
                }
                Span::Hole(length) => self.zeros = length,
                Span::End => return self.end().map(|()| None),
            }
        }
        let length = self.zeros.min(WHOLE_MAX);
        self.zeros -= length;
        self.seen += length;
        Ok(Some(vec![0; usize::try_from(length).unwrap_or(part_size)].into()))
    }

    fn end(&self) -> Result<(), Problem> {
        let is_one_state = match self.stability {
            Stability::Immutable => self.seen == self.file.stat().size,
            Stability::Changing => self.file.is_unchanged_since_open().map_err(|error| problem_of(&error))?,
        };
        match is_one_state {
            true => Ok(()),
            false => Err(Problem {
                action: "read".to_owned(),
                code: "Changed".to_owned(),
                reason: "it changed while it was read".to_owned(),
                hint: "the next backup reads it again".to_owned(),
            }),
        }
    }
}

/// Puts extended attributes into metadata; what is too large for it, or withheld, is named.
pub(super) fn take_attributes(attributes: Attributes, metadata: &mut PosixMetadata) -> Vec<Problem> {
    let mut withheld = attributes.withheld;
    for attribute in attributes.values {
        let value = match attribute.value.len() {
            0 => Content::Empty,
            length if length <= Xattr::INLINE_MAX => Content::Inline(attribute.value),
            _ => {
                withheld.push(attribute.name);
                continue;
            }
        };
        metadata.xattrs.push(Xattr { name: attribute.name, value });
    }
    let name = |name: &Vec<u8>| Problem {
        action: "read attributes".to_owned(),
        code: "Attribute".to_owned(),
        reason: format!("the extended attribute {} is left out", String::from_utf8_lossy(name)),
        hint: String::new(),
    };
    withheld.iter().map(name).collect()
}

/// What the local source says, as sources of an estate say it.
pub(super) fn problem_of(error: &LocalError) -> Problem {
    let gap = error.gap();
    Problem { action: gap.action, code: gap.code, reason: gap.reason, hint: gap.hint }
}
