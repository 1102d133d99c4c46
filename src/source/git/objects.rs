//! The objects of a git directory, while others pack them and collect garbage.
//!
//! Loose objects are listed first, then packs, which are opened at once: what is packed meanwhile is in one that was there by then,
//! and what is open can be read after its name is gone. Loose objects are opened when their turn comes; those that are gone by then were packed
//! after the listing, so packs, whose paths come later, are looked at once more. Left out are files that are still being written,
//! and what git makes anew of the objects when it wants it: the commit graph and the index over many packs.

use std::ffi::{CStr, CString};

use crate::source::estate::{Problem, Sent, Stopped};
use crate::source::git::folder::Folder;
use crate::source::git::outlet::Outlet;
use crate::source::git::packs::Packs;
use crate::source::local::LocalError;
use crate::source::local::listed::Listed;
use crate::source::local::listing::Names;
use crate::source::local::stat::FileType;

/// What stood in `objects/` when the references had been read.
pub(super) struct Objects {
    parts: Vec<Part>,
    packs: Packs,
    /// Whether some of them lie in another repository.
    pub(super) is_borrowing: bool,
}

/// What stands in `objects/`, in path order.
enum Part {
    /// Loose objects, by the first byte of their ids.
    Loose(Box<Listed>, Folder, Names),
    Packs(Box<Listed>),
    Folder(Box<Listed>, Folder),
    Other(Box<Listed>),
}

impl Objects {
    /// Lists loose objects, then packs, and opens these.
    pub(super) fn read(folder: &Folder, refused: &mut dyn FnMut(&LocalError)) -> Result<Self, Problem> {
        let mut parts = Vec::new();
        let mut packs = None;
        let mut is_borrowing = false;
        for (name, listed) in folder.list(refused) {
            if is_left_out(name.to_bytes()) {
                continue;
            }
            if listed.file_type() != FileType::Directory {
                parts.push(Part::Other(Box::new(listed)));
                continue;
            }
            let inner = folder.enter(&name, &listed);
            let listed = Box::new(listed);
            match name.to_bytes() {
                b"pack" => {
                    packs = Some(inner);
                    parts.push(Part::Packs(listed));
                }
                [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => match inner.names() {
                    Ok(names) => parts.push(Part::Loose(listed, inner, names)),
                    Err(LocalError::Vanished { .. }) => {}
                    Err(error) => refused(&error),
                },
                other => {
                    is_borrowing |= other == b"info" && matches!(inner.look(ALTERNATES), Ok(Some(_)));
                    parts.push(Part::Folder(listed, inner));
                }
            }
        }
        // Packs come last: what was loose until now is in one of them if it is not any more.
        let packs = Packs::read(packs, refused)?;
        Ok(Self { parts, packs, is_borrowing })
    }

    /// Whether it is among them, loose or packed.
    pub(super) fn holds(&self, id: &str) -> bool {
        let Some((first, rest)) = id.split_at_checked(2) else { return false };
        let Ok(rest) = CString::new(rest) else { return false };
        let is_loose = self.parts.iter().any(|part| match part {
            Part::Loose(_, folder, names) => {
                let at = folder.path.len().saturating_sub(3);
                folder.path[at..].starts_with(first.as_bytes()) && names.find_file(&rest).is_some()
            }
            _ => false,
        });
        is_loose || self.packs.hold(id)
    }

    /// Sends all of them, in path order.
    pub(super) fn send(mut self, outlet: &Outlet) -> Result<(), Stopped> {
        let mut gone = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            match part {
                Part::Loose(listed, folder, names) => {
                    outlet.listed(*listed)?;
                    send_loose(outlet, &folder, &names, &mut gone)?;
                }
                Part::Packs(listed) => {
                    let path = listed.path.clone();
                    outlet.listed(*listed)?;
                    self.look_for(&mut gone, path.as_bytes(), outlet)?;
                    std::mem::take(&mut self.packs).send(outlet)?;
                }
                Part::Folder(listed, folder) => {
                    outlet.listed(*listed)?;
                    send_folder(outlet, &folder)?;
                }
                Part::Other(listed) => outlet.listed(*listed)?,
            }
        }
        self.report(&gone, outlet)
    }

