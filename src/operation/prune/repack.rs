//! Writing anew what is in use of packs that are mostly not: an ordinary session, which ends closed.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crate::id::PackId;
use crate::operation::mark::Marks;
use crate::operation::prune::plan::Plan;
use crate::operation::prune::{PruneError, PruneRequest, with_room};
use crate::progress::{Event, Progress};
use crate::repository::Repository;
use crate::repository::error::RepositoryError;
use crate::repository::index::Index;
use crate::repository::index::segment::Location;
use crate::repository::pack::PackKind;
use crate::repository::reader::Reader;
use crate::repository::session::{ChunkWriter, Mode, Origin, Session};

/// A chunk to be written anew.
type Wanted = ([u8; 32], Location);

/// Copies what is in use of the packs that the plan repacks. Returns those that must stay after all: what could not be read,
/// and what there was no time or room for.
pub(super) fn repack(
    repository: &Arc<Repository>,
    request: &PruneRequest<'_>,
    plan: &Plan,
    index: &Index,
    marks: &Marks,
    progress: &dyn Progress,
) -> Result<HashSet<PackId>, PruneError> {
    let mut left: HashSet<PackId> = plan.repacked().copied().collect();
    if left.is_empty() {
        return Ok(left);
    }
    let begun = Instant::now();
    let mut wanted: BTreeMap<PackId, Vec<Wanted>> = BTreeMap::new();
    for (ordinal, id, location) in index.copies().filter(|(_, _, location)| left.contains(&location.pack)) {
        if marks.contains(ordinal) {
            wanted.entry(location.pack).or_default().push((id, location));
        }
    }
    let mut session = Session::begin(Arc::clone(repository), &request.mark, Mode::Write)?;
    // What stays elsewhere is not copied; what goes with these packs must not be counted on.
    session.set_aside(&plan.condemned.iter().map(|(pack, _)| *pack).collect());
    let mut writers = Writers { data: session.writer(PackKind::Data)?, pages: session.writer(PackKind::Pages)? };
    let mut copied = Vec::new();
    for (pack, mut chunks) in wanted {
        if progress.interrupted() || request.max_time.is_some_and(|limit| begun.elapsed() >= limit) {
            break;
        }
        // In the order in which they lie, so that each frame is opened once.
        chunks.sort_by_key(|(_, location)| (location.frame.number, location.offset));
        match writers.copy(&Reader::new(repository, index), &chunks) {
            Ok(()) => copied.push(pack),
            Err(error) if error.is_loss() => {
                let message = format!("pack {pack} is not repacked: {error}");
                progress.report(Event::Warning { message });
            }
            Err(error) if error.is_full() => return give_up(repository, &session, &error, left, progress),
            Err(error) => return Err(error.into()),
        }
    }
    let Writers { data, pages } = writers;
    let flushed = data.flush().and_then(|()| pages.flush()).and_then(|()| session.close());
    match flushed {
        Ok(()) => {}
        Err(error) if error.is_full() => return give_up(repository, &session, &error, left, progress),
        Err(error) => return Err(error.into()),
    }
    if progress.interrupted() {
        return Err(PruneError::Interrupted);
    }
    for pack in copied {
        left.remove(&pack);
    }
    Ok(left)
}

/// Ends a session for which there is no room, so that nobody waits for it, this prune least of all; all packs stay.
fn give_up(
    repository: &Repository,
    session: &Session,
    error: &RepositoryError,
    left: HashSet<PackId>,
    progress: &dyn Progress,
) -> Result<HashSet<PackId>, PruneError> {
    progress.report(Event::Warning { message: format!("nothing is repacked: {error}") });
    with_room(repository, || Ok(repository.revoke(session.id())?))?;
    Ok(left)
}

struct Writers<'w> {
    data: ChunkWriter<'w>,
    pages: ChunkWriter<'w>,
}

impl Writers<'_> {
    fn copy(&mut self, reader: &Reader<'_>, chunks: &[Wanted]) -> Result<(), RepositoryError> {
        for (id, location) in chunks {
            let kind = location.header.kind;
            let bytes = reader.stored(kind, id)?;
            let writer = if kind == PackKind::Data { &mut self.data } else { &mut self.pages };
            let _id = writer.store(&bytes, Origin::Small)?;
        }
        Ok(())
    }
}
