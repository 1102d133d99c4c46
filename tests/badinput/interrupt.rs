//! Signals in the middle of a backup. strace sends them at a system call, so that no clock decides.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{machine, skipped, snap};

/// Bytes of all objects below a folder.
fn size(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("it can be read"))
        .map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().expect("there").len() })
        .sum()
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_backup_keeps_what_it_stored_and_says_so() {
    let traced = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !traced.is_ok_and(|status| status.success()) {
        skipped("strace is not installed, or may not trace here");
        return;
    }
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let machine = machine();
        let large = 6_000_000;
        let mut bytes = vec![0; large];
        for number in 0..8 {
            blake3::Hasher::new().update(&[number]).finalize_xof().fill(&mut bytes);
            std::fs::write(machine.work("source").join(format!("large-{number}")), &bytes).expect("written");
        }
        let packs = machine.work("repository/packs");
        let before = size(&packs);
        let mut command = Command::new("strace");
        // Opened once and late, by one thread: a second signal would end the process at once.
        let inject = format!("inject=openat:signal={signal}:when=1");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P", "large-7", "-e", "trace=openat", "-e", &inject]);
        command.arg(env!("CARGO_BIN_EXE_snap")).args([
            "--no-progress",
            "-r",
            "repository",
            "--key-file",
            "key",
            "backup",
            "source",
        ]);
        command.current_dir(machine.work("")).env("HOME", machine.home(""));
        let output = command.output().expect("strace starts");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("interrupted") && said.contains("\nhint: "), "{said}");
        let kept = size(&packs) - before;
        assert!(kept > 0, "nothing was kept");
        snap(&machine, &["check"]).expect_code(0);
        snap(&machine, &["backup", "source"]).expect_code(0);
        // What was sent in both runs is what the source holds, but for frames and padding.
        let all = size(&packs) - before;
        assert!(
            all < 8 * large as u64 * 21 / 20,
            "{all} bytes are stored for 8 times {large}, {kept} of them by the first run"
        );
        snap(&machine, &["check", "--read-data"]).expect_code(0);
    }
}
