//! What every command is given: stdout, the configuration, the environment, signals, colours and the watch.
//!
//! A command parses its arguments, takes what it needs from here, calls one operation and prints.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::cli::arguments::{Globals, Talk};
use crate::cli::color::{Palette, Stream, When};
use crate::cli::config::Settings;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{KeyPresence, Location, Plan, Presence, RepositoryPresence, WhenAbsent};
use crate::cli::output::{Form, Output};
use crate::cli::secret::{EmptyPassword, Secret, SecretSource};
use crate::cli::signal::Signals;
use crate::cli::store::Stores;
use crate::cli::text;
use crate::cli::watch::{Counts, Face, Items, Watch, say};
use crate::id::SnapshotId;
use crate::operation::reference::{Reference, Scope, Snapshots};
use crate::resource::SnapshotRecord;

/// What every command is given.
pub struct Context {
    /// Stdout.
    pub output: Arc<Output>,
    /// The configuration in force.
    pub settings: Settings,
    /// Variables, folders, the host.
    pub environment: Environment,
    /// Colours of stdout.
    pub palette: Palette,
    /// The stores it reaches.
    pub stores: Stores,
    signals: Signals,
    globals: Globals,
}

/// A repository and what opens it.
#[derive(Debug)]
pub struct Access {
    /// Where it is.
    pub location: Location,
    /// What is to be done first.
    pub plan: Plan,
    /// What opens it; absent where a key is to be drawn for it.
    pub secret: Option<Secret>,
}

impl Context {
    /// All of it, for one run.
    pub fn new(output: Arc<Output>, settings: Settings, environment: Environment, globals: Globals) -> Self {
        let when = match settings.text("color") {
            Some("always") => When::Always,
            Some("never") => When::Never,
            _ => When::Auto,
        };
        let stream = if output.is_terminal() { Stream::Terminal } else { Stream::Other };
        let palette = Palette::choose(when, &environment, stream);
        let (stores, signals) = (Stores::default(), Signals::default());
        Self { output, settings, environment, palette, stores, signals, globals }
    }

    /// Begins a long operation: takes signals over, says hello in JSON and shows progress until [`Context::end`].
    pub fn begin(&self, command: &str, items: Items) -> Result<Watch, Failure> {
        self.begin_with(command, items, self.face())
    }

    /// Begins what lasts until somebody ends it: without progress, for there is no end to come nearer to.
    pub fn begin_lasting(&self, command: &str) -> Result<Watch, Failure> {
        self.begin_with(command, Items::Counted, Face::Hidden)
    }

    fn begin_with(&self, command: &str, items: Items, face: Face) -> Result<Watch, Failure> {
        self.signals
            .take_over()
            .map_err(|error| Failure::of(ExitStatus::Failed, &error).while_doing("cannot watch for signals"))?;
        self.output.hello(command)?;
        let items = if self.globals.talk() == Talk::Verbose { Items::Shown } else { items };
        Ok(Watch::begin(Arc::clone(&self.output), self.signals.clone(), face, items))
    }

    /// Ends a long operation: the status is that of the signal if one came, else incomplete where things failed.
    pub fn end(&self, watch: Watch) -> (ExitStatus, Counts) {
        let stop = watch.stop_requested();
        let counts = watch.end();
        let finished = if counts.failures > 0 { ExitStatus::Incomplete } else { ExitStatus::Done };
        (stop.unwrap_or(finished), counts)
    }

    fn face(&self) -> Face {
        match (self.output.form(), Stream::of(&std::io::stderr())) {
            _ if self.globals.hides_progress() => Face::Hidden,
            (Form::Json, _) => Face::Json,
            (Form::Human, Stream::Terminal) => Face::Block,
            (Form::Human, Stream::Other) => Face::Lines,
        }
    }

    /// Where the repository is that is meant.
    pub fn location(&self) -> Result<Location, Failure> {
        Ok(Location::choose(&self.settings, &self.environment)?)
    }

    /// A snapshot as an argument names it.
    pub fn reference(&self, text: &OsStr) -> Result<Reference, Failure> {
        Ok(Reference::parse(text.as_bytes())?)
    }

    /// The snapshot that a reference means; what was chosen where it left a choice is told.
    pub fn resolve(
        &self,
        snapshots: &[(SnapshotId, &SnapshotRecord)],
        reference: &Reference,
    ) -> Result<SnapshotId, Failure> {
        let found = Snapshots::new(snapshots, &self.scope(), &TimeZone::system()).resolve(reference)?;
        if let Some(notice) = found.notice {
            self.remark(&notice.to_string());
        }
        Ok(found.id)
    }

    /// Whether a repository is at a place.
    pub fn presence(&self, location: &Location) -> Result<Presence, Failure> {
        self.stores.presence(location, &self.settings)
    }

    /// The repository that is meant, what is to be done first, and what opens it.
    pub fn access(&self, when_absent: WhenAbsent) -> Result<Access, Failure> {
        let location = self.location()?;
        let source = self.secret_source(&location);
        let key = match source {
            SecretSource::KeyFile(_) => location.key_presence(),
            _ => Presence::There,
        };
        let presence = match (&location, when_absent) {
            // Opening it says so as well, and a question across a network costs time.
            (Location::S3(_), WhenAbsent::Refuse | WhenAbsent::CreateDefault) => Presence::There,
            _ => self.presence(&location)?,
        };
        let plan = location.plan(RepositoryPresence(presence), KeyPresence(key), when_absent)?;
        let secret = match plan {
            Plan::Open => Some(source.read(&self.environment, self.globals.empty_password())?),
            Plan::Create => Some(source.read_new(&self.environment, self.globals.empty_password())?),
            Plan::CreateWithKey => None,
        };
        Ok(Access { location, plan, secret })
    }

    /// Where the secret of this repository comes from: what the user gave, else the default's own key, else a question.
    pub fn secret_source(&self, location: &Location) -> SecretSource {
        match (SecretSource::choose(&self.settings, &self.environment, self.globals.empty_password()), location) {
            (SecretSource::Prompt, Location::Embedded { key_file, .. }) => SecretSource::KeyFile(key_file.clone()),
            (given, _) => given,
        }
    }

    /// Whether `--insecure-no-password` was given.
    pub fn empty_password(&self) -> EmptyPassword {
        self.globals.empty_password()
    }

    /// Where to keep what can be had again.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        self.settings.path("cache-dir").map(PathBuf::from).or_else(|| self.environment.cache_folder())
    }

    /// The name of this machine in snapshots.
    pub fn host(&self) -> &str {
        self.settings.text("host").unwrap_or(&self.environment.host)
    }

    /// Which snapshots a reference without a series means.
    pub fn scope(&self) -> Scope {
        match self.settings.text("series") {
            Some(series) => Scope::Series(series.to_owned()),
            None => Scope::Host(self.host().to_owned()),
        }
    }

    /// Tells the user something on stderr, unless `--quiet`. Never on stdout: a query answers with one document.
    pub fn remark(&self, message: &str) {
        if self.globals.talk() != Talk::Quiet {
            say(&format!("snap: {}", text::harmless(message)));
        }
    }

    /// How much the user wants to hear.
    pub fn talk(&self) -> Talk {
        self.globals.talk()
    }
}
