//! The command line: options that every command has, and the list of commands.
//!
//! What a command itself takes stands in its own file. Options that a configuration may set too become flags of its
//! uppermost layer here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Parser, Subcommand};

use crate::cli::color::When;
#[cfg(all(feature = "mount", target_os = "linux"))]
use crate::cli::command::mount;
use crate::cli::command::{
    aws, backup, cat, check, completions, config, copy, diff, find, forget, init, key, log, ls, man, prune, repair,
    repository, restore, snapshots, stats, tag, undo,
};
use crate::cli::config::Flag;
use crate::cli::config::schema::Key;
use crate::cli::config::value::{Place, Value};
use crate::cli::environment::Environment;
use crate::cli::secret::EmptyPassword;

/// Photographs folders into an encrypted, deduplicating repository, shows what changed, and puts it back
///
/// A first backup needs nothing but a path: it goes to a repository in your data folder, under a key in your
/// configuration folder.
///
/// Examples:
///   snap backup ~/site             capture a folder
///   snap snapshots                 what there is
///   snap diff latest~1 latest      what changed
///   snap restore latest --target out
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 3 finished but incomplete · 4 differences found (with --exit-code)
///   10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable or refused
///   20 check: damaged but recoverable · 21 check: lost · 130, 143 interrupted, what was done is kept
#[derive(Debug, Parser)]
#[command(name = "snap", version, verbatim_doc_comment, arg_required_else_help = true, disable_help_subcommand = false)]
#[command(infer_long_args = false, max_term_width = 120)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Backup(Box<backup::Args>),
    Restore(Box<restore::Args>),
    Snapshots(snapshots::Args),
    Ls(ls::Args),
    Cat(cat::Args),
    Find(find::Args),
    Diff(diff::Args),
    Log(log::Args),
    #[cfg(all(feature = "mount", target_os = "linux"))]
    Mount(mount::Args),
    Forget(Box<forget::Args>),
    Undo(undo::Args),
    Check(check::Args),
    Repair(repair::Args),
    Copy(Box<copy::Args>),
    Stats(stats::Args),
    Key(key::Args),
    Prune(prune::Args),
    Tag(tag::Args),
    Repository(repository::Args),
    Aws(aws::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Repository: a folder, or s3://BUCKET/PREFIX (`snap help init` has more) [env: SNAP_REPOSITORY]
    #[arg(short, long, global = true, value_name = "PLACE")]
    repo: Option<OsString>,
    /// Profile of the configuration to use [env: SNAP_PROFILE]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Write nothing but JSON to standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Name every item
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Show no progress
    #[arg(long, global = true)]
    no_progress: bool,
    /// When to colour [env: SNAP_COLOR, NO_COLOR]
    #[arg(long, global = true, value_enum, value_name = "WHEN", hide_possible_values = false)]
    color: Option<When>,
    /// File that holds the password [env: SNAP_PASSWORD_FILE]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    password_file: Option<PathBuf>,
    /// Command that prints the password, run without a shell [env: SNAP_PASSWORD_COMMAND]
    #[arg(long, global = true, value_name = "COMMAND", group = "secret")]
    password_command: Option<String>,
    /// File that holds a key instead of a password [env: SNAP_KEY_FILE]
    #[arg(long, global = true, value_name = "FILE", group = "secret")]
    key_file: Option<PathBuf>,
    /// Take an empty password
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    insecure_no_password: bool,
    /// Folder for what can be had again from the repository [env: SNAP_CACHE_DIR]
    #[arg(long, global = true, value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
}

/// How much the user wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Only what went wrong.
    Quiet,
    /// Progress and the summary.
    Normal,
    /// Every item too.
    Verbose,
}

impl Globals {
    /// How much the user wants to hear.
    pub fn talk(&self) -> Talk {
        match (self.quiet, self.verbose) {
            (true, _) => Talk::Quiet,
            (false, true) => Talk::Verbose,
            (false, false) => Talk::Normal,
        }
    }

    /// Whether progress stays hidden.
    pub fn hides_progress(&self) -> bool {
        self.quiet || self.no_progress
    }

    /// Whether an empty password is taken.
    pub fn empty_password(&self) -> EmptyPassword {
        if self.insecure_no_password { EmptyPassword::Allowed } else { EmptyPassword::Refused }
    }

