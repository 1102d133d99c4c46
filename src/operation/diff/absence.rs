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
use crate::operation::part::{folder_of, trim};
use crate::resource::{Coverage, ResourceRecord, unescape_path};
use crate::source::filter::Filter;

/// What one side of a resource lacks for other reasons than that it was not there.
pub(super) struct Absence {
    /// Reasons by path, without a trailing slash.
    gaps: HashMap<Vec<u8>, String>,
    /// Gaps that were told already: each stands for all below it.
    told: Vec<Vec<u8>>,
    /// Why nothing can be claimed.
    doubt: Option<String>,
    excluded: Gitignore,
    /// What was left out of the estate, and the folder of the resource with its `/`.
    left_out: Option<(Filter, Vec<u8>)>,
    size_max: Option<u64>,
}

impl Absence {
    /// What `side` lacks that `other` may have.
    pub(super) fn of(side: &ResourceRecord, other: &ResourceRecord, left_out: Option<Filter>) -> Self {
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
        let folder = [&folder_of(side)[..], b"/"].concat();
        Self { gaps, told: Vec::new(), doubt, excluded, left_out: left_out.map(|filter| (filter, folder)), size_max }
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
        let is_left_out =
            self.left_out.as_ref().is_some_and(|(filter, folder)| filter.leaves_out(&[folder, path].concat()));
        is_left_out
            || !self.excluded.is_empty()
                && !path.is_empty()
                && self
                    .excluded
                    .matched_path_or_any_parents(Path::new(OsStr::from_bytes(path)), entry.path.is_directory())
                    .is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::Absence;
    use crate::entry::{Content, Entry, EntryKind, Metadata};
    use crate::id::PageId;
    use crate::operation::diff::{Change, Side};
    use crate::resource::{Coverage, Gap, ResourceRecord, Totals};

    fn record(scope: &[&str], gaps: &[&str], count: u64) -> ResourceRecord {
        let gap = |path: &&str| Gap {
            path: (*path).to_owned(),
            action: "open".to_owned(),
            reason: "denied".to_owned(),
            ..Gap::default()
        };
        let gaps: Vec<Gap> = gaps.iter().map(gap).collect();
        ResourceRecord {
            source: "local".to_owned(),
            path: "local/a".to_owned(),
            root: PageId([0; 32]),
            totals: Totals::default(),
            coverage: if count == 0 { Coverage::Complete } else { Coverage::Partial { gaps, count } },
            scope: scope.iter().map(|filter| (*filter).to_owned()).collect(),
            attributes: std::collections::BTreeMap::new(),
        }
    }

    /// What is told of each path when the later side lacks it.
    fn told(side: &ResourceRecord, paths: &[&str]) -> Vec<String> {
        let mut absence = Absence::of(side, &record(&["exclude *.tmp"], &[], 0), None);
        let entry = |path: &str| Entry {
            path: path.into(),
            kind: EntryKind::File,
            metadata: Metadata::None,
            token: None,
            content: Content::Inline(vec![0; 10]),
        };
        let explained = paths.iter().map(|path| absence.explain(entry(path), Side::New));
        let words = explained.map(|change| match change {
            None => "told".to_owned(),
            Some(Change::Removed(_)) => "removed".to_owned(),
            Some(Change::NotCaptured { path, reason, .. }) => format!("{}: {reason}", String::from_utf8_lossy(&path)),
            Some(other) => panic!("{other:?}"),
        });
        words.collect()
    }

    #[test]
    fn nothing_under_a_gap_is_removed_and_a_gap_is_told_once() {
        let side = record(&[], &["secret/", "b"], 2);
        let told = told(&side, &["a", "b", "b-side", "secret/x", "secret/y/z", "secrets"]);
        let open = |path: &str| format!("{path}: cannot open: denied");
        let removed = || "removed".to_owned();
        assert_eq!(told, [removed(), open("b"), removed(), open("secret"), "told".to_owned(), removed()]);
    }

    #[test]
    fn gaps_that_are_not_listed_and_filters_that_cannot_be_asked_leave_it_open() {
        assert_eq!(told(&record(&[], &["b"], 5), &["a"]), ["a: it may lie in one of 4 gaps that are not listed"]);
        let side = record(&["gitignore"], &[], 0);
        assert_eq!(told(&side, &["a"]), ["a: the filter `gitignore` may have left it out"]);
    }

    #[test]
    fn filters_that_only_the_later_side_had_are_asked_again() {
        let side = record(&["exclude *.tmp", "exclude build/", "exclude-larger-than 9"], &[], 0);
        assert_eq!(told(&side, &["build/x"]), ["build/x: it was excluded"]);
        assert_eq!(told(&side, &["a"]), ["a: it was larger than the limit"]);
        assert_eq!(told(&record(&["exclude *.tmp"], &[], 0), &["a.tmp"]), ["removed"]);
    }
}
