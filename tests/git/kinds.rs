//! Repositories of every kind, each restored and compared with what was captured by git itself.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::git::{Bench, gaps, record};

/// Captures a repository and restores it; git says the same of both. Returns where it was restored.
fn comes_back(bench: &Bench, name: &str) -> std::path::PathBuf {
    let before = bench.view(&bench.at(name));
    let report = bench.capture(&[name]);
    assert_eq!(gaps(record(&report, &format!("local-repos/{name}"))), []);
    bench.check();
    let restored = bench.restore(&report, "restored").join(name);
    assert_eq!(bench.view(&bench.at(name)), before, "nothing changed meanwhile");
    assert_eq!(bench.view(&restored), before);
    bench.assert_sound(&restored, name);
    restored
}

#[test]
fn a_clone_with_everything_comes_back() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    let restored = comes_back(&bench, "site");
    for name in ["src/a.txt", ".git/config", ".git/logs/HEAD", ".git/hooks", ".git/refs/heads", ".git/objects", ""] {
        let of = |root: &Path| fs::symlink_metadata(root.join(name)).expect("it is there");
        let (one, other) = (of(&bench.at("site")), of(&restored));
        assert_eq!(
            (one.mode(), one.mtime(), one.mtime_nsec()),
            (other.mode(), other.mtime(), other.mtime_nsec()),
            "{name}"
        );
    }
    assert_eq!(fs::read_link(restored.join("link")).expect("a link"), Path::new("src/a.txt"));
    assert!(restored.join("untracked.txt").exists() && restored.join(".early").exists());
    assert!(!restored.join("noise.log").exists() && !restored.join("build").exists());
}

#[test]
fn a_clone_without_commits_comes_back() {
    let bench = Bench::new();
    bench.git(".", &["init", "-q", "empty"]);
    bench.write("empty/untracked", "x");
    comes_back(&bench, "empty");
}

#[test]
fn packed_references_and_a_detached_head_come_back() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.git("site", &["stash", "-q"]);
    bench.git("site", &["checkout", "-q", "--detach", "side"]);
    bench.git("site", &["pack-refs", "--all"]);
    assert!(!bench.at("site/.git/refs/heads/main").exists());
    comes_back(&bench, "site");
}

#[test]
fn a_merge_and_a_rebase_in_progress_come_back() {
    let bench = Bench::new();
    for (name, verb) in [("merging", "merge"), ("rebasing", "rebase")] {
        bench.git(".", &["init", "-q", name]);
        bench.write(&format!("{name}/file"), "one\n");
        bench.commit(name, "one");
        bench.git(name, &["checkout", "-q", "-b", "other"]);
        bench.write(&format!("{name}/file"), "other\n");
        bench.commit(name, "other");
        bench.git(name, &["checkout", "-q", "main"]);
        bench.write(&format!("{name}/file"), "two\n");
        bench.commit(name, "two");
        let output = bench.try_git(&bench.at(name), &[verb, "other"]);
        assert!(!output.status.success(), "it conflicts: {output:?}");
        let restored = comes_back(&bench, name);
        bench.write(&format!("restored/local-repos/{name}/file"), "both\n");
        let folder = format!("restored/local-repos/{name}");
        bench.git(&folder, &["add", "file"]);
        bench.git(&folder, &["-c", "core.editor=true", verb, "--continue"]);
        bench.assert_sound(&restored, name);
    }
}

#[test]
fn a_bare_repository_is_the_folder_itself() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.git(".", &["clone", "-q", "--bare", "site", "site.git"]);
    let restored = comes_back(&bench, "site.git");
    assert!(restored.join("HEAD").exists() && !restored.join(".git").exists());
    bench.git(".", &["clone", "-q", restored.to_str().expect("UTF-8"), "again"]);
}

#[test]
fn a_shallow_clone_comes_back() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    let url = format!("file://{}", bench.at("site").display());
    bench.git(".", &["clone", "-q", "--depth=1", &url, "shallow"]);
    let restored = comes_back(&bench, "shallow");
    assert!(restored.join(".git/shallow").exists());
}

#[test]
fn a_clone_comes_back_with_its_submodules() {
    let bench = Bench::new();
    bench.clone_with_everything("part");
    bench.git("part", &["stash", "-q"]);
    bench.git(".", &["init", "-q", "whole"]);
    let part = bench.at("part");
    bench.git("whole", &["submodule", "--quiet", "add", part.to_str().expect("UTF-8"), "vendor/part"]);
    bench.commit("whole", "with a part");
    bench.write("whole/vendor/part/src/a.txt", "changed in the part\n");
    bench.write("whole/vendor/part/noise.log", "ignored by the part's rules\n");
    bench.write("whole/vendor/part/untracked", "untracked\n");
    let before = bench.view(&bench.at("whole/vendor/part"));
    let restored = comes_back(&bench, "whole");
    assert_eq!(bench.view(&restored.join("vendor/part")), before);
    assert!(restored.join("vendor/part/untracked").exists());
    assert!(!restored.join("vendor/part/noise.log").exists());
}

