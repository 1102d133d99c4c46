//! `snap key`: the ways to unlock a repository.
//!
//! Slots and what they wrap are `repository`'s; here is only who is asked for which secret.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::{Location, WhenAbsent, create_key_file};
use crate::cli::output::Form;
use crate::cli::repository::{self, opener_of_secret};
use crate::cli::secret::{Secret, SecretSource};
use crate::cli::text;
use crate::cli::view::local_time;
use crate::codec::key::secret::FileKey;
use crate::id::SlotId;
use crate::repository::Repository;
use crate::repository::keyring::{Opener, SlotSummary};

/// Lists, adds, removes and changes passwords and keys
///
/// Each slot opens the whole repository. The last slot cannot be removed.
///
/// Examples:
///   snap key list
///   snap key add --label office
///   snap key add --new-key-file usb.key
///   snap key words
///
/// Exit codes:
///   0 done · 1 failed · 2 usage · 10 no repository · 11 conflicting operation · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with the slots of a repository.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the slots
    ///
    /// Examples:
    ///   snap key list --json
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    List,
    /// Add a password or key
    ///
    /// Examples:
    ///   snap key add --label office
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Add {
        /// Name of the slot
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// Where the new secret comes from.
        #[command(flatten)]
        new: NewSecret,
    },
    /// Remove a slot
    ///
    /// Examples:
    ///   snap key remove 3f09
    ///
    /// Exit codes:
    ///   0 done · 1 failed, or it is the last slot · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Remove {
        /// Start of the slot's id, as `snap key list` shows it
        #[arg(value_name = "SLOT")]
        slot: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Change the password that opened the repository
    ///
    /// The new slot is written before the old one is removed.
    ///
    /// Examples:
    ///   snap key change
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 10 no repository · 12 wrong password
    #[command(verbatim_doc_comment)]
    Change {
        /// Where the new secret comes from.
        #[command(flatten)]
        new: NewSecret,
    },
    /// Show the 24 recovery words of the key file
    ///
    /// They are the key itself: whoever has them opens the repository. Only shown on a terminal unless --yes.
    ///
    /// Examples:
    ///   snap key words
    ///
    /// Exit codes:
    ///   0 done · 1 failed · 2 no terminal and no --yes · 12 there is no key file
    #[command(verbatim_doc_comment)]
    Words {
        /// Show them even where that is no terminal
        #[arg(short, long)]
        yes: bool,
    },
}

/// Where a new secret comes from; asked for twice where nothing is given.
#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
pub struct NewSecret {
    /// File that holds the new password
    #[arg(long, value_name = "FILE")]
    pub new_password_file: Option<PathBuf>,
    /// Key file to make and add
    #[arg(long, value_name = "FILE")]
    pub new_key_file: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    match &arguments.action {
        Action::List => list(context),
        Action::Add { label, new } => add(context, label, new),
        Action::Remove { slot, yes } => remove(context, slot, if *yes { Consent::Given } else { Consent::Asked }),
        Action::Change { new } => change(context, new),
        Action::Words { yes } => words(context, if *yes { Consent::Given } else { Consent::Asked }),
    }
}

/// Whether the user said yes already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    Asked,
}

/// Digits of a slot's id that are shown.
const SLOT_DIGITS: usize = 8;

fn short(id: &SlotId) -> String {
    let mut text = id.to_string();
    text.truncate(SLOT_DIGITS);
    text
}

fn list(context: &Context) -> Result<ExitStatus, Failure> {
    let slots = repository::open(context)?.key_slots()?;
    let document = |slot: &SlotSummary| {
        let (kind, label, created) = match &slot.slot {
            Some((kind, label, created)) => (Some(kind.to_string()), Some(label), Some(created)),
            None => (None, None, None),
        };
        json!({ "slot": slot.id, "kind": kind, "label": label, "created": created, "in_use": slot.in_use })
    };
    for slot in &slots {
        let said = match &slot.slot {
            Some((kind, label, created)) => {
                format!("{:<8}  {}  {}", kind.to_string(), local_time(*created), text::printable(label.as_bytes()))
            }
            None => "! cannot be read".to_owned(),
        };
        let mark = if slot.in_use { "*" } else { " " };
        context.output.line(format!("{mark} {}  {said}", short(&slot.id)).trim_end())?;
    }
    context.output.document(json!({ "slots": slots.iter().map(document).collect::<Vec<Value>>() }))?;
    Ok(ExitStatus::Done)
}

