//! `snap mount`: shows snapshots as folders until it is unmounted.
//!
//! What the folders hold is `operation::mount`'s business; here the target is looked at, losses are told, and signals unmount.

use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::repository;
use crate::cli::selection::SelectionArgs;
use crate::operation::mount::attributes::Owner;
use crate::operation::mount::fuse::{MountError, Visitors, serve};
use crate::operation::mount::{FileSystem, Loss, Options, READER_CACHE_SIZE};
use crate::operation::read_ahead::ReadAhead;
use crate::operation::view::{Extent, Views};
use crate::progress::{Event, Progress};
use crate::repository::reader::Reader;

/// Threads that answer the kernel, and as many that read ahead: enough for a store that is far away.
const THREADS: NonZeroUsize = NonZeroUsize::new(8).expect("because 8 is not 0");
/// How long the list of snapshots is taken as it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// Shows snapshots as folders to look into and copy from
///
/// Read-only, until it is unmounted (`umount DIR`, `fusermount3 -u DIR`) or Ctrl-C. The folder has
///   latest                    the newest snapshot
///   snapshots/TIME_ID/…       each one, its folders as `snap ls` shows them; snapshots/ID works too
///   tags/TAG/…  series/SERIES/…  hosts/HOST/…
/// New snapshots appear by themselves. What is damaged is an input/output error for those who read it, and is told here.
///
/// Examples:
///   snap mount /mnt/snap
///   snap mount /mnt/snap --series laptop
///   cp -a /mnt/snap/latest/local/home/me/site .
///
/// Exit codes:
///   0 unmounted · 1 failed · 2 usage · 10 no repository · 12 wrong password · 13 store unreachable
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Empty folder to show them in
    #[arg(value_name = "DIR")]
    pub target: PathBuf,
    /// Which are shown.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// Let other users in too, as far as modes and owners allow
    #[arg(long)]
    pub allow_other: bool,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    let target = context.environment.current_folder.join(&arguments.target);
    check_target(&target)?;
    let repository = repository::open(context)?;
    let (index, damaged) = repository.index()?;
    for damaged in damaged {
        context.remark(&format!("{damaged}; the packs themselves say what it named"));
    }
    let watch = context.begin_lasting("mount")?;
    let reader = Reader::with_cache(&repository, &index, READER_CACHE_SIZE);
    let told = |loss: Loss| watch.report(Event::Failed { path: loss.path, message: loss.message });
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let owner = Owner { uid, gid };
    let views = Views::over(&reader, Extent::Readable)?;
    let options = Options { views, selection: arguments.selection.selection(), owner, patience: PATIENCE };
    let visitors = if arguments.allow_other { Visitors::All } else { Visitors::Owner };
    let served = ReadAhead::during(&reader, THREADS.get(), |read_ahead| {
        let system = FileSystem::new(&reader, read_ahead, options, &told);
        let count = system.snapshot_count();
        let mounted = || say_mounted(context, &target, count);
        serve(&system, &target, visitors, THREADS, mounted, || watch.stop_requested().is_some())
    });
    served.map_err(Failure::from)?;
    drop(watch);
    context.output.json_line(&json!({ "type": "summary", "status": "unmounted" }))?;
    context.remark("unmounted");
    Ok(ExitStatus::Done)
}

/// A reader of JSON that has gone is no reason to unmount.
fn say_mounted(context: &Context, target: &Path, snapshots: usize) {
    let place = target.display();
    let line = json!({ "type": "mounted", "target": place.to_string(), "snapshots": snapshots });
    let _ = context.output.json_line(&line);
    let noun = if snapshots == 1 { "snapshot" } else { "snapshots" };
    context.remark(&format!("{snapshots} {noun} at {place}; Ctrl-C or `umount {place}` ends it"));
}

fn check_target(target: &Path) -> Result<(), Failure> {
    let hint = "`mkdir` an empty one";
    let mut names = std::fs::read_dir(target).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(ExitStatus::Failed, format!("there is no folder {}", target.display())).with_hint(hint)
        }
        io::ErrorKind::NotADirectory => {
            Failure::new(ExitStatus::Failed, format!("{} is no folder", target.display())).with_hint(hint)
        }
        io::ErrorKind::NotConnected => Failure::file("look into", target, &error)
            .with_hint(format!("a mount that died is left there: `umount {}` clears it away", target.display())),
        _ => Failure::file("look into", target, &error),
    })?;
    if is_mounted(target) {
        let message = format!("something is mounted at {} already", target.display());
        return Err(Failure::new(ExitStatus::Conflict, message).with_hint("`umount` it, or take another folder"));
    }
    if names.next().is_some() {
        let message = format!("{} is not empty, and mounting would hide what is in it", target.display());
        return Err(Failure::new(ExitStatus::Failed, message).with_hint("give an empty folder"));
    }
    Ok(())
}

/// Whether a folder is the root of a file system: it is on another device than the folder it stands in.
fn is_mounted(target: &Path) -> bool {
    let device = |path: &Path| std::fs::metadata(path).map(|status| status.dev()).ok();
    device(target) != device(&target.join(".."))
}

impl From<MountError> for Failure {
    fn from(error: MountError) -> Self {
        let failure = Self::of(ExitStatus::Failed, &error);
        let hint = match &error {
            MountError::NoDevice => "load it with `modprobe fuse`; a container needs `--device /dev/fuse`",
            MountError::DeviceRefused(_) => "only root may use it here, or the members of its group",
            MountError::NoHelper => "install fuse3 (`apt install fuse3`), or mount as root",
            MountError::Refused { source, .. } if source.to_string().contains("user_allow_other") => {
                "add the line user_allow_other to /etc/fuse.conf, or leave --allow-other out"
            }
            MountError::Refused { .. } => {
                "a container needs `--cap-add SYS_ADMIN --device /dev/fuse`; other users than root need fuse3 and a folder \
                 of their own"
            }
            MountError::Stays { .. } => "`umount -l` takes it away once nobody is in it",
            MountError::Broken(_) => "`umount` the folder and mount it again",
        };
        failure.with_hint(hint)
    }
}
