//! Whose the restored things become: names before numbers, each name looked up once.
//!
//! A snapshot keeps both. A name that this system knows wins, for its number may differ here; a name it does not know
//! leaves the number. Nothing is changed here; `metadata` does that.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::entry::PosixMetadata;

/// Most names remembered: a hostile snapshot can have any number of them.
const NAMES_MAX: usize = 4096;

/// Which of the two a snapshot keeps decides the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The name where this system knows it, else the number.
    #[default]
    Named,
    /// The number alone.
    Numbered,
}

/// User and group by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ownership {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// The names looked up so far.
#[derive(Debug, Default)]
pub(super) struct Owners {
    users: Mutex<HashMap<String, Option<u32>>>,
    groups: Mutex<HashMap<String, Option<u32>>>,
}

impl Owners {
    /// Whose the entry is to be; `None` where the numbers are none that a file can have.
    pub(super) fn wanted(&self, metadata: &PosixMetadata, identity: Identity) -> Option<Ownership> {
        let (mut user, mut group) = (metadata.uid, metadata.gid);
        if identity == Identity::Named {
            if let Some(name) = &metadata.user {
                user = remembered(&self.users, name, |name| uzers::get_user_by_name(name).map(|u| u.uid()))
                    .unwrap_or(user);
            }
            if let Some(name) = &metadata.group {
                group = remembered(&self.groups, name, |name| uzers::get_group_by_name(name).map(|g| g.gid()))
                    .unwrap_or(group);
            }
        }
        // The number -1 tells the system to leave the owner alone, which is not what the snapshot says.
        (user != u32::MAX && group != u32::MAX).then_some(Ownership { user, group })
    }
}

fn remembered(
    known: &Mutex<HashMap<String, Option<u32>>>,
    name: &str,
    look_up: impl FnOnce(&str) -> Option<u32>,
) -> Option<u32> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(number) = known.get(name) {
        return *number;
    }
    let number = look_up(name);
    if known.len() < NAMES_MAX {
        known.insert(name.to_owned(), number);
    }
    number
}
