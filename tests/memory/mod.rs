//! T10, small: commands on more data than they may use memory for, in a control group that kills what takes more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::harness::{Machine, Ran};

const LIMIT: u64 = 256 << 20;
/// Large files of this size.
const LARGE: usize = 48 << 20;
const SMALL_FILES: usize = 2_000;

/// A control group whose processes may take so much memory. It goes when it is dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self, String> {
        let name = format!("snap-test-{}", std::process::id());
        let tried = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        let mut why = String::new();
        for (root, limit) in tried {
            let group = Self(Path::new(root).join(&name));
            let made = fs::create_dir(&group.0).and_then(|()| fs::write(group.0.join(limit), LIMIT.to_string()));
            match made {
                Ok(()) => return Ok(group),
                Err(error) => why = format!("no control group for memory can be made: {error}"),
            }
        }
        Err(why)
    }

    fn run(&self, machine: &Machine, arguments: &[&str]) -> Ran {
        let plain = machine.command(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"/cgroup.procs && exec \"$@\""]).arg(&self.0);
        command.arg(plain.get_program()).args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(plain.get_current_dir().expect("it has one"));
        let output = command.output().expect("it starts");
        assert!(output.status.code().is_some(), "{arguments:?} was killed: {output:?}");
        Ran::of(&output)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir(&self.0);
    }
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    snap::codec::hash::fill_keystream(&key, b"noise", &mut bytes);
    bytes
}

#[test]
fn more_data_than_memory_is_saved_pruned_checked_and_restored() {
    let group = match Group::new() {
        Ok(group) => group,
        Err(why) => return skipped(&why),
    };
    let machine = Machine::new();
    fs::create_dir_all(machine.work("source/small")).expect("created");
    for number in 0..SMALL_FILES {
        fs::write(machine.work(&format!("source/small/{number}")), noise(700, number as u64)).expect("written");
    }
    let write = |name: &str, seed: u64| fs::write(machine.work(name), noise(LARGE, seed)).expect("written");
    (0..6).for_each(|number| write(&format!("source/large{number}"), 1 << 32 | number));
    let repository = machine.work("repository").display().to_string();
    let snap = |words: &[&str]| {
        group.run(&machine, &[&["-r", &repository, "--password-command", "echo open"], words].concat()).expect_code(0)
    };
    snap(&["init"]);
    snap(&["backup", "source"]);
    (0..3).for_each(|number| write(&format!("source/large{number}"), 2 << 32 | number));
    snap(&["backup", "source"]);
    snap(&["forget", "--keep-last", "1"]);
    let said = snap(&["prune", "--max-unused", "0", "--json"]);
    assert!(said.stdout.contains("\"summary\""), "{said:?}");
    snap(&["check", "--read-data"]);
    let inside = format!("latest:local{}", machine.work("source").display());
    snap(&["restore", &inside, "--target", "out"]);
    for name in ["large0", "large5", "small/77"] {
        let [out, source] = ["out", "source"].map(|folder| fs::read(machine.work(&format!("{folder}/{name}"))));
        assert!(out.expect("restored") == source.expect("it is there"), "{name} is another");
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
