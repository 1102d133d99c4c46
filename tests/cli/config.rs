//! Layers of configuration, their origins, and what is done about files that are wrong or not to be trusted.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::harness::Machine;

#[test]
fn show_tells_which_layer_set_each_value() {
    let machine = Machine::new();
    Machine::write(
        &machine.home(".config/snap/snap.toml"),
        "series = 'user'\nhost = 'user'\n[backup]\ngitignore = true\n",
    );
    Machine::write(&machine.work("snap.toml"), "host = 'here'\n[profile.www]\nrepository = 'www-repository'\n");
    let shown = machine
        .snap_with(&["config", "show", "--origin", "--profile", "www", "--color", "never"], &[("SNAP_CACHE_DIR", "/c")])
        .expect_code(0)
        .stdout;
    let here = machine.work("snap.toml");
    let here = here.display();
    let user = machine.home(".config/snap/snap.toml");
    for line in [
        format!("repository = \"{}\"  # profile www, {here}:3", machine.work("www-repository").display()),
        format!("host = \"here\"  # {here}:1"),
        format!("series = \"user\"  # {}:1", user.display()),
        "cache-dir = \"/c\"  # SNAP_CACHE_DIR".to_owned(),
        "color = \"never\"  # --color".to_owned(),
        "backup.one-file-system = false  # default".to_owned(),
        format!("backup.gitignore = true  # {}:4", user.display()),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\nis not in\n{shown}");
    }
    let document = machine.snap(&["config", "show", "--json"]).expect_code(0).document();
    assert_eq!(document["settings"]["host"]["value"], "here");
    assert_eq!(document["files"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_file_here_that_others_may_write_is_ignored_with_a_word() {
    let machine = Machine::new();
    let here = machine.work("snap.toml");
    Machine::write(&here, "host = 'evil'\n[hooks]\nbefore = 'touch owned'\n");
    fs::set_permissions(&here, Permissions::from_mode(0o666)).expect("set");
    let ran = machine.snap(&["config", "show"]).expect_code(0);
    assert!(!ran.stdout.contains("evil") && ran.stderr.contains("is ignored: others may write it"), "{ran:?}");
    let ran = machine.snap(&["backup", "/nonexistent", "-r", "none"]);
    assert!(!machine.work("owned").exists(), "{ran:?}");
    fs::set_permissions(&here, Permissions::from_mode(0o644)).expect("set");
    assert!(machine.snap(&["config", "show"]).expect_code(0).stdout.contains("evil"));
}

#[test]
fn unknown_keys_are_errors_that_say_what_was_meant() {
    let machine = Machine::new();
    Machine::write(&machine.work("snap.toml"), "[backup]\nexcldue = ['x']\n");
    for command in [&["snapshots"][..], &["config", "show"], &["config", "check"]] {
        let ran = machine.snap(command).expect_code(2);
        assert!(ran.stderr.contains("line 2: unknown key `backup.excldue`; did you mean `backup.exclude`?"), "{ran:?}");
        assert!(ran.stderr.contains("\nhint: "), "{ran:?}");
    }
    machine.snap(&["config", "init"]).expect_code(0);
    machine.snap(&["completions", "bash"]).expect_code(0);
}

#[test]
fn the_starter_is_valid_and_never_overwrites() {
    let machine = Machine::new();
    machine.snap(&["config", "init", "snap.toml"]).expect_code(0);
    machine.snap(&["config", "check", "snap.toml"]).expect_code(0);
    assert!(machine.snap(&["config", "check"]).expect_code(0).stdout.contains("valid"));
    let ran = machine.snap(&["config", "init", "snap.toml"]).expect_code(1);
    assert!(ran.stderr.contains("snap.toml"), "{ran:?}");
    machine.snap(&["config", "check", "none.toml"]).expect_code(1);
}

#[test]
fn variables_that_make_no_sense_are_named() {
    let machine = Machine::new();
    let ran = machine.snap_with(&["config", "show"], &[("SNAP_COLOR", "sometimes")]).expect_code(2);
    assert!(ran.stderr.contains("SNAP_COLOR should be one of auto, always, never"), "{ran:?}");
    let ran = machine.snap(&["config", "show", "--profile", "none"]).expect_code(2);
    assert!(ran.stderr.contains("\"none\""), "{ran:?}");
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let machine = Machine::new();
    let show = ["config", "show", "--origin"];
    let escape = '\u{1b}';
    assert!(!machine.snap(&show).stdout.contains(escape));
    assert!(machine.snap_with(&show, &[("CLICOLOR_FORCE", "1")]).stdout.contains(escape));
    assert!(!machine.snap_with(&show, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).stdout.contains(escape));
    assert!(machine.snap(&[&show[..], &["--color", "always"]].concat()).stdout.contains(escape));
}
