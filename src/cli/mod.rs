//! The face: the only floor that prints, prompts or reads the environment; one command a file.
//!
//! `main` reads the command line and the configuration, runs one command and turns how it ended into an exit status.
//! Nothing here knows how a backup is made.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use clap::error::ErrorKind;

pub mod arguments;
pub mod board;
pub mod change;
pub mod child;
pub mod color;
pub mod command;
pub mod config;
pub mod consent;
pub mod context;
pub mod environment;
pub mod estate;
pub mod exit;
pub mod failure;
pub mod hook;
pub mod lines;
pub mod location;
#[cfg(feature = "notify")]
pub mod notify;
pub mod output;
pub mod pager;
pub mod repository;
pub mod secret;
pub mod selection;
pub mod signal;
pub mod store;
pub mod summary;
pub mod table;
pub mod text;
pub mod view;
pub mod watch;

use crate::cli::arguments::{Cli, Command};
use crate::cli::config::Settings;
use crate::cli::context::Context;
use crate::cli::environment::Environment;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::output::{Form, Output};

/// Runs the command that the process's arguments give.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

fn run(arguments: Vec<OsString>) -> ExitStatus {
    // Known before anything can fail, so that even a wrong command line is told in the form that was asked for.
    let asks_json = arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--json");
    let output = Arc::new(Output::stdout(if asks_json { Form::Json } else { Form::Human }));
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain(&output, &error),
    };
    let result = run_command(cli, &output).and_then(|status| output.flush().map(|()| status));
    match result {
        Ok(status) => status,
        Err(failure) => {
            tell(&output, &failure);
            failure.status()
        }
    }
}

fn run_command(cli: Cli, output: &Arc<Output>) -> Result<ExitStatus, Failure> {
    let environment = Environment::of_process();
    let Cli { globals, command } = cli;
    let wrong = |flag| Failure::usage(format!("the value of {flag} cannot be read"));
    let mut flags = globals.flags(&environment).map_err(wrong)?;
    flags.extend(command.flags(&environment).map_err(wrong)?);
    let settings = match &command {
        // These answer without a configuration, so that a broken one can be mended and shells still complete.
        Command::Completions(_) | Command::Man(_) => Settings::default(),
        Command::Config(arguments) if arguments.needs_no_settings() => Settings::default(),
        _ => Settings::load(&environment, globals.profile.as_deref(), flags)?,
    };
    let context = Context::new(Arc::clone(output), settings, environment, globals);
    for notice in &context.settings.notices {
        context.remark(notice);
    }
    dispatch(&command, &context)
}

fn dispatch(command: &Command, context: &Context) -> Result<ExitStatus, Failure> {
    match command {
        Command::Init(arguments) => command::init::run(arguments, context),
        Command::Backup(arguments) => command::backup::run(arguments, context),
        Command::Restore(arguments) => command::restore::run(arguments, context),
        Command::Snapshots(arguments) => command::snapshots::run(arguments, context),
        Command::Ls(arguments) => command::ls::run(arguments, context),
        Command::Cat(arguments) => command::cat::run(arguments, context),
        Command::Find(arguments) => command::find::run(arguments, context),
        Command::Log(arguments) => command::log::run(arguments, context),
        #[cfg(all(feature = "mount", target_os = "linux"))]
        Command::Mount(arguments) => command::mount::run(arguments, context),
        Command::Diff(arguments) => command::diff::run(arguments, context),
        Command::Forget(arguments) => command::forget::run(arguments, context),
        Command::Undo(arguments) => command::undo::run(arguments, context),
        Command::Check(arguments) => command::check::run(arguments, context),
        Command::Stats(arguments) => command::stats::run(arguments, context),
        Command::Key(arguments) => command::key::run(arguments, context),
        Command::Prune(arguments) => command::prune::run(arguments, context),
        Command::Copy(arguments) => command::copy::run(arguments, context),
        Command::Repair(arguments) => command::repair::run(arguments, context),
        Command::Tag(arguments) => command::tag::run(arguments, context),
        Command::Repository(arguments) => command::repository::run(arguments, context),
        Command::Aws(arguments) => command::aws::run(arguments, context),
        Command::Config(arguments) => command::config::run(arguments, context),
        Command::Completions(arguments) => command::completions::run(arguments, context),
        Command::Man(arguments) => command::man::run(arguments, context),
    }
}

/// Help and version are answers; anything else is a wrong command line.
fn explain(output: &Output, error: &clap::Error) -> ExitStatus {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if output.form() == Form::Json && !is_answer {
        let text = error.render().to_string();
        let said = text.lines().next().unwrap_or_default();
        tell(output, &Failure::usage(said.strip_prefix("error: ").unwrap_or(said)));
    } else {
        // A reader that has gone needs no help.
        let _ = error.print();
    }
    if is_answer { ExitStatus::Done } else { ExitStatus::Usage }
}

fn tell(output: &Output, failure: &Failure) {
    if failure.is_quiet() {
        return;
    }
    // What was written before belongs before the error; that it cannot be written is told by the error itself.
    let _ = output.flush();
    let _ = output.json_line(&failure.json());
    let _ = std::io::stderr().lock().write_all(failure.lines().as_bytes());
}