fn add(context: &Context, label: &str, new: &NewSecret) -> Result<ExitStatus, Failure> {
    let repository = repository::open(context)?;
    let id = add_slot(context, &repository, label, new)?;
    context.output.line(&format!("added the key slot {}", short(&id)))?;
    context.output.document(json!({ "added": id }))?;
    Ok(ExitStatus::Done)
}

fn add_slot(context: &Context, repository: &Repository, label: &str, new: &NewSecret) -> Result<SlotId, Failure> {
    let opener = match (&new.new_key_file, &new.new_password_file) {
        (Some(path), _) => {
            let key = FileKey::generate();
            // The key is on disk before anything opens with it.
            create_key_file(&context.environment.current_folder.join(path), &key)?;
            Opener::Key(Arc::new(key))
        }
        (None, password_file) => {
            let place = |path: &PathBuf| SecretSource::File(context.environment.current_folder.join(path));
            let source = password_file.as_ref().map_or(SecretSource::Prompt, place);
            opener_of_secret(&source.read_new(&context.environment, context.empty_password())?)?
        }
    };
    Ok(repository.add_key(&opener, label, jiff::Timestamp::now())?)
}

fn remove(context: &Context, digits: &str, consent: Consent) -> Result<ExitStatus, Failure> {
    let repository = repository::open(context)?;
    let slots = repository.key_slots()?;
    let digits = digits.to_ascii_lowercase();
    let matching: Vec<&SlotSummary> =
        slots.iter().filter(|slot| !digits.is_empty() && slot.id.to_string().starts_with(&digits)).collect();
    let slot = match matching.as_slice() {
        [slot] => *slot,
        [] => {
            return Err(Failure::new(ExitStatus::Failed, format!("no key slot begins with {digits:?}"))
                .with_hint("`snap key list` shows them"));
        }
        several => {
            let message = format!("{digits} is the start of {} key slots", several.len());
            return Err(Failure::new(ExitStatus::Failed, message).with_hint("give more digits"));
        }
    };
    let question =
        format!("Remove the key slot {}, so that its secret no longer opens the repository?", short(&slot.id));
    if consent == Consent::Asked && !agrees(&question)? {
        return Err(Failure::new(ExitStatus::Failed, "nothing was removed"));
    }
    repository.remove_key(&slot.id)?;
    context.output.line(&format!("removed the key slot {}", short(&slot.id)))?;
    context.output.document(json!({ "removed": slot.id }))?;
    Ok(ExitStatus::Done)
}

/// Asks on the terminal; where there is none, the user must have said `--yes`.
fn agrees(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask on").with_hint("--yes answers beforehand"));
    }
    let failed = |error| Failure::of(ExitStatus::Failed, &error).while_doing("cannot ask");
    write!(std::io::stderr(), "{question} [y/N] ").map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes"))
}

fn change(context: &Context, new: &NewSecret) -> Result<ExitStatus, Failure> {
    let repository = repository::open(context)?;
    let slots = repository.key_slots()?;
    let used = slots.iter().find(|slot| slot.in_use);
    let used = used.ok_or_else(|| Failure::new(ExitStatus::Conflict, "the key slot that was used is gone"))?;
    let label = used.slot.as_ref().map_or("", |(_, label, _)| label);
    let id = add_slot(context, &repository, label, new)?;
    repository.remove_key(&used.id)?;
    if let (Location::Embedded { key_file, .. }, SecretSource::KeyFile(used)) =
        (context.location()?, context.secret_source(&context.location()?))
        && key_file == used
    {
        // The default repository looks for its secret there.
        context.remark(&format!("{} no longer opens it: give the new secret from now on", key_file.display()));
    }
    context.output.line(&format!("the key slot {} took the place of {}", short(&id), short(&used.id)))?;
    context.output.document(json!({ "added": id, "removed": used.id }))?;
    Ok(ExitStatus::Done)
}

fn words(context: &Context, consent: Consent) -> Result<ExitStatus, Failure> {
    if context.output.form() == Form::Json {
        return Err(Failure::usage("recovery words are a secret, and no secret is ever in JSON"));
    }
    let access = context.access(WhenAbsent::Refuse)?;
    let Some(Secret::KeyFile(text)) = &access.secret else {
        let message = "the repository is opened with a password, which has no recovery words";
        return Err(Failure::new(ExitStatus::WrongPassword, message).with_hint("give the key file with --key-file"));
    };
    let key = FileKey::parse_file_text(text)?;
    if consent == Consent::Asked && !context.output.is_terminal() {
        return Err(Failure::usage("recovery words are only shown on a terminal").with_hint("--yes shows them anyway"));
    }
    context.output.line(&key.to_words())?;
    Ok(ExitStatus::Done)
}
