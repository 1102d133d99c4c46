//! Gaps that the user accepts: told like all others, but no reason to call a backup incomplete.

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::operation::part::folder_of;
use crate::resource::{Coverage, Gap, ResourceRecord, SnapshotRecord, unescape_path};
use crate::source::filter::Filter;

/// What is accepted: actions by their names, and globs on paths of the layout.
pub struct Accepted {
    actions: Vec<String>,
    paths: Filter,
}

impl Accepted {
    /// What the configuration says.
    pub fn of(context: &Context) -> Result<Self, Failure> {
        let is_action = |word: &String| word.contains(':') && !word.contains('/');
        let (actions, paths) = context.settings.words("backup.accept-gaps").into_iter().partition(is_action);
        let wrong = |(pattern, error): (String, ignore::Error)| {
            Failure::usage(format!("backup.accept-gaps: {pattern} is no glob: {error}"))
        };
        Ok(Self { actions, paths: Filter::new(paths).map_err(wrong)? })
    }

    /// How many gaps of a snapshot are not accepted.
    pub fn uncovered(&self, record: &SnapshotRecord) -> u64 {
        record.resources.iter().map(|resource| self.uncovered_of(resource)).sum()
    }

    fn uncovered_of(&self, resource: &ResourceRecord) -> u64 {
        let folder = folder_of(resource);
        match &resource.coverage {
            Coverage::Complete => 0,
            Coverage::Failed { reason } => {
                let is_accepted = self.actions.iter().any(|action| reason.starts_with(&format!("{action}: ")));
                u64::from(!is_accepted && !self.paths.leaves_out(&folder))
            }
            Coverage::Partial { gaps, count } => {
                let is_accepted = |gap: &&Gap| {
                    let inside = unescape_path(&gap.path).unwrap_or_default();
                    let path = if inside.is_empty() { folder.clone() } else { [&folder[..], b"/", &inside].concat() };
                    self.actions.contains(&gap.action) || self.paths.leaves_out(&path)
                };
                // Those that are not listed are nobody's to accept.
                count.saturating_sub(gaps.iter().filter(is_accepted).count() as u64)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, Filter};
    use crate::id::PageId;
    use crate::resource::{Coverage, Gap, ResourceRecord, Totals};

    #[test]
    fn what_is_accepted_by_action_or_path_does_not_count() {
        let gap = |path: &str, action: &str| Gap { path: path.to_owned(), action: action.to_owned(), ..Gap::default() };
        let resource = |coverage| ResourceRecord {
            source: "x".to_owned(),
            path: "x/one".to_owned(),
            root: PageId([0; 32]),
            totals: Totals::default(),
            coverage,
            scope: Vec::new(),
            attributes: Default::default(),
        };
        let accepted = |words: &[&str]| {
            let (actions, paths) =
                words.iter().map(|word| (*word).to_owned()).partition(|word: &String| word.contains(':'));
            Accepted { actions, paths: Filter::new(paths).expect("globs") }
        };
        let gaps = vec![gap("a", "s:Get"), gap("b", "s:Get"), gap("b", "s:List"), gap("", "s:Take")];
        let partial = resource(Coverage::Partial { gaps, count: 6 });
        let left = |words: &[&str]| accepted(words).uncovered_of(&partial);
        assert_eq!([left(&[]), left(&["s:Get"]), left(&["x/one/b"]), left(&["s:Get", "x/one/b"])], [6, 4, 4, 3]);
        assert_eq!(left(&["x/one"]), 2);
        let failed = resource(Coverage::Failed { reason: "s:List: Denied no".to_owned() });
        assert_eq!(accepted(&["s:List"]).uncovered_of(&failed), 0);
        assert_eq!(accepted(&["s:Lis"]).uncovered_of(&failed), 1);
    }
}
