//! Listing an open folder: a cursor in its tree, a page a level, whatever the number of its entries.
//!
//! The kernel asks from a position on and may come back to one of the last call, for what did not fit. Those are kept;
//! going further back begins again.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::entry::Entry;
use crate::operation::backup::error_chain;
use crate::operation::mount::attributes::{Attributes, Kind};
use crate::operation::mount::node::{Node, Place, ROOT};
use crate::operation::mount::{Fault, FileSystem, Holds, holds};
use crate::repository::reader::Reader;
use crate::tree::listing::{Child, Children, children};

/// Positions of `.` and `..`; what is in the folder comes after them.
const DOTS: u64 = 2;

/// A name in a folder, as a listing gives it out.
#[derive(Debug)]
pub struct Item<'i> {
    /// The name.
    pub name: &'i [u8],
    /// The inode.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// All that `stat` says, if that was asked for; never for `.` and `..`.
    pub attributes: Option<Attributes>,
    /// How long all of that holds.
    pub holds: Holds,
    /// Where to go on behind it.
    pub next: u64,
}

/// Whether attributes are wanted with the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Only what names are.
    Names,
    /// All of them, and the kernel takes them as looked up.
    Attributes,
}

/// A folder that somebody lists.
pub(super) struct OpenFolder<'a, 'r> {
    inode: u64,
    names: Names<'a, 'r>,
}

enum Names<'a, 'r> {
    /// Known when it was opened.
    Fixed(Vec<Named>),
    /// As the tree has them.
    Tree(Box<Listing<'a, 'r>>),
}

/// A name and what stands under it.
pub(super) struct Named {
    pub(super) name: Vec<u8>,
    pub(super) node: Node,
    pub(super) kind: Kind,
    pub(super) entry: Option<Arc<Entry>>,
}

struct Listing<'a, 'r> {
    reader: &'a Reader<'r>,
    place: Place,
    folder: Arc<[u8]>,
    children: Children<&'a Reader<'r>>,
    /// The names from position `first` on, up to where `children` stands.
    recent: VecDeque<Named>,
    first: u64,
    /// Where the last call began.
    asked: u64,
    /// The path that came last, so that none comes twice behind a lost page.
    last: Option<Vec<u8>>,
    /// Whether names are missing.
    has_holes: bool,
}

impl<'a, 'r> OpenFolder<'a, 'r> {
    /// A folder of names that are known.
    pub(super) fn fixed(inode: u64, names: Vec<Named>) -> Self {
        Self { inode, names: Names::Fixed(names) }
    }

    /// A folder of a resource by its path.
    pub(super) fn tree(reader: &'a Reader<'r>, inode: u64, place: Place, folder: Arc<[u8]>) -> Self {
        let children = children(reader, place.record().root, &folder);
        let listing = Listing {
            reader,
            place,
            folder,
            children,
            recent: VecDeque::new(),
            first: DOTS,
            asked: DOTS,
            last: None,
            has_holes: false,
        };
        Self { inode, names: Names::Tree(Box::new(listing)) }
    }

    /// Gives the names from `position` on to `take`, until that has no room for one or there are no more. Where names
    /// are lost, the others are given, and then it fails.
    pub(super) fn read(
        &mut self,
        system: &FileSystem<'a, 'r>,
        position: u64,
        detail: Detail,
        take: &mut dyn FnMut(&Item<'_>) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        for (at, name) in [&b"."[..], b".."].into_iter().enumerate().skip(usize::try_from(position).unwrap_or(2)) {
            let inode = if name == b"." { self.inode } else { ROOT };
            let (kind, holds) = (Kind::Folder, Holds::AMoment);
            let item = Item { name, inode, kind, attributes: None, holds, next: at as u64 + 1 };
            if take(&item).is_break() {
                return Ok(());
            }
        }
        let mut at = position.max(DOTS);
        if let Names::Tree(listing) = &mut self.names {
            listing.begin(at);
        }
        loop {
            let named = match &mut self.names {
                Names::Fixed(names) => usize::try_from(at - DOTS).ok().and_then(|at| names.get(at)),
                Names::Tree(listing) => listing.named(system, at)?,
            };
            let Some(named) = named else { return Ok(()) };
            at += 1;
            if give(system, named, at, detail, take)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// Gives one name out; with attributes the kernel takes it as told, if it has room for it.
fn give(
    system: &FileSystem<'_, '_>,
    named: &Named,
    next: u64,
    detail: Detail,
    take: &mut dyn FnMut(&Item<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Fault> {
    let inode = named.node.number();
    let item = Item { name: &named.name, inode, kind: named.kind, attributes: None, holds: holds(&named.node), next };
    if detail == Detail::Names {
        return Ok(take(&item));
    }
    let inode = system.table.tell(&named.node);
    let attributes = system.attributes_of(&named.node, inode, named.entry.as_ref());
    let taken = attributes
        .as_ref()
        .map_or(ControlFlow::Break(()), |attributes| take(&Item { inode, attributes: Some(*attributes), ..item }));
    if taken.is_break() {
        system.table.forget(inode, 1);
    }
    attributes.map(|_| taken)
}

impl<'a, 'r> Listing<'a, 'r> {
    /// A call for the names from `position` on begins.
    fn begin(&mut self, position: u64) {
        if position < self.first {
            self.children = children(self.reader, self.place.record().root, &self.folder);
            self.recent.clear();
            (self.first, self.last, self.asked) = (DOTS, None, position);
        }
        let kept = self.asked.min(position);
        while self.first < kept && self.recent.pop_front().is_some() {
            self.first += 1;
        }
        self.asked = position;
    }

    /// The name at a position.
    fn named(&mut self, system: &FileSystem<'a, 'r>, position: u64) -> Result<Option<&Named>, Fault> {
        while position >= self.first + self.recent.len() as u64 {
            match self.pull(system) {
                Some(named) => self.recent.push_back(named),
                None if self.has_holes => return Err(Fault::Lost),
                None => return Ok(None),
            }
            if self.first < self.asked.min(position) && self.recent.pop_front().is_some() {
                self.first += 1;
            }
        }
        let index = usize::try_from(position - self.first).expect("because it is among the recent");
        Ok(self.recent.get(index))
    }

    fn pull(&mut self, system: &FileSystem<'a, 'r>) -> Option<Named> {
        loop {
            let child = match self.children.next()? {
                Ok(child) => child,
                Err(error) => {
                    self.has_holes = true;
                    system.lose(self.place.layout(&self.folder), format!("names are lost: {}", error_chain(&error)));
                    continue;
                }
            };
            let path = child.path().as_bytes();
            if self.last.as_deref().is_some_and(|last| path <= last) {
                continue;
            }
            self.last = Some(path.to_vec());
            let entry = match child {
                Child::Entry(entry) => Arc::new(entry),
                Child::Folder(path) => system.implied_folder(path),
            };
            match system.named(&self.place, &self.folder, entry) {
                Ok(Some(named)) => return Some(named),
                Ok(None) => {}
                Err(_) => self.has_holes = true,
            }
        }
    }
}
