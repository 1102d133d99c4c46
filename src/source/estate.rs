//! What the sources of an estate have in common: one trait, and how what they find reaches whoever stores it.
//!
//! A source lists and opens. It does no cutting, comparing, storing or printing; what it cannot have is a [`Problem`], which
//! stops nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use crate::resource::{Asked, Gap, Resource, escape_path};
use crate::source::filter::Filter;

/// One kind of thing in the estate.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name, as records and options have it (`lambda`).
    fn name(&self) -> &'static str;

    /// Its folders in the layout (`lambda-functions`).
    fn folders(&self) -> Vec<String>;

    /// What exists now. Lists; opens nothing. An error leaves all its folders unknown.
    async fn discover(&self) -> Result<Discovery, Problem>;

    /// Sends every entry of one resource, in path order. An error loses the rest of the resource and nothing else.
    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped>;

    /// Whether a resource may be too large to be gathered before it is stored.
    fn is_large(&self, _resource: &Resource) -> bool {
        false
    }

    /// What is worth telling once all of it was captured; nothing of it was lost.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// How many resources are captured at once.
    fn at_once(&self) -> usize {
        8
    }

    /// What of it is left out.
    fn filter(&self) -> Option<Arc<Filter>> {
        None
    }

    /// What was asked of whom, once it has discovered.
    fn asked(&self) -> Asked {
        Asked { source: self.name().to_owned(), ..Asked::default() }
    }

    /// What identifies a folder of which nothing is known: account and region, where it belongs to such.
    fn attributes(&self, _folder: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// What a source found, and what it could not look at.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// Resources, in any order.
    pub resources: Vec<Resource>,
    /// Folders of the layout of which nobody knows what they would hold, and why.
    pub unknown: Vec<(String, Problem)>,
}

impl Discovery {
    /// Nothing is known of these folders.
    pub fn unknown(folders: Vec<String>, problem: &Problem) -> Self {
        let unknown = folders.into_iter().map(|folder| (folder, problem.clone())).collect();
        Self { resources: Vec::new(), unknown }
    }
}

/// What a source would capture: all that it discovers less what is left out. Also what was asked of whom; nothing where it
/// could not say what there is, and then nothing is known of its folders.
pub async fn discovered(source: &dyn Source) -> (Discovery, Option<Asked>) {
    let discovered = source.discover().await;
    let asked = discovered.is_ok().then(|| source.asked());
    let mut discovery = discovered.unwrap_or_else(|problem| Discovery::unknown(source.folders(), &problem));
    if let Some(filter) = source.filter() {
        discovery.resources.retain(|resource| !filter.leaves_out(&resource.path));
    }
    (discovery, asked)
}

/// Something that could not be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// What was attempted (`lambda:GetPolicy`).
    pub action: String,
    /// The service's own word (`AccessDeniedException`).
    pub code: String,
    /// What it said.
    pub reason: String,
    /// The way out, where there is one.
    pub hint: String,
}

impl Problem {
    /// As a gap at a path of a resource.
    pub fn at(self, path: &[u8]) -> Gap {
        let Self { action, code, reason, hint } = self;
        Gap { path: escape_path(path), action, reason, code, hint }
    }
}

/// Why a capture ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The rest of the resource cannot be had.
    Problem(Problem),
    /// It was deleted since it was listed, as the service says with this. Where nothing of it came, there is nothing of it.
    Gone(Problem),
    /// Nobody takes entries any more: the backup was interrupted or failed.
    Unwanted,
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What a source says of one thing before it is opened.
pub struct Found {
    /// The entry, its content still empty.
    pub entry: Entry,
    /// Its bytes.
    pub body: Body,
}

/// The bytes of something that was found.
pub enum Body {
    /// There are none.
    None,
    /// Here they are.
    Bytes(Bytes),
    /// They are fetched if the entry's token is not that of the snapshot before.
    Remote(Box<dyn Remote>),
}

