//! Why a path that only one snapshot has may be absent from the other without having been removed or added.
//!
//! The other side's gaps say so exactly. Filters that only the other side had say so by rule where the rule can be asked
//! again; where it cannot (ignore files, mounts), nothing is claimed.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::entry::Entry;
use crate::operation::diff::{Change, Side};
use crate::operation::part::trim;
use crate::resource::{Coverage, ResourceRecord, unescape_path};

/// What one side of a resource lacks for other reasons than that it was not there.
pub(super) struct Absence {
    /// Reasons by path, without a trailing slash.
    gaps: HashMap<Vec<u8>, String>,
    /// Gaps that were told already: each stands for all below it.
    told: Vec<Vec<u8>>,
    /// Why nothing can be claimed.
    doubt: Option<String>,
    excluded: Gitignore,
    size_max: Option<u64>,
}

impl Absence {
    /// What `side` lacks that `other` may have.
    pub(super) fn of(side: &ResourceRecord, other: &ResourceRecord) -> Self {
        let (mut gaps, mut doubt) = (HashMap::new(), None);
        if let Coverage::Partial { gaps: listed, count } = &side.coverage {
            for gap in listed {
                let path = unescape_path(&gap.path).unwrap_or_default();
                gaps.insert(trim(&path).to_vec(), format!("cannot {}: {}", gap.action, gap.reason));
            }
            if *count > listed.len() as u64 {
                doubt = Some(format!("it may lie in one of {} gaps that are not listed", count - listed.len() as u64));
            }
        }
        let mut excluded = GitignoreBuilder::new("");
        let mut size_max = None;
        for filter in side.scope.iter().filter(|filter| !other.scope.contains(filter)) {
            let understood = match filter.split_once(' ') {
                Some(("exclude", pattern)) => excluded.add_line(None, pattern).is_ok(),
                Some(("exclude-larger-than", size)) => {
                    size_max = size.parse().ok();
                    size_max.is_some()
                }
                _ => false,
            };
            if !understood {
                doubt.get_or_insert_with(|| format!("the filter `{filter}` may have left it out"));
            }
        }
        let excluded = excluded.build().unwrap_or_else(|_| Gitignore::empty());
        Self { gaps, told: Vec::new(), doubt, excluded, size_max }
    }

    /// What it means that `lacks`, whose absences these are, does not have the entry; `None` if that was told already.
    pub(super) fn explain(&mut self, entry: Entry, lacks: Side) -> Option<Change> {
        let path = trim(entry.path.as_bytes());
        if let Some(gap) = self.gap_of(path) {
            if self.told.contains(&gap) {
                return None;
            }
            let reason = self.gaps[&gap].clone();
            self.told.push(gap.clone());
            return Some(Change::NotCaptured { path: gap, lacks, reason });
        }
        let reason = if self.is_excluded(path, &entry) {
            Some("it was excluded".to_owned())
        } else if self.size_max.is_some_and(|size_max| entry.content.size() > size_max) {
            Some("it was larger than the limit".to_owned())
        } else {
            self.doubt.clone()
        };
        Some(match (reason, lacks) {
            (Some(reason), _) => Change::NotCaptured { path: entry.path.0, lacks, reason },
            (None, Side::Old) => Change::Added(entry),
            (None, Side::New) => Change::Removed(entry),
        })
    }

    /// The gap at the path or at a folder above it.
    fn gap_of(&self, path: &[u8]) -> Option<Vec<u8>> {
        if self.gaps.is_empty() {
            return None;
        }
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut ancestors = [0].into_iter().chain(ends).chain([path.len()]).map(|end| &path[..end]);
        ancestors.find(|ancestor| self.gaps.contains_key(*ancestor)).map(<[u8]>::to_vec)
    }

    fn is_excluded(&self, path: &[u8], entry: &Entry) -> bool {
        !self.excluded.is_empty()
            && !path.is_empty()
            && self
                .excluded
                .matched_path_or_any_parents(Path::new(OsStr::from_bytes(path)), entry.path.is_directory())
                .is_ignore()
    }
}