    /// What these options set in the configuration.
    ///
    /// # Errors
    /// The flag whose value is not of its kind.
    pub fn flags(&self, environment: &Environment) -> Result<Vec<Flag>, &'static str> {
        let mut flags = Flags::new(environment);
        flags.location("repository", "--repo", self.repo.as_ref());
        flags.path("password-file", "--password-file", self.password_file.as_deref());
        flags.text("password-command", "--password-command", self.password_command.as_deref())?;
        flags.path("key-file", "--key-file", self.key_file.as_deref());
        flags.path("cache-dir", "--cache-dir", self.cache_dir.as_deref());
        let color = self.color.map(|when| match when {
            When::Auto => "auto",
            When::Always => "always",
            When::Never => "never",
        });
        flags.text("color", "--color", color)?;
        Ok(flags.flags)
    }
}

impl Command {
    /// What the command's own options set in the configuration.
    pub(crate) fn flags(&self, environment: &Environment) -> Result<Vec<Flag>, &'static str> {
        match self {
            Self::Backup(arguments) => arguments.flags(environment),
            Self::Forget(arguments) => arguments.flags(environment),
            _ => Ok(Vec::new()),
        }
    }
}

/// Collects options as flags of the configuration.
#[derive(Debug)]
pub struct Flags<'a> {
    environment: &'a Environment,
    /// Those that were given.
    pub flags: Vec<Flag>,
}

impl<'a> Flags<'a> {
    /// None yet.
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, flags: Vec::new() }
    }

    /// A path or an address.
    pub fn location(&mut self, key: &'static str, flag: &'static str, value: Option<&OsString>) {
        let Some(value) = value else { return };
        match value.to_str().filter(|text| text.contains("://")) {
            Some(address) => self.push(key, flag, Value::Text(address.to_owned())),
            None => self.path(key, flag, Some(Path::new(value))),
        }
    }

    /// A path. `~` was the shell's to expand.
    pub fn path(&mut self, key: &'static str, flag: &'static str, path: Option<&Path>) {
        if let Some(path) = path {
            self.push(key, flag, Value::Path(self.environment.current_folder.join(path)));
        }
    }

    /// A list of paths; an empty one sets nothing.
    pub fn paths(&mut self, key: &'static str, flag: &'static str, paths: &[PathBuf]) {
        if !paths.is_empty() {
            let absolute = paths.iter().map(|path| self.environment.current_folder.join(path)).collect();
            self.push(key, flag, Value::Paths(absolute));
        }
    }

    /// A list of texts; an empty one sets nothing.
    pub fn texts(&mut self, key: &'static str, flag: &'static str, texts: &[String]) {
        if !texts.is_empty() {
            self.push(key, flag, Value::Texts(texts.to_vec()));
        }
    }

    /// A switch that was given.
    pub fn switch(&mut self, key: &'static str, flag: &'static str, switch: Option<Switch>) {
        if let Some(switch) = switch {
            self.push(key, flag, Value::Switch(switch == Switch::On));
        }
    }

    /// A count.
    pub fn count(&mut self, key: &'static str, flag: &'static str, count: Option<u32>) {
        if let Some(count) = count {
            self.push(key, flag, Value::Count(count));
        }
    }

    /// Any text that means a value of the key's kind; the flag itself is the error where it does not.
    pub fn text(&mut self, key: &'static str, flag: &'static str, text: Option<&str>) -> Result<(), &'static str> {
        let Some(text) = text else { return Ok(()) };
        let kind = Key::named(key).expect("because flags set keys of the schema").kind;
        let place = Place { environment: self.environment, folder: &self.environment.current_folder };
        let value = Value::of_text(kind, text, place).ok_or(flag)?;
        self.push(key, flag, value);
        Ok(())
    }

    fn push(&mut self, key: &'static str, flag: &'static str, value: Value) {
        self.flags.push(Flag { key, flag, value });
    }
}

/// A switch of the configuration, as a flag gives it: `--x`, `--x=yes` or `--x=no`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    /// On.
    #[value(name = "yes")]
    On,
    /// Off, over what the configuration says.
    #[value(name = "no")]
    Off,
}