/// Bytes that are fetched when they are wanted.
#[async_trait]
pub trait Remote: Send {
    /// How many there are, where that is known; a guess does no harm.
    fn size(&self) -> Option<u64>;
    /// Opens it; what is known better of the entry's metadata now.
    async fn open(&mut self) -> Result<Option<Metadata>, Problem>;
    /// What could not be had beside its bytes (tags, an access list), once it is open. Then it is fetched again next time.
    fn missing(&mut self) -> Vec<Problem> {
        Vec::new()
    }
    /// The next bytes; `None` at the end, which is only said where all of them came.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem>;
    /// After a problem: whether it may be opened once more, since it became another while its bytes came.
    fn begin_anew(&mut self) -> bool {
        false
    }
}

/// What goes through a sink.
pub enum Sent {
    /// Something was found.
    Found(Box<Found>),
    /// Something cannot be had.
    Gap(Gap),
    /// What identifies the resource.
    Attribute(&'static str, String),
    /// That was all, or all that can be had.
    End(Option<Problem>),
    /// It was deleted meanwhile.
    Gone(Problem),
}

/// Where the entries of one resource go.
#[derive(Clone, Debug)]
pub struct EntrySink {
    sender: mpsc::Sender<Sent>,
    /// What is left out, and the folder of the resource with its `/`.
    filter: Option<(Arc<Filter>, Vec<u8>)>,
}

impl EntrySink {
    /// A sink and its other end, with room for so much that waits.
    pub fn new(room: usize) -> (Self, mpsc::Receiver<Sent>) {
        let (sender, receiver) = mpsc::channel(room);
        (Self { sender, filter: None }, receiver)
    }

    /// The same without what a filter leaves out of the resource.
    #[must_use]
    pub fn with_filter(mut self, filter: Option<Arc<Filter>>, resource: &Resource) -> Self {
        self.filter = filter.map(|filter| (filter, [&resource.path[..], b"/"].concat()));
        self
    }

    /// Sends anything.
    pub async fn send(&self, sent: Sent) -> Result<(), Stopped> {
        self.sender.send(sent).await.map_err(|_| Stopped::Unwanted)
    }

    /// Sends a document at a path of the resource; JSON as people read it, its keys sorted.
    pub async fn document(&self, path: &str, value: &serde_json::Value) -> Result<(), Stopped> {
        let mut text = serde_json::to_vec_pretty(value).expect("because it is plain data");
        text.push(b'\n');
        self.bytes(path, text.into()).await
    }

    /// Sends bytes that are there already.
    pub async fn bytes(&self, path: &str, bytes: Bytes) -> Result<(), Stopped> {
        let entry = Entry {
            path: EntryPath(path.as_bytes().to_vec()),
            kind: EntryKind::Document,
            metadata: Metadata::None,
            token: None,
            content: Content::Empty,
        };
        self.found(entry, Body::Bytes(bytes)).await
    }

    /// Sends what was found.
    pub async fn found(&self, entry: Entry, body: Body) -> Result<(), Stopped> {
        if let Some((filter, folder)) = &self.filter
            && !entry.path.as_bytes().is_empty()
            && filter.leaves_out(&[folder, entry.path.as_bytes()].concat())
        {
            return Ok(());
        }
        self.send(Sent::Found(Box::new(Found { entry, body }))).await
    }

    /// Says what cannot be had.
    pub async fn gap(&self, path: &str, problem: Problem) -> Result<(), Stopped> {
        self.send(Sent::Gap(problem.at(path.as_bytes()))).await
    }

    /// Says what identifies the resource, where that is known only now.
    pub async fn attribute(&self, name: &'static str, value: String) -> Result<(), Stopped> {
        self.send(Sent::Attribute(name, value)).await
    }
}

/// A resource at a path of the layout with what identifies it.
pub fn resource<const N: usize>(source: &'static str, path: String, attributes: [(&str, &str); N]) -> Resource {
    let attributes: BTreeMap<String, String> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Resource { source, path: path.into_bytes(), attributes }
}
