//! The map of one resource while it is built, and what is counted of it.

use crate::entry::{Content, Entry, EntryPath, Piece};
use crate::operation::backup::assemble::Counts;
use crate::operation::backup::{BackupError, Context};
use crate::operation::pages::PageWriter;
use crate::progress::Event;
use crate::repository::reader::Reader;
use crate::resource::{Coverage, Gap, Resource, ResourceRecord, escape_path};
use crate::source::estate::Problem;
use crate::tree::builder::TreeBuilder;
use crate::tree::list::PieceIter;

/// Documents up to this size are compared with those of the snapshot before.
const COMPARED_MAX: usize = 32 << 20;

/// The map of one resource while it is built.
pub(super) struct Map<'b, 'r> {
    pub(super) resource: Resource,
    /// How completely the snapshot before has it.
    earlier: Option<&'b Coverage>,
    builder: TreeBuilder<&'b mut PageWriter<'r>>,
    gaps: Vec<Gap>,
    gap_count: u64,
    pub(super) counts: Counts,
    /// The path that was sent last.
    last: Option<EntryPath>,
}

impl<'b, 'r> Map<'b, 'r> {
    pub(super) fn new(
        resource: Resource,
        earlier: Option<&'b Coverage>,
        builder: TreeBuilder<&'b mut PageWriter<'r>>,
    ) -> Self {
        Self { resource, earlier, builder, gaps: Vec::new(), gap_count: 0, counts: Counts::default(), last: None }
    }

    /// Whether the snapshot before may lack part of what is at this path, and this one has it.
    pub(super) fn was_less(&self, path: &EntryPath) -> bool {
        let Some(Coverage::Partial { gaps, count }) = self.earlier else { return false };
        let is_missing_still = |gap: &Gap| self.gaps.iter().any(|now| now.path == gap.path && now.action == gap.action);
        let mut here = gaps.iter().filter(|gap| is_under(std::slice::from_ref(gap), path));
        *count > gaps.len() as u64 || here.any(|gap| !is_missing_still(gap))
    }

    /// Counts what the snapshot before had and this one does not, unless it could not be had.
    pub(super) fn count_removed(&mut self, path: &EntryPath) {
        self.counts.removed += u64::from(!is_under(&self.gaps, path));
    }

    /// Whether the path comes after all that were sent; it is the last one then.
    pub(super) fn is_next(&mut self, path: &EntryPath) -> bool {
        let is_next = self.last.as_ref().is_none_or(|last| last < path);
        if is_next {
            self.last = Some(path.clone());
        }
        is_next
    }

    /// Whether nothing of it came, and nothing is known to be missing.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.new + self.counts.changed + self.counts.unchanged + self.gap_count == 0
    }

    pub(super) fn push(&mut self, entry: &Entry, earlier: Option<&Entry>) -> Result<(), BackupError> {
        match earlier {
            None => self.counts.new += 1,
            Some(earlier) if earlier == entry => self.counts.unchanged += 1,
            Some(_) => self.counts.changed += 1,
        }
        Ok(self.builder.push(entry)?)
    }

    pub(super) fn take_gap(&mut self, gap: Gap, context: &Context<'_>) {
        let mut path = self.resource.path.clone();
        if !gap.path.is_empty() {
            path.extend_from_slice(format!("/{}", gap.path).as_bytes());
        }
        context.progress.report(Event::Missing { path, gap: gap.clone() });
        self.gap_count += 1;
        if self.gaps.len() < Coverage::GAPS_MAX {
            self.gaps.push(gap);
        }
    }

    pub(super) fn finish(
        mut self,
        end: Option<Problem>,
        context: &Context<'_>,
    ) -> Result<(ResourceRecord, Counts), BackupError> {
        let is_empty = self.is_empty();
        let mut failed = None;
        if let Some(problem) = end {
            if is_empty {
                let way_out = if problem.hint.is_empty() { String::new() } else { format!(" ({})", problem.hint) };
                failed = Some(format!("{}: {} {}{way_out}", problem.action, problem.code, problem.reason));
            }
            self.take_gap(problem.at(&[]), context);
        }
        let map = self.builder.finish()?;
        let coverage = match failed {
            Some(reason) => Coverage::Failed { reason },
            None if self.gap_count == 0 => Coverage::Complete,
            None => Coverage::Partial { gaps: self.gaps, count: self.gap_count },
        };
        let record = ResourceRecord {
            source: self.resource.source.to_owned(),
            path: escape_path(&self.resource.path),
            root: map.id,
            totals: map.totals,
            coverage,
            scope: Vec::new(),
            attributes: self.resource.attributes,
        };
        Ok((record, self.counts))
    }
}

/// Whether what is at a path, or all of the resource, is in one of these gaps.
fn is_under(gaps: &[Gap], path: &EntryPath) -> bool {
    if gaps.is_empty() {
        return false;
    }
    let path = escape_path(path.as_bytes());
    gaps.iter().any(|gap| gap.path.is_empty() || gap.path == path)
}

/// The bytes of a document that is stored; `None` where it is too large to be compared, or cannot be read.
pub(super) fn bytes_of(reader: &Reader<'_>, content: &Content) -> Option<Vec<u8>> {
    let mut bytes = match content {
        Content::Inline(bytes) => return Some(bytes.clone()),
        _ => Vec::new(),
    };
    for piece in PieceIter::new(reader, content) {
        match piece.ok()? {
            Piece::Chunk { id, .. } => bytes.extend_from_slice(&reader.chunk(&id).ok()?),
            Piece::Zeros { .. } => return None,
        }
        if bytes.len() > COMPARED_MAX {
            return None;
        }
    }
    Some(bytes)
}
