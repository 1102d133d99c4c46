//! What stands under a name: in the folders above the snapshots, in the layout, and in a resource's tree.

use std::sync::Arc;

use crate::entry::{Entry, EntryKind, EntryPath};
use crate::id::SnapshotId;
use crate::operation::mount::attributes::Kind;
use crate::operation::mount::catalog::{Grouping, NAME_LENGTH_MAX, Shelf, Shown, groups, members};
use crate::operation::mount::folder::Named;
use crate::operation::mount::links::first_name;
use crate::operation::mount::node::{Node, Place};
use crate::operation::mount::{Fault, FileSystem};
use crate::operation::reference::PREFIX_DIGITS_MIN;
use crate::operation::target::escape::{Kept, MARK, escape_name, unescape_name};
use crate::tree::cursor::{Cursor, find};
use crate::tree::error::TreeError;

/// The newest snapshot, or the newest of a group.
const LATEST: &str = "latest";
/// The folder of all snapshots.
const SNAPSHOTS: &str = "snapshots";
/// The way to it from the folder of a group.
const FROM_GROUP: &str = "../../snapshots/";

/// What was found, with its entry if it has one.
type Found = (Node, Option<Arc<Entry>>);

impl FileSystem<'_, '_> {
    /// What stands under a name of a folder.
    pub(super) fn find(&self, folder: &Node, name: &[u8]) -> Result<Found, Fault> {
        let node = match folder {
            Node::Entry(place, path) => return self.find_in_tree(place, path, name),
            Node::Layout(shown, path) => return self.find_in_layout(shown, path, name),
            Node::Link(_) => return Err(Fault::NotAFolder),
            Node::Root | Node::Snapshots | Node::Grouping(_) | Node::Group(..) => {
                self.look();
                let name = std::str::from_utf8(name).map_err(|_| Fault::NotFound)?;
                self.find_above(folder, name)
            }
        };
        node.map(|node| (node, None)).ok_or(Fault::NotFound)
    }

    fn find_above(&self, folder: &Node, name: &str) -> Option<Node> {
        let shelf = self.catalog.shelf();
        match folder {
            Node::Root if name == SNAPSHOTS => Some(Node::Snapshots),
            Node::Root if name == LATEST => shelf.last().map(|shown| link("snapshots/", shown)),
            Node::Root => Grouping::ALL.into_iter().find(|grouping| grouping.folder() == name).map(Node::Grouping),
            Node::Snapshots => snapshot(&shelf, name),
            Node::Grouping(grouping) => {
                let is_there = !members(&shelf, *grouping, name).is_empty();
                is_there.then(|| Node::Group(*grouping, Arc::from(name)))
            }
            Node::Group(grouping, group) => {
                let members = members(&shelf, *grouping, group);
                let found = members.iter().find(|shown| shown.name == name);
                found.or(members.last().filter(|_| name == LATEST)).map(|shown| link(FROM_GROUP, shown))
            }
            Node::Link(_) | Node::Layout(..) | Node::Entry(..) => None,
        }
    }

    /// What stands in a folder above the resources, as it is now.
    pub(super) fn names(&self, folder: &Node) -> Result<Vec<Named>, Fault> {
        match folder {
            Node::Layout(shown, path) => return Ok(self.layout_names(shown, path)),
            Node::Link(_) | Node::Entry(..) => return Err(Fault::NotAFolder),
            Node::Root | Node::Snapshots | Node::Grouping(_) | Node::Group(..) => self.look(),
        }
        let shelf = self.catalog.shelf();
        let named: Vec<(String, Node)> = match folder {
            Node::Snapshots => shelf.iter().map(|shown| (shown.name.clone(), top(shown))).collect(),
            Node::Grouping(grouping) => {
                let group = |name: String| (name.clone(), Node::Group(*grouping, name.into()));
                groups(&shelf, *grouping).into_iter().map(group).collect()
            }
            Node::Group(grouping, group) => {
                let members = members(&shelf, *grouping, group);
                let latest = members.last().map(|shown| (LATEST.to_owned(), link(FROM_GROUP, shown)));
                members.iter().map(|shown| (shown.name.clone(), link(FROM_GROUP, shown))).chain(latest).collect()
            }
            _ => {
                let names = [LATEST, SNAPSHOTS].into_iter().chain(Grouping::ALL.into_iter().map(Grouping::folder));
                names.filter_map(|name| Some((name.to_owned(), self.find_above(folder, name)?))).collect()
            }
        };
        let named = named.into_iter().map(|(name, node)| {
            let kind = if matches!(node, Node::Link(_)) { Kind::Symlink } else { Kind::Folder };
            Named { name: name.into_bytes(), node, kind, entry: None }
        });
        Ok(named.collect())
    }

    fn find_in_layout(&self, shown: &Arc<Shown>, path: &[u8], name: &[u8]) -> Result<Found, Fault> {
        let path = if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
        if let Some(resource) = shown.folders.iter().position(|folder| *folder == path) {
            let place = Place { shown: Arc::clone(shown), resource };
            let root: Arc<[u8]> = Arc::from(&b""[..]);
            let entry = self.entry(&place, &root)?;
            return Ok((Node::Entry(place, root), Some(entry)));
        }
        let below = [path.as_slice(), b"/"].concat();
        let is_above = shown.folders.iter().any(|folder| folder.starts_with(&below));
        if is_above { Ok((Node::Layout(Arc::clone(shown), path.into()), None)) } else { Err(Fault::NotFound) }
    }

