//! `snap diff`: shows what changed between two snapshots.
//!
//! Whatever is equal is skipped unread; what is shown of a change is the operation's business.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::cli::change::{self, ChangeCounts};
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::lines::Listing;
use crate::cli::output::Form;
use crate::cli::pager::Pager;
use crate::cli::text;
use crate::cli::view::View;
use crate::operation::cat::CatError;
use crate::operation::diff::patch::{Patch, patch};
use crate::operation::diff::{Change, DiffRequest, Field, Silence, Told, diff};
use crate::operation::list::Listed;
use crate::operation::part::trim;
use crate::operation::view::{Extent, Views};
use crate::repository::reader::Reader;

/// Shows what changed between two snapshots
///
/// `+` added, `~` changed, `-` removed, `?` not captured in one of them (which is not removed). Access times and other
/// fields that change by themselves stay out unless --all. On a terminal it goes through $PAGER.
///
/// Examples:
///   snap diff latest~1 latest
///   snap diff @2026-11-01 latest -- local/home/me/site
///   snap diff latest~1 latest --patch
///   snap diff --exit-code tag:prod latest && echo the same
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 4 differences found (with --exit-code) · 10 no repository · 12 wrong password ·
///   13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The earlier snapshot
    #[arg(value_name = "A")]
    pub earlier: OsString,
    /// The later snapshot
    #[arg(value_name = "B", default_value = "latest")]
    pub later: OsString,
    /// Only what is at or under these paths
    #[arg(last = true, value_name = "PATH")]
    pub paths: Vec<OsString>,
    /// Only counts, by resource
    #[arg(long, group = "shape")]
    pub stat: bool,
    /// Only a letter (A, M, D) and the path
    #[arg(long, group = "shape")]
    pub name_status: bool,
    /// Changed lines of text files
    #[arg(short, long, group = "shape")]
    pub patch: bool,
    /// Times and other metadata that changes by itself too
    #[arg(long)]
    pub all: bool,
    /// Exit with 4 if anything differs
    #[arg(long)]
    pub exit_code: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let references = [context.reference(&arguments.earlier)?, context.reference(&arguments.later)?];
    let view = View::open(context)?;
    let [old, new] = [view.resolve(context, &references[0])?, view.resolve(context, &references[1])?];
    let mut paths: Vec<Vec<u8>> = arguments.paths.iter().map(|path| trim(path.as_bytes()).to_vec()).collect();
    paths.extend(references.iter().filter_map(|reference| reference.path.clone()).map(|path| trim(&path).to_vec()));
    let silence = if arguments.all { Silence::None } else { Silence::Usual };
    let reader = view.reader();
    let views = Views::over(&reader, Extent::Members)?;
    let records = [views.record(&old.record), views.record(&new.record)];
    let request = DiffRequest { old: &records[0], new: &records[1], paths: &paths, silence };
    let pager = Pager::begin(&context.output, &context.environment);
    let mut show = Show {
        context,
        reader: &reader,
        shape: arguments.shape(),
        listing: Listing::begin(context, "changes")?,
        folder: Vec::new(),
        counts: ChangeCounts::default(),
        waiting: Vec::new(),
        summary: Summary::AheadOfChanges,
        resources: Vec::new(),
        total: 0,
    };
    let shown = diff(&reader, &request, |told| show.take(told));
    let ended = shown.and_then(|()| show.end(&json!({ "old": old.id, "new": new.id })));
    pager.end(&context.output);
    let (status, total) = ended?;
    if total == 0 && context.output.form() == Form::Human {
        context.remark("no differences");
    }
    Ok(if arguments.exit_code && total > 0 && status == ExitStatus::Done { ExitStatus::Differences } else { status })
}

impl Args {
    fn shape(&self) -> Shape {
        match (self.stat, self.name_status, self.patch) {
            (true, _, _) => Shape::Stat,
            (_, true, _) => Shape::NameStatus,
            (_, _, true) => Shape::Patch,
            _ => Shape::Lines,
        }
    }
}

/// How a diff is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A summary of each resource, and a line for each change.
    Lines,
    /// That, and the changed lines of text.
    Patch,
    /// Only the summaries.
    Stat,
    /// Only letters and paths.
    NameStatus,
}

/// Where the summary of a resource goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Summary {
    AheadOfChanges,
    /// There were too many changes to hold them back.
    AfterChanges,
}

/// Bytes of changes held back until the summary of their resource is known.
const WAITING_MAX: usize = 16 << 20;

/// Shows a diff as it is told.
struct Show<'s, 'r> {
    context: &'s Context,
    reader: &'s Reader<'r>,
    shape: Shape,
    listing: Listing<'s>,
    folder: Vec<u8>,
    counts: ChangeCounts,
    waiting: Vec<u8>,
    summary: Summary,
    resources: Vec<Value>,
    total: u64,
}

