//! Where a thing goes: under its own name, or where the target does not take that, under one that it does.
//!
//! Only the file system tells that it takes two names for one, or cannot hold one; then the name is escaped, and so are those of
//! folders above it that meet others.

use std::sync::Arc;

use crate::entry::Metadata;
use crate::operation::backup::error_chain;
use crate::operation::restore::select::split;
use crate::operation::restore::window::Planned;
use crate::operation::restore::write::Writer;
use crate::operation::target::directory::Directory;
use crate::operation::target::error::TargetError;
use crate::operation::target::escape::{Kept, Last, escape_name, must_escape, spell};
use crate::progress::Event;
use crate::resource::escape_path;

/// Which names of a place are of folders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    All,
    /// All but the last.
    Above,
}

impl Writer<'_, '_, '_> {
    /// Does something at an entry's place; where the file system cannot hold the name, under an escaped one.
    pub(super) fn at_place<T>(
        &mut self,
        planned: &Planned,
        make: impl Fn(&Arc<Directory>, &[u8]) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let place = self.place(planned, planned.spelling);
        let error = match self.at(&place, &make) {
            Err(error) if error.asks_for_an_escaped_name() => error,
            outcome => return outcome,
        };
        let why = error_chain(&error);
        let folder = self.folded(planned, Names::Above)?;
        let whole = self.context.selection.parts[planned.part].unspelled(&planned.entry);
        let name = whole.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let usual = if self.is_local(planned) { name.to_vec() } else { spell(name, planned.spelling) };
        let mut used = joined(folder.path(), &usual);
        let mut tried = if used == place { Err(error) } else { self.at(&used, &make) };
        if let Err(error) = &tried
            && error.asks_for_an_escaped_name()
        {
            let kept = if planned.spelling == Last::AsItIs { Kept::Plain } else { Kept::Aside };
            used = joined(folder.path(), &escape_name(name, kept));
            tried = self.at(&used, &make);
        }
        let made = tried?;
        let message = format!("{why}; it is restored as {}", escape_path(&used));
        self.context.progress.report(Event::Warning { message });
        self.context.respell(planned, used);
        Ok(made)
    }

    /// Whether a file system had it, so that its names are such as file systems hold.
    fn is_local(&self, planned: &Planned) -> bool {
        matches!(planned.entry.metadata, Metadata::Posix(_))
    }

    /// The folder that an entry goes to or is, made; names of it that the target takes for others are escaped.
    pub(super) fn folded(&self, planned: &Planned, which: Names) -> Result<Arc<Directory>, TargetError> {
        let whole = self.context.selection.parts[planned.part].unspelled(&planned.entry);
        let is_local = self.is_local(planned);
        let mut folder = self.target.directory(b"")?;
        let mut names: Vec<&[u8]> = whole.split(|&byte| byte == b'/').collect();
        if which == Names::Above {
            names.pop();
        }
        for name in names {
            let spelled = if !is_local && must_escape(name) { escape_name(name, Kept::Most) } else { name.to_vec() };
            folder = match self.target.directory(&joined(folder.path(), &spelled)) {
                Err(error) if error.asks_for_an_escaped_name() => {
                    self.target.directory(&joined(folder.path(), &escape_name(name, Kept::Plain)))?
                }
                outcome => outcome?,
            };
        }
        Ok(folder)
    }

    fn at<T>(
        &mut self,
        place: &[u8],
        make: impl Fn(&Arc<Directory>, &[u8]) -> Result<T, TargetError>,
    ) -> Result<T, TargetError> {
        let (folder, name) = split(place);
        let folder = match &self.folder {
            Some(last) if last.path() == folder => Arc::clone(last),
            _ => self.target.directory(folder)?,
        };
        let made = make(&folder, name);
        self.folder = Some(folder);
        made
    }

    pub(super) fn place(&self, planned: &Planned, spelling: Last) -> Vec<u8> {
        self.context.selection.parts[planned.part].place(&planned.entry, spelling)
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, name].join(&b'/') }
}
