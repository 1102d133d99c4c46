//! What a machine starts by itself: `launch-agents/<absolute folder>/…`, the files as they are, with their metadata.
//!
//! On a Mac the property lists of launchd, elsewhere the units of systemd and the tables of cron. Few and small, so they are
//! read every time. Listing and reading are `local`'s; nothing is followed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use crate::entry::{Content, Entry, EntryKind, Metadata, PosixMetadata, Xattr};
use crate::resource::{Gap, Resource, escape_path};
use crate::source::estate::{Body, Discovery, EntrySink, Problem, Sent, Source, Stopped};
use crate::source::local::attributes::Attributes;
use crate::source::local::listed::Listed;
use crate::source::local::metadata::{HardLinks, OwnerNames};
use crate::source::local::read::{OpenFile, Span};
use crate::source::local::stat::FileType;
use crate::source::local::walk::{Walked, walk};
use crate::source::local::{LocalError, LocalRoot, resource_of};

const NAME: &str = "launch-agents";
/// A file that is longer tells no machine what to start.
const SIZE_MAX: usize = 64 << 20;
/// How often a file that changes while it is read is read in all.
const READS_MAX: usize = 3;
/// Bytes read at once.
const READ_SIZE: usize = 1 << 20;

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchAgentsSettings {
    /// Folders, or single files.
    pub places: Vec<Place>,
}

/// A folder, or a single file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is.
    pub path: PathBuf,
    /// What of it is captured.
    pub kept: Kept,
    /// What it means where it cannot be read.
    pub presence: Presence,
}

/// What of a folder is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Property lists that lie in it.
    PropertyLists,
    /// Files that lie in it.
    Files,
    /// Files in it and in its folders.
    #[default]
    All,
}

/// What it means where a place cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// Something is missing.
    #[default]
    Expected,
    /// This machine has no such place, or it is not this user's to read.
    Optional,
}

impl LaunchAgentsSettings {
    /// Where systems of this kind keep it, for the user with this home.
    pub fn of_this_system(home: &Path) -> Self {
        let optional = |(path, kept)| Place { path, kept, presence: Presence::Optional };
        let places = if cfg!(target_os = "macos") {
            let folders =
                [home.join("Library/LaunchAgents"), "/Library/LaunchAgents".into(), "/Library/LaunchDaemons".into()];
            folders.map(|folder| optional((folder, Kept::PropertyLists))).to_vec()
        } else {
            let tables = ["/etc/crontab", "/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"];
            let tables = tables.map(|place| (PathBuf::from(place), Kept::Files));
            let units = (home.join(".config/systemd/user"), Kept::All);
            std::iter::once(units).chain(tables).map(optional).collect()
        };
        Self { places }
    }
}

/// The launch agents of a machine.
pub struct LaunchAgents {
    settings: LaunchAgentsSettings,
}

impl LaunchAgents {
    /// Nothing is read yet.
    pub fn new(settings: LaunchAgentsSettings) -> Self {
        Self { settings }
    }

    /// Places by their folder in the layout.
    fn places(&self) -> Result<BTreeMap<Vec<u8>, &Place>, Problem> {
        let of = |place| Ok((path_of(place).map_err(|error| problem("open", &error))?, place));
        self.settings.places.iter().map(of).collect()
    }
}

/// `launch-agents/` and the absolute path.
fn path_of(place: &Place) -> io::Result<Vec<u8>> {
    let local = resource_of(&place.path)?;
    Ok([NAME.as_bytes(), local.path.strip_prefix(b"local").unwrap_or_default()].concat())
}

fn problem(action: &str, error: &io::Error) -> Problem {
    Problem {
        action: action.to_owned(),
        code: format!("{:?}", error.kind()),
        reason: error.to_string(),
        ..Problem::default()
    }
}

