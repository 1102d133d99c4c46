//! Launch agents, units and tables of cron: what is kept of which folder, as it stands on the disk.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snap::entry::{EntryKind, Metadata};
use snap::operation::backup::BackupReport;
use snap::repository::Repository;
use snap::source::estate::Source;
use snap::source::launch_agents::{Kept, LaunchAgents, LaunchAgentsSettings, Place, Presence};

use super::engine::{capture_all, entries, gaps, record, repository};

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, content).expect("a file");
}

/// A Library of a Mac and the units of a Linux machine side by side.
fn machine() -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let agents = home.path().join("Library/LaunchAgents");
    write(&agents.join("com.example.mail.plist"), b"<?xml version=\"1.0\"?><plist/>");
    write(&agents.join("binary.plist"), b"bplist00\x00\xff\x01");
    write(&agents.join("notes.txt"), b"none of it");
    write(&agents.join("folder/inner.plist"), b"not launchd's");
    symlink("/nowhere/at/all.plist", agents.join("linked.plist")).expect("a link");
    rustix::fs::mkfifoat(rustix::fs::CWD, agents.join("pipe.plist"), rustix::fs::Mode::RUSR).expect("a pipe");
    fs::set_permissions(agents.join("binary.plist"), Permissions::from_mode(0o640)).expect("permissions");
    let units = home.path().join(".config/systemd/user");
    write(&units.join("sync.service"), b"[Service]\n");
    write(&units.join("sync.service.d/override.conf"), b"[Service]\nNice=1\n");
    fs::create_dir(units.join("timers.target.wants")).expect("a folder");
    symlink("../sync.timer", units.join("timers.target.wants/sync.timer")).expect("a link");
    // A hole of many zeros, and something behind it.
    let holes = fs::File::create(units.join("sync.socket")).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&holes, b"[Socket]\n", 1 << 20).expect("bytes");
    write(&home.path().join("crontab"), b"@daily true\n");
    home
}

fn place(path: PathBuf, kept: Kept) -> Place {
    Place { path, kept, presence: Presence::Expected }
}

fn back_up(repository: &Arc<Repository>, places: &[Place]) -> BackupReport {
    let settings = LaunchAgentsSettings { places: places.to_vec() };
    capture_all(repository, vec![Arc::new(LaunchAgents::new(settings)) as Arc<dyn Source>])
}

/// Every path of a folder with its bytes, as the disk has it.
fn on_disk(folder: &Path, paths: &[&str]) -> BTreeMap<String, Vec<u8>> {
    let content = |path: &Path| match fs::symlink_metadata(path).expect("it is there").is_file() {
        true => fs::read(path).expect("a file"),
        false => Vec::new(),
    };
    paths.iter().map(|path| ((*path).to_owned(), content(&folder.join(path)))).collect()
}

#[test]
fn files_are_as_they_stand_on_the_disk_and_nothing_else_is_captured() {
    let (home, repository) = (machine(), repository());
    let folders = ["Library/LaunchAgents", ".config/systemd/user", "crontab"].map(|name| home.path().join(name));
    let kept = [Kept::PropertyLists, Kept::All, Kept::Files];
    let places: Vec<Place> = folders.iter().zip(kept).map(|(folder, kept)| place(folder.clone(), kept)).collect();
    let report = back_up(&repository, &places);
    assert_eq!(report.gap_count(), 0);
    let of = |folder: &Path| {
        let found = entries(&repository, record(&report, &format!("launch-agents{}", folder.display())));
        for (path, (entry, _)) in &found {
            let Metadata::Posix(metadata) = &entry.metadata else { panic!("{path}: {entry:?}") };
            let path = if path.is_empty() { folder.to_owned() } else { folder.join(path) };
            let stat = fs::symlink_metadata(path).expect("it is there");
            assert_eq!(metadata.mode, stat.permissions().mode() & 0o7777);
            assert_eq!(metadata.modified.seconds, std::os::unix::fs::MetadataExt::mtime(&stat));
        }
        found
    };
    let bytes = |found: &BTreeMap<String, (snap::entry::Entry, Vec<u8>)>| -> BTreeMap<String, Vec<u8>> {
        found.iter().map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect()
    };
    let lists = of(&folders[0]);
    assert_eq!(bytes(&lists), on_disk(&folders[0], &["", "binary.plist", "com.example.mail.plist", "linked.plist"]));
    assert_eq!(lists["linked.plist"].0.kind, EntryKind::Symlink(b"/nowhere/at/all.plist".to_vec()));
    let units = of(&folders[1]);
    let wanted = ["", "sync.service", "sync.service.d/", "sync.service.d/override.conf", "sync.socket"];
    let wanted = [&wanted[..], &["timers.target.wants/", "timers.target.wants/sync.timer"]].concat();
    assert_eq!(bytes(&units), on_disk(&folders[1], &wanted));
    let table = of(&folders[2]);
    assert_eq!(bytes(&table), BTreeMap::from([(String::new(), b"@daily true\n".to_vec())]));
    let second = back_up(&repository, &places).record.summary;
    assert_eq!((second.new, second.changed, second.removed), (0, 0, 0));
}

#[test]
fn a_place_that_is_not_there_is_missed_only_where_it_is_expected() {
    let (home, repository) = (machine(), repository());
    let mut places = vec![place(home.path().join("crontab"), Kept::Files), place(home.path().join("gone"), Kept::All)];
    let report = back_up(&repository, &places);
    let missing = format!("launch-agents{}/gone", home.path().display());
    assert_eq!(report.gap_count(), 1);
    assert!(matches!(record(&report, &missing).coverage, snap::resource::Coverage::Failed { .. }));
    places[1].presence = Presence::Optional;
    let report = back_up(&repository, &places);
    assert_eq!((report.gap_count(), report.record.resources.len()), (0, 1));
    let here = LaunchAgentsSettings::of_this_system(home.path()).places;
    assert!(here.iter().all(|place| place.presence == Presence::Optional) && here.len() >= 3);
    let expected = if cfg!(target_os = "macos") { "Library/LaunchAgents" } else { ".config/systemd/user" };
    assert_eq!(here[0].path, home.path().join(expected));
}

#[test]
fn what_does_not_fit_an_entry_is_a_gap_and_all_else_of_the_file_is_there() {
    let (home, repository) = (machine(), repository());
    let folder = home.path().join(".config/systemd/user");
    let file = folder.join("sync.service");
    xattr::set(&file, "user.short", b"kept").expect("an attribute");
    xattr::set(&file, "user.long", &[7; 300]).expect("an attribute");
    fs::File::create(folder.join("huge.service")).and_then(|file| file.set_len(1 << 40)).expect("a file of holes");
    let report = back_up(&repository, &[place(folder.clone(), Kept::All)]);
    let record = record(&report, &format!("launch-agents{}", folder.display()));
    let paths: Vec<String> = gaps(record).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["huge.service", "sync.service"]);
    let found = entries(&repository, record);
    let (entry, bytes) = &found["sync.service"];
    let Metadata::Posix(metadata) = &entry.metadata else { panic!("{entry:?}") };
    assert_eq!(
        (metadata.xattrs.len(), &metadata.xattrs[0].name[..], &bytes[..]),
        (1, &b"user.short"[..], &b"[Service]\n"[..])
    );
    assert!(!found.contains_key("huge.service"));
}
