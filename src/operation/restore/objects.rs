//! The list of a bucket's objects once more, where some of them could not go where it says.
//!
//! Only the file system tells that it takes two names for one, when the list may be written already.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::PoisonError;

use crate::entry::Entry;
use crate::operation::restore::select::{Part, split};
use crate::operation::restore::{Context, RestoreError};
use crate::operation::target::Target;
use crate::operation::target::error::TargetError;
use crate::operation::target::escape::Last;
use crate::operation::view::objects::{Respelled, lines, path_of_list};
use crate::tree::cursor;

/// Bytes of lines that are written at once.
const WRITE_SIZE: usize = 256 * 1024;

/// Writes the lists of those buckets anew of which objects went elsewhere.
pub(super) fn rewrite(context: &Context<'_>, target: &Target) -> Result<(), RestoreError> {
    let respelled = context.respelled.lock().unwrap_or_else(PoisonError::into_inner);
    let parts: BTreeSet<usize> = respelled.keys().map(|(part, _)| *part).collect();
    for number in parts {
        let bucket = &context.selection.parts[number];
        let path = path_of_list(&bucket.layout);
        let list = context.selection.parts.iter().find(|part| Some(&part.layout) == path.as_ref());
        let Some(list) = list.filter(|list| context.selection.selects(list, b"")) else { continue };
        let Some(entry) = cursor::find(context.reader, list.resource.root, b"")? else { continue };
        let folder = [bucket.place_of_resource(), b"/"].concat();
        let elsewhere = |key: &[u8]| {
            let place = respelled.get(&(number, key.to_vec()))?;
            Some(place.strip_prefix(folder.as_slice()).unwrap_or(place).to_vec())
        };
        match write(context, target, (bucket, list, &entry), &elsewhere) {
            Err(RestoreError::Target(error)) if !error.ends_the_run() => context.refused(list.layout.clone(), error),
            outcome => outcome?,
        }
    }
    Ok(())
}

fn write(
    context: &Context<'_>,
    target: &Target,
    (bucket, list, entry): (&Part<'_>, &Part<'_>, &Entry),
    elsewhere: &Respelled<'_>,
) -> Result<(), RestoreError> {
    let place = list.place(entry, Last::AsItIs);
    let (folder, name) = split(&place);
    let directory = target.directory(folder)?;
    let file = target.create_file(&directory, name, &entry.metadata)?;
    let (mut waiting, mut at) = (Vec::new(), 0);
    let mut write = |waiting: &mut Vec<u8>| {
        let outcome = file.write_at(waiting, at);
        at += waiting.len() as u64;
        waiting.clear();
        outcome
    };
    let mut failure: Option<TargetError> = None;
    lines(context.reader, bucket.resource.root, b"", elsewhere, |_, line| {
        waiting.extend_from_slice(line);
        if waiting.len() >= WRITE_SIZE {
            failure = write(&mut waiting).err();
        }
        if failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failure.or_else(|| write(&mut waiting).err()) {
        return Err(error.into());
    }
    file.finish(&entry.metadata, &[])?;
    Ok(())
}
