//! Somebody commits, packs references and collects garbage while a clone is captured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use snap::entry::{Entry, EntryKind};
use snap::source::estate::{Body, EntrySink, Sent, Source};
use snap::source::git::Git;

use crate::git::{Bench, gaps, git, record};

/// How often a clone is captured while somebody works on it.
const CAPTURES: usize = 10;

/// Commits, branches, packs and collects garbage, until told to stop.
fn work(home: &Path, folder: &Path, is_over: &AtomicBool, rounds: &AtomicU64) {
    let run = |arguments: &[&str]| {
        let output = git(home, folder, arguments);
        assert!(output.status.success(), "git {arguments:?}: {output:?}");
    };
    while !is_over.load(Ordering::Relaxed) {
        let round = rounds.fetch_add(1, Ordering::Relaxed);
        for number in 0..30 {
            fs::write(folder.join(format!("file-{number}")), format!("{round} {number}")).expect("a file");
        }
        run(&["add", "-A"]);
        run(&["commit", "-q", "-m", &format!("round {round}")]);
        run(&["branch", &format!("branch-{round}")]);
        if round % 3 == 2 {
            run(&["branch", "-q", "-D", &format!("branch-{}", round - 1)]);
        }
        match round % 4 {
            0 => run(&["pack-refs", "--all"]),
            1 => run(&["repack", "-q", "-d"]),
            _ => run(&["gc", "-q", "--prune=now"]),
        }
    }
}

#[test]
fn what_is_captured_while_somebody_works_is_whole() {
    let bench = Bench::new();
    bench.clone_with_everything("site");
    let (is_over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let reports: Vec<_> = std::thread::scope(|scope| {
        scope.spawn(|| work(&bench.at("home"), &bench.at("site"), &is_over, &rounds));
        let reports = (0..CAPTURES).map(|_| (bench.capture(&["site"]), rounds.load(Ordering::Relaxed))).collect();
        is_over.store(true, Ordering::Relaxed);
        reports
    });
    bench.check();
    for (number, (report, round)) in reports.iter().enumerate() {
        let of_git: Vec<_> = gaps(record(report, "local-repos/site"))
            .into_iter()
            .filter(|(path, _)| path.starts_with(".git/"))
            .collect();
        assert_eq!(of_git, [], "capture {number}, round {round}");
        let restored = bench.restore(report, &format!("restored-{number}")).join("site");
        bench.assert_sound(&restored, &format!("capture {number}, round {round}"));
    }
}

/// Captures a clone, doing something else when so many entries have come; what was captured is written to a folder.
fn capture_and(bench: &Bench, name: &str, turn: usize, deed: &dyn Fn()) -> (PathBuf, Vec<String>, usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let source = Git::new(bench.settings(&[name]));
    let mut sent: BTreeMap<Vec<u8>, (Entry, Option<Vec<u8>>)> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut count = 0;
    runtime.block_on(async {
        let resource = source.discover().await.expect("it is found").resources.remove(0);
        let (sink, mut entries) = EntrySink::new(1);
        let capturing = tokio::spawn(async move { source.capture(&resource, &sink).await });
        let mut bodies = Vec::new();
        while let Some(next) = entries.recv().await {
            match next {
                Sent::Found(found) => {
                    if count == turn {
                        deed();
                    }
                    count += 1;
                    match found.body {
                        // What is large waits for its turn, as with whoever stores it.
                        Body::Remote(remote) if found.entry.path.0.starts_with(b".git/objects/pack/") => {
                            bodies.push((found.entry, remote));
                        }
                        Body::Remote(mut remote) => {
                            let bytes = read(remote.as_mut()).await;
                            bytes.as_ref().err().into_iter().for_each(|problem| problems.push(problem.clone()));
                            sent.insert(found.entry.path.0.clone(), (found.entry, bytes.ok()));
                        }
                        Body::Bytes(bytes) => {
                            drop(sent.insert(found.entry.path.0.clone(), (found.entry, Some(bytes.to_vec()))));
                        }
                        Body::None => drop(sent.insert(found.entry.path.0.clone(), (found.entry, None))),
                    }
                }
                Sent::Gap(gap) => problems.push(format!("{} {}", gap.path, gap.code)),
                Sent::Attribute(..) => {}
                Sent::End(_) | Sent::Gone(_) => break,
            }
        }
        capturing.await.expect("it ends").expect("it is captured");
        for (entry, mut remote) in bodies {
            let bytes = read(remote.as_mut()).await;
            bytes.as_ref().err().into_iter().for_each(|problem| problems.push(problem.clone()));
            sent.insert(entry.path.0.clone(), (entry, bytes.ok()));
        }
    });
    let target = bench.at(&format!("captured-{name}-{turn}"));
    for (path, (entry, bytes)) in sent {
        let place = target.join(String::from_utf8(path).expect("UTF-8"));
        match (entry.kind, bytes) {
            (EntryKind::Directory, _) => fs::create_dir_all(place).expect("a folder"),
            (EntryKind::File, Some(bytes)) => fs::write(place, bytes).expect("a file"),
            _ => {}
        }
    }
    (target, problems, count)
}

async fn read(remote: &mut dyn snap::source::estate::Remote) -> Result<Vec<u8>, String> {
    let said = |problem: snap::source::estate::Problem| format!("{problem:?}");
    remote.open().await.map_err(said)?;
    let mut all = Vec::new();
    while let Some(bytes) = remote.next().await.map_err(said)? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}

/// A clone with packs and loose objects.
fn clone_of_many(bench: &Bench, name: &str) {
    bench.git(".", &["init", "-q", name]);
    for number in 0..12 {
        bench.write(&format!("{name}/file"), &format!("{number}"));
        bench.commit(name, &format!("number {number}"));
        bench.git(name, &["branch", &format!("b{number}")]);
        if number == 5 {
            bench.git(name, &["gc", "-q"]);
        }
    }
}

#[test]
fn objects_packed_at_any_moment_are_captured_with_their_new_pack() {
    let counting = Bench::new();
    clone_of_many(&counting, "site");
    let (_, _, entries) = capture_and(&counting, "site", usize::MAX, &|| {});
    assert!(entries > 80, "{entries}");
    for turn in (0..entries).step_by(9) {
        let bench = Bench::new();
        clone_of_many(&bench, "site");
        let references = bench.git("site", &["for-each-ref"]);
        let (captured, problems, _) = capture_and(&bench, "site", turn, &|| {
            bench.git("site", &["commit", "-q", "--allow-empty", "-m", "meanwhile"]);
            bench.git("site", &["gc", "-q", "--prune=now"]);
        });
        assert_eq!(problems, Vec::<String>::new(), "turn {turn}");
        bench.assert_sound(&captured, &format!("turn {turn}"));
        let name = captured.file_name().expect("it has one").to_string_lossy().into_owned();
        assert_eq!(bench.git(&name, &["for-each-ref"]), references, "turn {turn}");
    }
}

#[test]
fn objects_collected_as_garbage_meanwhile_are_named() {
    let bench = Bench::new();
    clone_of_many(&bench, "site");
    bench.write("site/dangling", "soon to be nothing");
    let id = bench.git("site", &["hash-object", "-w", "dangling"]);
    fs::remove_file(bench.at("site/dangling")).expect("it goes");
    let (captured, problems, _) = capture_and(&bench, "site", 0, &|| {
        bench.git("site", &["gc", "-q", "--prune=now"]);
    });
    assert_eq!(problems, [format!(".git/objects/{}/{} Vanished", &id[..2], id[2..].trim())]);
    bench.assert_sound(&captured, "all else");
}
