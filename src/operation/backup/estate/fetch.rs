//! Fetching one thing: what a source opens becomes parts that a thread which stores takes when their turn comes.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::entry::Metadata;
use crate::source::estate::{Problem, Remote};

/// What a fetch sends.
pub(super) enum Part {
    /// Its metadata where that is known better now, and what could not be had beside the bytes.
    Opened(Option<Metadata>, Vec<Problem>),
    Bytes(Bytes),
    End,
    Problem(Problem),
    /// What came is of no use: it became another meanwhile, and all of it comes again.
    Anew,
}

/// Sends what is fetched, until its end or until nobody takes it.
pub(super) async fn fetch(mut remote: Box<dyn Remote>, parts: mpsc::Sender<Part>) {
    let mut part = open(&mut remote).await;
    loop {
        let is_last = matches!(part, Part::End | Part::Problem(_));
        let is_anew = matches!(part, Part::Anew);
        if parts.send(part).await.is_err() || is_last {
            return;
        }
        part = if is_anew { open(&mut remote).await } else { next(&mut remote).await };
    }
}

async fn open(remote: &mut Box<dyn Remote>) -> Part {
    match remote.open().await {
        Ok(metadata) => Part::Opened(metadata, remote.missing()),
        Err(problem) => Part::Problem(problem),
    }
}

/// The next part that is not empty, as an empty one would be taken for the end.
async fn next(remote: &mut Box<dyn Remote>) -> Part {
    loop {
        match remote.next().await {
            Ok(Some(bytes)) if bytes.is_empty() => {}
            Ok(Some(bytes)) => return Part::Bytes(bytes),
            Ok(None) => return Part::End,
            Err(_) if remote.begin_anew() => return Part::Anew,
            Err(problem) => return Part::Problem(problem),
        }
    }
}