#[test]
fn a_submodule_captured_alone_stands_alone() {
    let bench = Bench::new();
    bench.clone_with_everything("part");
    bench.git(".", &["init", "-q", "whole"]);
    let part = bench.at("part");
    bench.git("whole", &["submodule", "--quiet", "add", part.to_str().expect("UTF-8"), "inner"]);
    bench.commit("whole", "with a part");
    bench.write("whole/inner/untracked", "untracked\n");
    let before = bench.view(&bench.at("whole/inner"));
    let report = bench.capture(&["whole/inner"]);
    assert_eq!(gaps(record(&report, "local-repos/inner")), []);
    let restored = bench.restore(&report, "alone").join("inner");
    assert!(restored.join(".git").is_dir());
    assert_eq!(bench.view(&restored), before);
}

#[test]
fn a_git_directory_apart_is_put_into_its_place() {
    let bench = Bench::new();
    bench.git(".", &["init", "-q", "--separate-git-dir=apart", "tree"]);
    bench.write("tree/file", "x");
    bench.commit("tree", "one");
    bench.write("tree/.git-after", "sorts between .git and .git/");
    let restored = comes_back(&bench, "tree");
    assert!(restored.join(".git").is_dir());
}

#[test]
fn a_linked_worktree_stands_alone() {
    let bench = Bench::new();
    for (main, bare) in [("site", false), ("hub.git", true)] {
        bench.clone_with_everything("source");
        if bare {
            bench.git(".", &["clone", "-q", "--bare", "source", main]);
        } else {
            fs::rename(bench.at("source"), bench.at(main)).expect("it moves");
        }
        let name = format!("linked-to-{main}");
        bench.git(main, &["worktree", "add", "-q", "-b", "linked", &format!("../{name}"), "side"]);
        bench.write(&format!("{name}/new"), "new\n");
        bench.git(&name, &["add", "new"]);
        let answers = |folder: &Path| {
            let questions: [&[&str]; 4] =
                [&["for-each-ref"], &["symbolic-ref", "HEAD"], &["status", "--porcelain"], &["reflog"]];
            questions.map(|question| String::from_utf8_lossy(&bench.try_git(folder, question).stdout).into_owned())
        };
        let before = answers(&bench.at(&name));
        let report = bench.capture(&[&name]);
        assert_eq!(gaps(record(&report, &format!("local-repos/{name}"))), []);
        let restored = bench.restore(&report, &format!("restored-{name}")).join(&name);
        fs::rename(bench.at(main), bench.at(&format!("gone-{main}"))).expect("it moves");
        assert_eq!(answers(&restored), before);
        bench.assert_sound(&restored, &name);
    }
}

#[test]
fn a_main_repository_comes_back_with_its_linked_worktrees_state() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.git("site", &["worktree", "add", "-q", "-b", "linked", "inside", "side"]);
    bench.write("site/inside/.gitignore", "hidden\n");
    bench.write("site/inside/hidden", "ignored by the worktree's rules\n");
    bench.write("site/inside/shown", "untracked\n");
    let report = bench.capture(&["site"]);
    assert_eq!(gaps(record(&report, "local-repos/site")), []);
    let restored = bench.restore(&report, "restored").join("site");
    bench.assert_sound(&restored, "site");
    assert!(restored.join("inside/shown").exists() && !restored.join("inside/hidden").exists());
    bench.git("restored/local-repos/site", &["worktree", "repair", "inside"]);
    let status = |folder: &str| bench.git(folder, &["status", "--porcelain"]);
    assert_eq!(status("restored/local-repos/site/inside"), status("site/inside"));
}

#[test]
fn a_repository_of_sha256_with_tables_of_references_comes_back() {
    let bench = Bench::new();
    let formats: [&[&str]; 3] = [
        &["init", "-q", "--object-format=sha256", "one"],
        &["init", "-q", "--ref-format=reftable", "one"],
        &["init", "-q", "--object-format=sha256", "--ref-format=reftable", "one"],
    ];
    for format in formats {
        let bench_of_one = Bench::new();
        bench_of_one.git(".", format);
        bench_of_one.write("one/.gitignore", "*.log\n");
        bench_of_one.write("one/kept.log", "tracked though ignored\n");
        bench_of_one.git("one", &["add", "-f", "kept.log"]);
        for number in 0..4 {
            bench_of_one.commit("one", &format!("number {number}"));
            bench_of_one.git("one", &["branch", &format!("b{number}")]);
        }
        bench_of_one.write("one/lost.log", "ignored\n");
        let restored = comes_back(&bench_of_one, "one");
        assert!(restored.join("kept.log").exists() && !restored.join("lost.log").exists());
    }
    drop(bench);
}

#[test]
fn objects_that_lie_elsewhere_are_a_gap() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.git(".", &["clone", "-q", "--shared", "site", "borrower"]);
    let report = bench.capture(&["borrower"]);
    let expected = (".git/objects/info/alternates".to_owned(), "Alternates".to_owned());
    assert_eq!(gaps(record(&report, "local-repos/borrower")), [expected]);
}

#[test]
fn a_reference_without_its_object_is_a_gap() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    bench.write("site/.git/refs/heads/lost", "1234567890123456789012345678901234567890\n");
    let report = bench.capture(&["site"]);
    let expected = (".git/refs/heads/lost".to_owned(), "MissingObject".to_owned());
    assert_eq!(gaps(record(&report, "local-repos/site")), [expected]);
}