    fn layout_names(&self, shown: &Arc<Shown>, path: &[u8]) -> Vec<Named> {
        let above = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let below = shown.folders.iter().filter_map(|folder| folder.strip_prefix(above.as_slice()));
        let mut names: Vec<&[u8]> = below.filter_map(|rest| rest.split(|byte| *byte == b'/').next()).collect();
        names.sort_unstable();
        names.dedup();
        let named = |name: &&[u8]| {
            // A resource whose root cannot be read is told of, and missing here.
            let (node, entry) = self.find_in_layout(shown, path, name).ok()?;
            let kind = entry.as_ref().map_or(Kind::Folder, |entry| Kind::of(&entry.kind));
            Some(Named { name: name.to_vec(), node, kind, entry })
        };
        names.iter().filter(|name| fits(name)).filter_map(named).collect()
    }

    fn find_in_tree(&self, place: &Place, folder: &Arc<[u8]>, name: &[u8]) -> Result<Found, Fault> {
        if self.entry(place, folder)?.kind != EntryKind::Directory {
            return Err(Fault::NotAFolder);
        }
        let lost = |error: TreeError| self.lost_page(place.layout(folder), &error);
        let mut found = self.child(place, folder, name).map_err(lost)?;
        if found.is_none() && name.ends_with(MARK) {
            let spelled = unescape_name(name).filter(|name| !name.contains(&b'/'));
            let path = spelled.map(|name| [folder, name.as_slice()].concat());
            let object = path.map(|path| find(self.reader, place.record().root, &path)).transpose().map_err(lost)?;
            found = object.flatten().filter(is_object).map(Arc::new);
        }
        let entry = found.ok_or(Fault::NotFound)?;
        let (node, entry) = self.first_of(place, entry);
        self.remember(&node, &entry);
        Ok((node, Some(entry)))
    }

    /// The entry of this name in a folder of a resource; where an object and a folder share it, the folder.
    fn child(&self, place: &Place, folder: &[u8], name: &[u8]) -> Result<Option<Arc<Entry>>, TreeError> {
        let mut path = [folder, name].concat();
        let below = [folder, name, b"/"].concat();
        let at_hand = [&path, &below].into_iter().find_map(|path| self.at_hand(&node_at(place, path)));
        if let Some(entry) = at_hand.filter(|entry| !is_object(entry)) {
            return Ok(Some(entry));
        }
        let mut cursor = Cursor::new(self.reader, place.record().root);
        cursor.seek(&path)?;
        let file = match cursor.peek()? {
            Some(entry) if entry.path.as_bytes() == path => cursor.next().transpose()?,
            _ => None,
        };
        let found = if file.as_ref().is_some_and(|file| !is_object(file)) {
            file
        } else {
            path = below;
            cursor.advance_to(&path)?;
            match cursor.peek()? {
                Some(entry) if entry.path.as_bytes() == path => cursor.next().transpose()?,
                Some(entry) if entry.path.as_bytes().starts_with(&path) => {
                    Some(Entry::clone(&self.implied_folder(EntryPath(path))))
                }
                _ => file,
            }
        };
        self.remember_rest(place, &mut cursor);
        Ok(found.map(Arc::new))
    }

    /// An entry of a folder as a listing names it; none where no system can.
    pub(super) fn named(&self, place: &Place, folder: &[u8], entry: Arc<Entry>) -> Result<Option<Named>, TreeError> {
        let path = entry.path.as_bytes();
        let name = path.strip_suffix(b"/").unwrap_or(path).get(folder.len()..).unwrap_or_default();
        let mut name = name.to_vec();
        if is_object(&entry) && self.child(place, folder, &name)?.is_some_and(|other| other.path != entry.path) {
            name = escape_name(&name, Kept::Most);
        }
        if !fits(&name) {
            self.lose(place.layout(path), "no system takes this name; `snap restore` spells it".to_owned());
            return Ok(None);
        }
        let kind = Kind::of(&entry.kind);
        let (node, entry) = self.first_of(place, entry);
        self.remember(&node, &entry);
        Ok(Some(Named { name, node, kind, entry: Some(entry) }))
    }

    /// The first entry of the group of hard links that an entry is in, as all names of a file have one number.
    fn first_of(&self, place: &Place, entry: Arc<Entry>) -> (Node, Arc<Entry>) {
        let first = first_name(&entry).and_then(|first| {
            // One that is lost or is not there is no reason to hide this name.
            let found = find(self.reader, place.record().root, first.as_bytes()).ok()??;
            (first_name(&found).is_none() && Kind::of(&found.kind) == Kind::of(&entry.kind)).then(|| Arc::new(found))
        });
        let entry = first.unwrap_or(entry);
        (node_at(place, entry.path.as_bytes()), entry)
    }
}

/// A snapshot by the name of its folder, or a link to it by its id or the start of that.
fn snapshot(shelf: &Shelf, name: &str) -> Option<Node> {
    if let Some(shown) = shelf.iter().find(|shown| shown.name == name) {
        return Some(top(shown));
    }
    let is_prefix = name.len() >= PREFIX_DIGITS_MIN && name.len() <= 2 * SnapshotId::SIZE;
    let mut found = shelf.iter().filter(|shown| is_prefix && shown.snapshot.id.to_string().starts_with(name));
    let shown = found.next()?;
    found.next().is_none().then(|| link("", shown))
}

fn top(shown: &Arc<Shown>) -> Node {
    Node::Layout(Arc::clone(shown), Arc::from(&b""[..]))
}

fn link(folders: &str, shown: &Shown) -> Node {
    Node::Link(format!("{folders}{}", shown.name).into())
}

fn node_at(place: &Place, path: &[u8]) -> Node {
    Node::Entry(place.clone(), Arc::from(path))
}

fn is_object(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Object | EntryKind::Document)
}

/// Whether a system takes the name.
fn fits(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && name.len() <= NAME_LENGTH_MAX && !name.contains(&0) && !name.contains(&b'/')
}
