//! `backup --dry-run` and `config init --aws`: what the sources of an estate would capture, without capturing it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::progress::Progress;
use crate::resource::{Asked, Resource};
use crate::source::estate::{Discovery, Problem, Source, discovered};

/// How soon a wish to stop is noticed.
const WATCHED_EVERY: Duration = Duration::from_millis(100);

/// What a source would capture.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// Its name.
    pub source: &'static str,
    /// What was asked of whom; nothing where it could not say.
    pub asked: Option<Asked>,
    /// What there is, less what is left out.
    pub resources: Vec<Resource>,
    /// Folders of which nobody knows what they would hold, and why.
    pub unknown: Vec<(String, Problem)>,
}

/// Asks every source what there is, all at once; `None` if the user wanted no more. Nothing is opened, nothing stored.
pub fn survey(sources: &[Arc<dyn Source>], progress: &dyn Progress) -> io::Result<Option<Vec<Surveyed>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answered = runtime.block_on(async {
        let asked: Vec<_> = sources.iter().map(|source| tokio::spawn(ask(Arc::clone(source)))).collect();
        while !asked.iter().all(tokio::task::JoinHandle::is_finished) {
            if progress.interrupted() {
                return None;
            }
            tokio::time::sleep(WATCHED_EVERY).await;
        }
        let mut all = Vec::new();
        for answer in asked {
            all.extend(answer.await);
        }
        Some(all)
    });
    runtime.shutdown_background();
    Ok(answered)
}

async fn ask(source: Arc<dyn Source>) -> Surveyed {
    let (Discovery { mut resources, unknown }, asked) = discovered(source.as_ref()).await;
    resources.sort_by(|one, other| one.path.cmp(&other.path));
    Surveyed { source: source.name(), asked, resources, unknown }
}