    /// Looks for what is not loose any more in packs that came since.
    fn look_for(&mut self, gone: &mut Vec<Gone>, path: &[u8], outlet: &Outlet) -> Result<(), Stopped> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut refusals = Vec::new();
        let looked = self.packs.look_again(&mut |error| refusals.push(error.gap()));
        refusals.into_iter().try_for_each(|gap| outlet.send(Sent::Gap(gap)))?;
        if let Err(problem) = looked {
            outlet.gap(path, problem)?;
        }
        gone.retain(|gone| !self.packs.hold(&gone.id));
        Ok(())
    }

    fn report(&self, gone: &[Gone], outlet: &Outlet) -> Result<(), Stopped> {
        for gone in gone.iter().filter(|_| !self.is_borrowing) {
            let problem = Problem {
                action: "open".to_owned(),
                code: "Vanished".to_owned(),
                reason: "the object was collected as garbage while it was read".to_owned(),
                hint: "the next backup captures what is there then".to_owned(),
            };
            outlet.gap(&gone.path, problem)?;
        }
        Ok(())
    }
}

const ALTERNATES: &CStr = c"alternates";

/// A loose object that was listed and is there no more.
struct Gone {
    id: String,
    path: Vec<u8>,
}

fn send_loose(outlet: &Outlet, folder: &Folder, names: &Names, gone: &mut Vec<Gone>) -> Result<(), Stopped> {
    for index in 0..names.len() {
        let name = names.text(names.at(index));
        if is_left_out(name.to_bytes()) {
            continue;
        }
        let error = match folder.look(name) {
            Ok(Some(listed)) if listed.file_type() == FileType::File => outlet.open_one_of_many(listed)?,
            Ok(Some(listed)) => {
                outlet.listed(listed)?;
                None
            }
            Ok(None) => Some(LocalError::Vanished { path: folder.path_of(name, FileType::File) }),
            Err(error) => Some(error),
        };
        match error {
            None => {}
            Some(LocalError::Vanished { path } | LocalError::Replaced { path }) => {
                gone.push(Gone { id: id_of(path.as_bytes()), path: path.0 });
            }
            Some(error) => outlet.refused(&error)?,
        }
    }
    Ok(())
}

/// The id of a loose object: the last two names of its path.
fn id_of(path: &[u8]) -> String {
    let mut names = path.rsplit(|byte| *byte == b'/');
    let rest = String::from_utf8_lossy(names.next().unwrap_or_default()).into_owned();
    format!("{}{rest}", String::from_utf8_lossy(names.next().unwrap_or_default()))
}

/// Sends `info/` and whatever else stands beside the objects.
fn send_folder(outlet: &Outlet, folder: &Folder) -> Result<(), Stopped> {
    let mut refusals = Vec::new();
    for (name, listed) in folder.list(&mut |error| refusals.push(error.gap())) {
        if is_left_out(name.to_bytes()) {
            continue;
        }
        if name.as_c_str() == ALTERNATES {
            let problem = Problem {
                action: "read objects".to_owned(),
                code: "Alternates".to_owned(),
                reason: "objects lie in another repository, which this file names".to_owned(),
                hint: "capture that one too, or `git repack -a -d` and remove the file".to_owned(),
            };
            outlet.gap(listed.path.as_bytes(), problem)?;
        }
        match listed.file_type() {
            FileType::Directory => {
                let inner = folder.enter(&name, &listed);
                outlet.listed(listed)?;
                crate::source::git::walk::send_all(outlet, inner)?;
            }
            _ => outlet.listed(listed)?,
        }
    }
    refusals.into_iter().try_for_each(|gap| outlet.send(Sent::Gap(gap)))
}

/// Whether a file in `objects/` is still being written, or is made anew by git when it wants it.
pub(super) fn is_left_out(name: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 6] =
        [b"tmp_", b".tmp-", b"incoming-", b"bulk-fsync-", b"multi-pack-index", b"commit-graph"];
    name.ends_with(b".lock") || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}