#[async_trait]
impl Source for LaunchAgents {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![NAME.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let mut found = Discovery::default();
        for (path, place) in self.places()? {
            let is_absent =
                |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
            match is_readable(place) {
                Ok(()) => {
                    found.resources.push(Resource { source: NAME, path, attributes: BTreeMap::new() });
                }
                Err(error) if place.presence == Presence::Optional && is_absent(&error) => {}
                Err(error) => found.unknown.push((escape_path(&path), problem("open", &error))),
            }
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let places = self.places()?;
        let Some(place) = places.get(&resource.path).map(|place| (*place).clone()) else { return Ok(()) };
        let read = tokio::task::spawn_blocking(move || read(&place)).await;
        let gone = |_| Problem { reason: "reading stopped".to_owned(), ..Problem::default() };
        for sent in read.map_err(gone)?? {
            sink.send(sent).await?;
        }
        Ok(())
    }
}

fn is_readable(place: &Place) -> io::Result<()> {
    if std::fs::metadata(&place.path)?.is_dir() { std::fs::read_dir(&place.path).map(drop) } else { Ok(()) }
}

/// All that is kept of a place, in path order.
fn read(place: &Place) -> Result<Vec<Sent>, Problem> {
    let root = LocalRoot::new(&place.path);
    let walked = walk(&root, 1).map_err(|error| match error {
        LocalError::Root { source, .. } => problem("open", &source),
        other => Problem { action: "open".to_owned(), reason: other.to_string(), ..Problem::default() },
    })?;
    let (names, mut links, mut all) = (OwnerNames::new(), HardLinks::new(), Vec::new());
    for walked in walked.flatten() {
        match walked {
            Walked::Entry(listed) if place.kept.keeps(&listed) => match take(&listed, &names) {
                Ok((mut entry, bytes, withheld)) => {
                    if let Metadata::Posix(metadata) = &mut entry.metadata {
                        metadata.link_to = links.meet(&listed);
                    }
                    all.extend(withheld.into_iter().map(Sent::Gap));
                    let body = if entry.kind == EntryKind::File { Body::Bytes(bytes) } else { Body::None };
                    all.push(Sent::Found(Box::new(crate::source::estate::Found { entry, body })));
                }
                Err(error) => all.push(Sent::Gap(error.gap())),
            },
            Walked::Gap(gap) if place.kept == Kept::All || gap.path.is_empty() => all.push(Sent::Gap(gap)),
            Walked::Entry(_) | Walked::Gap(_) => {}
        }
    }
    Ok(all)
}

impl Kept {
    /// Whether something that stands below the place is captured; the place itself always is.
    fn keeps(self, listed: &Listed) -> bool {
        let path = listed.path.as_bytes();
        if path.is_empty() {
            return true;
        }
        let is_file = matches!(listed.file_type(), FileType::File | FileType::Symlink);
        match self {
            Self::PropertyLists => is_file && !path.contains(&b'/') && path.ends_with(b".plist"),
            Self::Files => is_file && !path.contains(&b'/'),
            Self::All => is_file || listed.file_type() == FileType::Directory,
        }
    }
}

/// The entry of what stands there, its bytes, and what of its attributes is not captured.
fn take(listed: &Listed, names: &OwnerNames) -> Result<(Entry, Bytes, Vec<Gap>), LocalError> {
    let kind = listed.kind()?;
    let (mut metadata, bytes, attributes) = if kind == EntryKind::File {
        content(listed, names)?
    } else {
        (listed.posix_metadata(names), Bytes::new(), listed.attributes()?)
    };
    let mut withheld = Vec::new();
    let mut leave_out = |name: &[u8], reason: &str| {
        let action = "read attributes".to_owned();
        let reason = format!("the extended attribute {} {reason}", escape_path(name));
        withheld.push(Gap { path: escape_path(listed.path.as_bytes()), action, reason, ..Gap::default() });
    };
    for attribute in attributes.values {
        if attribute.value.len() <= Xattr::INLINE_MAX {
            metadata.xattrs.push(Xattr { name: attribute.name, value: inline(attribute.value) });
        } else {
            leave_out(&attribute.name, "is too long");
        }
    }
    attributes.withheld.iter().for_each(|name| leave_out(name, "cannot be read"));
    let metadata = Metadata::Posix(Box::new(metadata));
    let entry = Entry { path: listed.path.clone(), kind, metadata, token: None, content: Content::Empty };
    Ok((entry, bytes, withheld))
}

fn inline(value: Vec<u8>) -> Content {
    if value.is_empty() { Content::Empty } else { Content::Inline(value) }
}

/// A file's bytes and what is known of it, of one state of it if it holds still.
fn content(listed: &Listed, names: &OwnerNames) -> Result<(PosixMetadata, Bytes, Attributes), LocalError> {
    let mut file = listed.open()?;
    for reads in 1.. {
        let bytes = all_of(&mut file, listed)?;
        let attributes = file.attributes()?;
        let mut metadata = file.stat().posix_metadata(names);
        if !file.is_unchanged_since_open()? {
            if reads < READS_MAX {
                file.rewind()?;
                continue;
            }
            metadata.flags |= PosixMetadata::CHANGED_WHILE_READ;
        }
        return Ok((metadata, bytes.into(), attributes));
    }
    unreachable!("the last read returns")
}

fn all_of(file: &mut OpenFile, listed: &Listed) -> Result<Vec<u8>, LocalError> {
    let mut bytes = Vec::new();
    loop {
        match file.read_into(&mut bytes, READ_SIZE)? {
            Span::End => return Ok(bytes),
            Span::Data(_) if bytes.len() <= SIZE_MAX => {}
            Span::Hole(length) if length <= (SIZE_MAX.saturating_sub(bytes.len())) as u64 => {
                bytes.resize(bytes.len() + usize::try_from(length).unwrap_or_default(), 0);
            }
            Span::Data(_) | Span::Hole(_) => {
                let source = io::Error::other("it is longer than any such file");
                return Err(LocalError::System { action: "read", path: listed.path.clone(), source });
            }
        }
    }
}