impl Show<'_, '_> {
    fn take(&mut self, told: Told<'_>) -> Result<(), Failure> {
        match told {
            Told::Resource(folder) => {
                self.folder = folder.to_vec();
                self.counts = ChangeCounts::default();
                self.summary = Summary::AheadOfChanges;
                Ok(())
            }
            Told::Change(change) => self.change(change),
            Told::Hole(error) => {
                self.listing.hole(&error);
                Ok(())
            }
            Told::End => self.end_resource(),
        }
    }

    fn change(&mut self, change: &Change) -> Result<(), Failure> {
        self.counts.count(change);
        let patch = if self.shape == Shape::Patch { self.patch(change) } else { None };
        if self.context.output.form() == Form::Json {
            let bytes = change::json_bytes(&self.folder, change, patch.as_ref());
            return self.listing.take(&Listed::Bytes(&bytes));
        }
        let line = match self.shape {
            Shape::Stat => return Ok(()),
            Shape::NameStatus => change::name_status(&self.folder, change),
            Shape::Lines | Shape::Patch => change::line(&self.folder, change, self.context.palette),
        };
        self.waiting.extend_from_slice(line.as_bytes());
        self.waiting.push(b'\n');
        match patch {
            Some(Patch::Text(lines)) => self.lines(&lines),
            Some(Patch::Binary) => self.waiting.extend_from_slice(b"    not text\n"),
            Some(Patch::TooLong) => self.waiting.extend_from_slice(b"    too long to compare by line\n"),
            None => {}
        }
        if self.waiting.len() > WAITING_MAX {
            self.summary = Summary::AfterChanges;
            self.flush()?;
        }
        Ok(())
    }

    /// The changed lines, where content changed.
    fn patch(&mut self, change: &Change) -> Option<Patch> {
        let (old, new) = match change {
            Change::Added(entry) => (None, Some(entry)),
            Change::Removed(entry) => (Some(entry), None),
            Change::Changed { old, new, fields } if fields.contains(&Field::Content) => (Some(old), Some(new)),
            Change::Changed { .. } | Change::NotCaptured { .. } => return None,
        };
        if [old, new].into_iter().flatten().all(|entry| entry.content.size() == 0) {
            return None;
        }
        match patch(self.reader, &change::path_of(&self.folder, change), old, new) {
            Ok(patch) => Some(patch),
            Err(CatError::Withheld { .. }) => None,
            Err(error) => {
                self.listing.hole(&error);
                None
            }
        }
    }

    /// Lines of a patch: coloured by their first character, and on a terminal without what it would obey.
    fn lines(&mut self, lines: &[u8]) {
        let palette = self.context.palette;
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let shown = if self.context.output.is_terminal() {
                let parts: Vec<String> = line.split(|byte| *byte == b'\t').map(text::printable_line).collect();
                parts.join("\t")
            } else {
                String::from_utf8_lossy(line).into_owned()
            };
            let painted = match line.first() {
                Some(b'+') => palette.good(shown),
                Some(b'-') => palette.bad(shown),
                Some(b'@') => palette.faint(shown),
                _ => shown,
            };
            self.waiting.extend_from_slice(painted.as_bytes());
            self.waiting.push(b'\n');
        }
    }

    fn end_resource(&mut self) -> Result<(), Failure> {
        if self.counts.total() == 0 {
            return Ok(());
        }
        self.resources.push(self.counts.json(&self.folder));
        let is_first = self.total == 0;
        self.total += self.counts.total();
        if self.shape == Shape::NameStatus || self.context.output.form() == Form::Json {
            return self.flush();
        }
        let folder = text::printable(&self.folder);
        let summary = format!("{}  {}", self.context.palette.strong(folder), self.counts.words());
        if self.summary == Summary::AfterChanges {
            self.flush()?;
            return self.context.output.line(&summary);
        }
        if !is_first && self.shape != Shape::Stat {
            self.context.output.line("")?;
        }
        self.context.output.line(&summary)?;
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let result = self.context.output.raw(&self.waiting);
        self.waiting.clear();
        result
    }

    /// Ends the document; the status, and how many differences there are.
    fn end(self, snapshots: &Value) -> Result<(ExitStatus, u64), Failure> {
        let (old, new) = (&snapshots["old"], &snapshots["new"]);
        let members = format!(
            ",\"resources\":{},\"old\":{old},\"new\":{new},\"differences\":{}",
            json!(self.resources),
            self.total
        );
        Ok((self.listing.end_with(&members)?, self.total))
    }
}
