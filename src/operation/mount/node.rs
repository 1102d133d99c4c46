//! Inodes: what a number stands for, for as long as the kernel remembers it.
//!
//! A number is a hash of what it stands for, so that it is the same after it was forgotten and in every mount.

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::{Arc, Mutex, PoisonError};

use crate::codec::hash::digest;
use crate::operation::mount::catalog::{Grouping, Shown};
use crate::resource::ResourceRecord;

/// The number of the root.
pub const ROOT: u64 = 1;
/// Numbers up to this one are fixed.
const FIXED_MAX: u64 = 15;

/// What a number stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// The root.
    Root,
    /// The folder of all snapshots.
    Snapshots,
    /// The folder of a grouping.
    Grouping(Grouping),
    /// A folder of the snapshots that share a word, by its name.
    Group(Grouping, Arc<str>),
    /// A symbolic link that stands in none of the snapshots, and its target.
    Link(Arc<str>),
    /// A folder of the layout above resources: of which snapshot, and its path without a slash at its end.
    Layout(Arc<Shown>, Arc<[u8]>),
    /// An entry of a resource by its path there, folders with the slash at their end; the path of the root is empty.
    Entry(Place, Arc<[u8]>),
}

/// A resource of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The snapshot.
    pub(super) shown: Arc<Shown>,
    /// Which of its resources.
    pub(super) resource: usize,
}

impl Place {
    /// The resource as the snapshot describes it.
    pub(super) fn record(&self) -> &ResourceRecord {
        &self.shown.snapshot.record.resources[self.resource]
    }

    /// A path of the resource in the layout.
    pub(super) fn layout(&self, path: &[u8]) -> Vec<u8> {
        let folder = self.shown.folders[self.resource].as_slice();
        if path.is_empty() { folder.to_vec() } else { [folder, b"/", path].concat() }
    }
}

impl Node {
    /// Its number, unless that of another is the same.
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Root => ROOT,
            Self::Snapshots => 2,
            Self::Grouping(Grouping::Tags) => 3,
            Self::Grouping(Grouping::Series) => 4,
            Self::Grouping(Grouping::Hosts) => 5,
            _ => {
                let hash = digest(&self.key());
                let number = u64::from_le_bytes(hash[..8].try_into().expect("because the slice has 8 bytes"));
                // Half of all numbers, since some programs take them for signed.
                (number >> 1).max(FIXED_MAX + 1)
            }
        }
    }

    /// Bytes that no other node has.
    fn key(&self) -> Vec<u8> {
        match self {
            Self::Root | Self::Snapshots => vec![0],
            Self::Grouping(grouping) => [&b"1"[..], grouping.folder().as_bytes()].concat(),
            Self::Group(grouping, name) => [&b"2"[..], grouping.folder().as_bytes(), b"/", name.as_bytes()].concat(),
            Self::Link(target) => [&b"3"[..], target.as_bytes()].concat(),
            Self::Layout(shown, path) => [&b"4"[..], &shown.snapshot.id.0[..], path].concat(),
            Self::Entry(place, path) => {
                let resource = (place.resource as u64).to_le_bytes();
                [&b"5"[..], &place.shown.snapshot.id.0[..], &resource, path].concat()
            }
        }
    }
}

/// The numbers that the kernel knows.
#[derive(Default)]
pub(super) struct Table {
    known: Mutex<HashMap<u64, Known>>,
}

struct Known {
    node: Node,
    /// How often the kernel was told of it and did not forget.
    told: u64,
}

impl Table {
    /// Notes that the kernel is told of a node; its number.
    pub(super) fn tell(&self, node: &Node) -> u64 {
        let mut number = node.number();
        if number <= FIXED_MAX {
            return number;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match known.entry(number) {
                hash_map::Entry::Vacant(free) => {
                    free.insert(Known { node: node.clone(), told: 1 });
                    return number;
                }
                hash_map::Entry::Occupied(mut same) if same.get().node.key() == node.key() => {
                    same.get_mut().told += 1;
                    return number;
                }
                // Two hashes are the same: the second node takes the next number.
                hash_map::Entry::Occupied(_) => number = (number + 1).max(FIXED_MAX + 1),
            }
        }
    }

    /// What a number stands for.
    pub(super) fn node(&self, number: u64) -> Option<Node> {
        match number {
            ROOT => Some(Node::Root),
            2 => Some(Node::Snapshots),
            3 => Some(Node::Grouping(Grouping::Tags)),
            4 => Some(Node::Grouping(Grouping::Series)),
            5 => Some(Node::Grouping(Grouping::Hosts)),
            _ => self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&number).map(|known| known.node.clone()),
        }
    }

    /// The kernel forgets that it was told of a number so many times.
    pub(super) fn forget(&self, number: u64, times: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let hash_map::Entry::Occupied(mut entry) = known.entry(number) {
            entry.get_mut().told = entry.get().told.saturating_sub(times);
            if entry.get().told == 0 {
                entry.remove();
            }
        }
        // What a wave of look-ups took is given back when it is over.
        if known.capacity() > 1024 && known.len() < known.capacity() / 8 {
            known.shrink_to_fit();
        }
    }

    /// How many numbers the kernel knows beside the fixed ones.
    pub(super) fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
