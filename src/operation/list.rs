//! `ls` and `find`: the entries of a part of a snapshot, in path order, by every processor.
//!
//! Leaf pages are read, decoded and turned into bytes in parallel and given out in order, a bounded number at a time,
//! so that listing is as fast as decoding and memory does not grow with the tree. A page that is lost is told and
//! passed over.

use rayon::prelude::*;

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use crate::operation::part::{Part, trim};
use crate::repository::reader::Reader;
use crate::tree::cursor;
use crate::tree::error::TreeError;
use crate::tree::leaves::{LeafPage, Leaves};
use crate::tree::listing::{Child, children};
use crate::tree::store::PageSource;

/// Leaf pages under way at once.
const BATCH_LENGTH: usize = 32;

/// Turns entries into whatever the caller wants of them, from any thread.
pub trait Render: Sync {
    /// Appends what is to be said of `entry`, which stands in the resource at `folder` of the layout.
    fn render(&self, folder: &[u8], entry: &Entry, target: &mut Vec<u8>);
}

/// Why a listing ended, or has a hole.
#[derive(Debug)]
pub enum Listed<'l> {
    /// What was rendered next, in path order.
    Bytes(&'l [u8]),
    /// Entries are missing here.
    Hole(TreeError),
}

/// Gives everything at or under the part to `render`, and the results in path order to `take`, which may end it with an
/// error of its own. Returns whether anything stands there.
pub fn list<E>(
    reader: &Reader<'_>,
    part: &Part<'_>,
    render: &impl Render,
    mut take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Found, E> {
    let mut found = Found::Nothing;
    let mut prefix = Vec::new();
    if let Some(inside) = &part.inside {
        // The entry itself sorts before what is below it, with other names between them.
        match cursor::find(reader, part.record.root, inside) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                found = Found::Something;
                let mut bytes = Vec::new();
                render.render(&part.folder, &entry, &mut bytes);
                take(Listed::Bytes(&bytes))?;
            }
            Err(error) => take(Listed::Hole(error))?,
        }
        prefix.extend_from_slice(inside);
        prefix.push(b'/');
    }
    let mut leaves = Leaves::new(reader, part.record.root, &prefix);
    let render_leaf = |leaf: LeafPage| -> Result<(Vec<u8>, usize), TreeError> {
        let entries = leaf.read(reader)?;
        let mut bytes = Vec::with_capacity(entries.len() * 80);
        let mut count = 0;
        for entry in entries.iter().filter(|entry| entry.path.as_bytes().starts_with(&prefix)) {
            render.render(&part.folder, entry, &mut bytes);
            count += 1;
        }
        Ok((bytes, count))
    };
    loop {
        let batch: Vec<_> = leaves.by_ref().take(BATCH_LENGTH).collect();
        if batch.is_empty() {
            return Ok(found);
        }
        let unread = batch.iter().flatten().filter_map(LeafPage::unread);
        PageSource::announce(reader, &mut { unread });
        let rendered: Vec<_> = batch.into_par_iter().map(|leaf| leaf.and_then(render_leaf)).collect();
        for leaf in rendered {
            match leaf {
                Ok((_, 0)) => {}
                Ok((bytes, _)) => {
                    found = Found::Something;
                    take(Listed::Bytes(&bytes))?;
                }
                Err(error) => {
                    found = Found::Something;
                    take(Listed::Hole(error))?;
                }
            }
        }
    }
}

/// Gives what stands directly at or in `path` to `render`; folders of the layout that have no entry of their own too.
pub fn list_folder<E>(
    reader: &Reader<'_>,
    parts: &[Part<'_>],
    path: &[u8],
    render: &impl Render,
    mut take: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<Found, E> {
    let mut found = Found::Nothing;
    let mut seen: Vec<Vec<u8>> = Vec::new();
    let mut bytes = Vec::new();
    let folder_entry = |path: EntryPath| Entry {
        path,
        kind: EntryKind::Directory,
        metadata: Metadata::None,
        token: None,
        content: Content::Empty,
    };
    for part in parts {
        let below = part.folder.get(path.len()..).map(trim).filter(|below| part.inside.is_none() && !below.is_empty());
        bytes.clear();
        if let Some(below) = below {
            // A folder of the layout above the resource.
            let name = below.split(|byte| *byte == b'/').next().unwrap_or_default();
            let mut whole = path.to_vec();
            if !path.is_empty() {
                whole.push(b'/');
            }
            whole.extend_from_slice(name);
            if !seen.contains(&whole) {
                // A resource may be a document, and then has no folder.
                let own = if whole == part.folder { cursor::find(reader, part.record.root, b"") } else { Ok(None) };
                let document = match own {
                    Ok(entry) => entry.filter(|entry| entry.kind != EntryKind::Directory),
                    Err(error) => {
                        take(Listed::Hole(error))?;
                        None
                    }
                };
                render.render(&whole, &document.unwrap_or_else(|| folder_entry(EntryPath::ROOT)), &mut bytes);
                seen.push(whole);
            }
        } else {
            let folder = part.inside.as_ref().map_or_else(Vec::new, |inside| [inside.as_slice(), b"/"].concat());
            if let Some(inside) = &part.inside {
                match cursor::find(reader, part.record.root, inside) {
                    Ok(entry) => entry.iter().for_each(|entry| render.render(&part.folder, entry, &mut bytes)),
                    Err(error) => take(Listed::Hole(error))?,
                }
            }
            for child in children(reader, part.record.root, &folder) {
                match child {
                    Ok(Child::Entry(entry)) => render.render(&part.folder, &entry, &mut bytes),
                    Ok(Child::Folder(path)) => render.render(&part.folder, &folder_entry(path), &mut bytes),
                    Err(error) => {
                        take(Listed::Hole(error))?;
                        break;
                    }
                }
            }
            found = if part.inside.is_none() { Found::Something } else { found };
        }
        if !bytes.is_empty() {
            found = Found::Something;
            take(Listed::Bytes(&bytes))?;
        }
    }
    Ok(found)
}

/// Whether anything stands where a path points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is.
    Something,
    /// There is not.
    Nothing,
}
