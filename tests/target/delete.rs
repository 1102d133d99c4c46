//! Removing what the snapshot does not have, and nothing else.

use std::fs;

use snap::operation::target::TargetOptions;

use super::{BOTH_WAYS, Ground, Mounted, names, options};

#[test]
fn what_is_not_kept_is_removed_with_all_beneath_it() {
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        for folder in ["in/gone/a/b", "in/kept/a", "in/gone-too"] {
            fs::create_dir_all(ground.at(folder)).expect("folders");
        }
        for file in ["in/gone/a/b/file", "in/gone/x", "in/kept/a/file", "in/file", "in/kept-file", "beside"] {
            fs::write(ground.at(file), "x").expect("a file");
        }
        let target = ground.open(options(ways));
        let deletion = target.delete_extraneous(b"in", ["kept/", "kept-file", "absent"]).expect("a deletion");
        assert_eq!((deletion.removed, deletion.warnings.len()), (7, 0));
        assert_eq!(names(&ground.at("in")), ["kept", "kept-file"]);
        assert_eq!(names(&ground.at("in/kept/a")), ["file"]);
        assert_eq!(names(&ground.at("")), ["beside", "in"]);
        assert_eq!(target.delete_extraneous(b"none", ["x"]).expect("nothing").removed, 0);
    }
}

#[test]
fn links_are_removed_and_what_they_lead_to_stays() {
    let ground = Ground::new();
    fs::create_dir(ground.at("in")).expect("a folder");
    ground.link_out("", "in/out");
    ground.link_out("secret", "file");
    ground.link_out("folder", "folder");
    let before = ground.picture();
    let target = ground.open(TargetOptions::default());
    let deletion = target.delete_extraneous(b"", ["none"]).expect("a deletion");
    assert_eq!((deletion.removed, deletion.warnings.len()), (4, 0));
    target.delete_extraneous(b"folder", ["none"]).expect("an absent folder");
    assert_eq!(ground.picture(), before);
}

#[test]
fn link_in_place_of_the_folder_is_not_followed() {
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        ground.link_out("folder", "folder");
        let before = ground.picture();
        ground.open(options(ways)).delete_extraneous(b"folder", ["none"]).expect_err("a link");
        assert_eq!(ground.picture(), before);
    }
}

#[test]
fn other_file_system_in_the_target_is_kept_with_a_warning() {
    let ground = Ground::new();
    fs::create_dir_all(ground.at("gone/mounted")).expect("folders");
    fs::write(ground.at("gone/file"), "x").expect("a file");
    let Some(_mounted) = Mounted::tmpfs(&ground.at("gone/mounted"), "size=1m") else { return };
    fs::write(ground.at("gone/mounted/file"), "x").expect("a file");
    let deletion = ground.open(TargetOptions::default()).delete_extraneous(b"", ["none"]).expect("a deletion");
    assert_eq!((deletion.removed, deletion.warnings.len()), (1, 1), "{:?}", deletion.warnings);
    assert_eq!(names(&ground.at("gone/mounted")), ["file"]);
}
