//! What is run around a backup: before, after, failed, finally; and who is told: a command, a file of metrics, `notify`.
//!
//! Commands are run without a shell and without secrets. Only a failing `before` stops anything.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::cli::child;
use crate::cli::config::Settings;
use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;

/// What is told about a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// When, in seconds since 1970.
    pub time: i64,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Bytes in the snapshot; 0 where there is none.
    pub bytes: u64,
    /// Files in the snapshot; 0 where there is none.
    pub files: u64,
    /// What went wrong, a line each.
    pub wrong: Vec<String>,
}

/// Runs the hook `before`; if it fails nothing else is to be done.
pub fn before(context: &Context) -> Result<(), Failure> {
    #[cfg(feature = "notify")]
    crate::cli::notify::begun(&context.settings).iter().for_each(|reason| context.remark(reason));
    run(&context.settings, "hooks.before", &[]).map_err(|reason| Failure::new(ExitStatus::Failed, reason))
}

/// Runs the hooks that fit how the run ended, then tells whoever is to be told. What fails here is only a warning.
pub fn after(context: &Context, ended: &Ended) {
    let outcome = if ended.status.is_success() { "hooks.after" } else { "hooks.failed" };
    let code = ended.status.code().to_string();
    let variables = [("SNAP_RESULT", ended.status.word()), ("SNAP_EXIT_CODE", code.as_str())];
    for key in [outcome, "hooks.finally", "notify.command"] {
        if let Err(reason) = run(&context.settings, key, &variables) {
            context.remark(&reason);
        }
    }
    if let Some(path) = context.settings.path("notify.prometheus")
        && let Err(error) = write_metrics(path, ended)
    {
        context.remark(&format!("cannot write the metrics {}: {error}", path.display()));
    }
    #[cfg(feature = "notify")]
    crate::cli::notify::ended(&context.settings, ended).iter().for_each(|reason| context.remark(reason));
}

fn run(settings: &Settings, key: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let words = settings.words(key);
    let Some(mut command) = child::command(&words) else { return Ok(()) };
    // Stdout is for the command's own data.
    command.stdin(std::process::Stdio::null()).stdout(io::stderr()).envs(variables.iter().copied());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{key} ({}) failed: {status}", words[0])),
        Err(error) => Err(format!("{key} ({}) cannot be run: {error}", words[0])),
    }
}

/// Replaces the file in one step, so that a collector never reads half of it.
fn write_metrics(path: &Path, ended: &Ended) -> io::Result<()> {
    let earlier = fs::read_to_string(path).unwrap_or_default();
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&beside)?;
    file.write_all(metrics(&earlier, ended).as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// The text exposition format of Prometheus; the time of the last success is kept from the earlier text.
fn metrics(earlier: &str, ended: &Ended) -> String {
    const LAST_SUCCESS: &str = "snap_backup_last_success_timestamp_seconds";
    let kept = earlier.lines().find_map(|line| line.strip_prefix(LAST_SUCCESS)?.trim().parse().ok());
    let last_success = if ended.status.is_success() { Some(ended.time) } else { kept };
    let mut text = String::new();
    let mut gauge = |name: &str, about: &str, value: String| {
        text.push_str(&format!("# HELP {name} {about}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    gauge("snap_backup_last_run_timestamp_seconds", "End of the last run.", ended.time.to_string());
    gauge("snap_backup_last_exit_code", "Exit code of the last run.", ended.status.code().to_string());
    gauge("snap_backup_last_duration_seconds", "How long the last run took.", ended.seconds.to_string());
    gauge("snap_backup_last_bytes", "Bytes in the last snapshot.", ended.bytes.to_string());
    gauge("snap_backup_last_files", "Files in the last snapshot.", ended.files.to_string());
    if let Some(time) = last_success {
        gauge(LAST_SUCCESS, "End of the last complete run.", time.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Ended, metrics};
    use crate::cli::exit::ExitStatus;

    #[test]
    fn a_failed_run_keeps_the_time_of_the_last_success() {
        let ended = |status, time| Ended { status, time, seconds: 3, bytes: 5, files: 2, wrong: Vec::new() };
        let good = metrics("", &ended(ExitStatus::Done, 100));
        let bad = metrics(&good, &ended(ExitStatus::Incomplete, 200));
        assert!(bad.contains("\nsnap_backup_last_success_timestamp_seconds 100\n"), "{bad}");
        assert!(bad.contains("\nsnap_backup_last_exit_code 3\n"));
        assert!(!metrics("", &ended(ExitStatus::Failed, 1)).contains("last_success_timestamp_seconds"));
    }
}
