//! What is made when it is read: the members of archives, as every command sees them.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use snap::operation::diff::patch::{Patch, patch};
use snap::operation::diff::{Change, DiffRequest, Silence, Told, diff};
use snap::operation::mount::folder::{Detail, Item};
use snap::operation::mount::node::ROOT;
use snap::operation::view::Extent;
use snap::resource::SnapshotRecord;

use crate::dice::Dice;
use crate::estate::shelf::{Bench, Estate, Thing, files, object};
use crate::estate::zips::{Member, Packing, member, zip};

const FUNCTION: &str = "lambda-functions/site";

/// A function of this archive.
fn function(archive: &[u8]) -> Estate {
    Estate::of([(FUNCTION, vec![object(b"config.json", b"{}\n"), object(b"function.zip", archive)])])
}

fn captured(bench: &Bench, members: &[Member]) -> SnapshotRecord {
    bench.capture(&function(&zip(members))).record
}

/// Bytes that do not compress.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    (0..size).map(|_| dice.next().to_le_bytes()[0]).collect()
}

/// What stands in the folder of the members.
fn below(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("lambda-functions/site/source/")).collect()
}

#[test]
fn members_of_a_function_are_listed_read_and_restored_beside_its_archive() {
    let bench = Bench::new();
    let large = noise(1, 3_500_000);
    let mut tool = member("bin/tool", b"#!/bin/sh\n");
    tool.mode = 0o100_755;
    let mut link = member("bin/link", b"../index.py");
    link.mode = 0o120_777;
    let mut stored = member("lib/plain", &noise(2, 2_000_000));
    stored.packing = Packing::Stored;
    let folder = Member { mode: 0o040_755, ..member("kept/", b"") };
    let members = [
        member("index.py", b"print(1)\n"),
        member("lib/large", &large),
        tool,
        link,
        stored,
        folder,
        member("empty", b""),
    ];
    let archive = zip(&members);
    let record = bench.capture(&function(&archive)).record;
    let listed = bench.list(&record, FUNCTION);
    let names = ["bin/link", "bin/tool", "empty", "index.py", "kept/", "lib/large", "lib/plain"];
    assert_eq!(below(&listed), names);
    assert_eq!(listed.len(), names.len() + 2, "{listed:?}");
    assert_eq!(bench.list(&record, "lambda-functions/site/source/lib").len(), 2);
    let cat = |path: &str| bench.cat(&record, format!("{FUNCTION}/{path}").as_bytes()).expect("bytes");
    assert_eq!(cat("source/index.py"), b"print(1)\n");
    assert!(cat("source/lib/large") == large && cat("function.zip") == archive);
    assert_eq!(cat("source/empty"), b"");
    let (report, told) = bench.restore(&record, &bench.request());
    assert_eq!((report.lost, report.skipped, told), (0, 0, Vec::new()));
    let restored = files(&bench.out(FUNCTION));
    assert!(restored[&b"function.zip"[..]] == archive && restored[&b"source/lib/large"[..]] == large);
    assert!(restored[&b"source/lib/plain"[..]] == members[4].body);
    assert_eq!(restored[&b"source/bin/link"[..]], b"-> ../index.py");
    assert_eq!(restored.len(), 2 + 6, "{:?}", restored.keys());
    assert!(bench.out("lambda-functions/site/source/kept").is_dir());
    let mode = |path: &str| fs::metadata(bench.out(FUNCTION).join(path)).expect("status").permissions().mode() & 0o111;
    assert!(mode("source/bin/tool") != 0 && mode("source/index.py") == 0);
    // 2025-01-01, as the archive says.
    let time = fs::metadata(bench.out(FUNCTION).join("source/index.py")).expect("status").modified().expect("a time");
    let since = time.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(since, 1_735_689_600);
}

#[test]
fn the_members_alone_can_be_restored_and_those_that_are_there_stay() {
    let bench = Bench::new();
    let record = captured(&bench, &[member("a", b"1"), member("b/c", b"2")]);
    let mut request = bench.request();
    request.include = vec!["lambda-functions/site/source".to_owned()];
    bench.restore(&record, &request);
    let names = |folder: &str| files(&bench.out(folder)).into_keys().collect::<Vec<_>>();
    assert_eq!(names(""), [&b"lambda-functions/site/source/a"[..], b"lambda-functions/site/source/b/c"]);
    request.options.overwrite = snap::operation::target::Overwrite::IfChanged;
    assert_eq!(bench.restore(&record, &request).0.kept, 2);
    request.include.clear();
    request.inside = Some(b"lambda-functions/site/source/b".to_vec());
    request.target = bench.out("inside");
    bench.restore(&record, &request);
    assert_eq!(names("inside"), [b"c".to_vec()]);
}

#[test]
fn what_an_archive_should_not_hold_is_listed_and_not_written() {
    let bench = Bench::new();
    let mut encrypted = member("secret", b"x");
    encrypted.flags = 1;
    let mut odd = member("odd", b"x");
    odd.packing = Packing::Unknown;
    let mut out = member("out", b"../../etc/passwd");
    out.mode = 0o120_777;
    let mut pipe = member("pipe", b"");
    pipe.mode = 0o010_644;
    let members = [
        member("fine", b"fine"),
        member("/etc/cron.d/x", b"x"),
        member("../up", b"x"),
        member("a/../../b", b"x"),
        member("nul\0", b"x"),
        member("", b"x"),
        member("twice", b"1"),
        member("twice", b"2"),
        member("both", b"x"),
        member("both/beneath", b"y"),
        encrypted,
        odd,
        out,
        pipe,
    ];
    let archive = zip(&members);
    let record = bench.capture(&function(&archive)).record;
    let listed = bench.list(&record, FUNCTION);
    let why = |name: &str| {
        let found = below(&listed).into_iter().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name:?} in {listed:?}")).to_owned()
    };
    for name in ["/etc/cron.d/x", "../up", "a/../../b", "nul\0"] {
        assert_eq!(why(name), " (its path leads elsewhere)", "{name:?}");
    }
    assert_eq!(why("twice"), " (the archive has several of this path)");
    assert_eq!(why("both "), "(the archive has others beneath it)");
    assert_eq!(why("secret"), " (it is encrypted)");
    assert_eq!(why("odd"), " (it is packed in an unknown way)");
    assert_eq!(why("out"), " (it is a link that leads elsewhere)");
    assert_eq!(why("pipe"), " (it is neither a file nor a folder nor a link)");
    let refused = bench.cat(&record, b"lambda-functions/site/source/secret").expect_err("it is withheld");
    assert_eq!(refused.to_string(), "lambda-functions/site/source/secret is only in its archive: it is encrypted");
    let (report, told) = bench.restore(&record, &bench.request());
    assert_eq!((report.lost, report.skipped, told.len()), (0, 0, 11), "{told:?}");
    let restored = files(&bench.out("lambda-functions"));
    let names: Vec<_> = restored.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let expected = ["site/config.json", "site/function.zip", "site/source/both/beneath", "site/source/fine"];
    assert_eq!(names, expected);
    assert!(restored[&b"site/function.zip"[..]] == archive);
}

#[test]
fn what_is_not_what_its_archive_says_is_not_written() {
    let bench = Bench::new();
    let body = noise(3, 1_500_000);
    let mut longer = member("longer", &body);
    longer.size_said = Some(1_400_000);
    longer.checksum_said = Some(rawzip::crc32(&body[..1_400_000]));
    let mut shorter = member("shorter", &body);
    shorter.size_said = Some(1_600_000);
    let mut other = member("other", b"small");
    other.checksum_said = Some(1);
    let mut bomb = member("bomb", &vec![0; 40_000_000]);
    bomb.size_said = Some(1_000);
    let mut first = member("first", b"x");
    first.size_said = Some(700 << 20);
    let mut second = member("second", b"x");
    second.size_said = Some(700 << 20);
    let record = captured(&bench, &[longer, shorter, other, bomb, member("fine", &body), first, second]);
    let listed = bench.list(&record, FUNCTION);
    assert!(below(&listed).contains(&"second (it lies beyond the first GiB of the archive's members)"), "{listed:?}");
    let (report, told) = bench.restore(&record, &bench.request());
    assert_eq!((report.lost, report.skipped), (0, 0));
    let reasons = [
        "longer is only in its archive: it is longer than its archive says",
        "shorter is only in its archive: it is shorter than its archive says",
        "other is only in its archive: it does not have the checksum that its archive says",
        "bomb is only in its archive: it is longer than its archive says",
        "first is only in its archive: it is shorter than its archive says",
        "second is only in its archive: it lies beyond the first GiB of the archive's members",
    ];
    for reason in reasons {
        assert!(told.iter().any(|told| told.ends_with(reason)), "{reason}: {told:?}");
    }
    let restored = files(&bench.out("lambda-functions/site/source"));
    assert_eq!(restored.keys().collect::<Vec<_>>(), [b"fine"]);
    assert!(restored[&b"fine"[..]] == body);
    let cut = bench.cat(&record, b"lambda-functions/site/source/longer").expect_err("it is not what it says");
    assert!(format!("{cut:?}").contains("longer than its archive says"), "{cut:?}");
}

#[test]
fn what_is_no_archive_has_no_members() {
    let whole = zip(&[member("a", b"1")]);
    for bytes in [b"not an archive".to_vec(), Vec::new(), whole[..whole.len() - 30].to_vec(), noise(4, 100_000)] {
        let bench = Bench::new();
        let record = bench.capture(&function(&bytes)).record;
        let listed = bench.list(&record, FUNCTION);
        assert_eq!(listed, ["lambda-functions/site/config.json", "lambda-functions/site/function.zip"]);
        let (report, told) = bench.restore(&record, &bench.request());
        assert_eq!((report.lost, told), (0, Vec::new()));
        assert_eq!(files(&bench.out(FUNCTION))[&b"function.zip"[..]], bytes);
    }
}

#[test]
fn any_archive_is_read_to_the_end_or_refused() {
    let whole = zip(&[member("a", &noise(5, 3_000)), member("b/c", b"text"), member("d", &[0; 70_000])]);
    let mut dice = Dice::new(6);
    for round in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..1 + dice.next() % 4 {
            let at = usize::try_from(dice.next()).expect("64 bits") % bytes.len();
            bytes[at] ^= dice.next().to_le_bytes()[0];
        }
        let bench = Bench::new();
        let record = bench.capture(&function(&bytes)).record;
        bench.list(&record, "");
        let (report, _) = bench.restore(&record, &bench.request());
        assert_eq!(report.lost, 0, "round {round}");
        assert!(files(&bench.out(FUNCTION))[&b"function.zip"[..]] == bytes, "round {round}");
        let outside = files(&bench.out(""));
        let is_inside = |name: &&Vec<u8>| name.starts_with(b"lambda-functions/site/") || !name.contains(&b'/');
        assert_eq!(outside.keys().filter(is_inside).count(), outside.len(), "round {round}");
    }
}

/// What differs beneath the function, a letter and a path each.
fn differences(bench: &Bench, old: &SnapshotRecord, new: &SnapshotRecord) -> (Vec<String>, Vec<u8>) {
    bench.read(Extent::Members, |reader, views| {
        let records = [views.record(old), views.record(new)];
        let request = DiffRequest { old: &records[0], new: &records[1], paths: &[], silence: Silence::Usual };
        let (mut lines, mut patches) = (Vec::new(), Vec::new());
        let told = diff(reader, &request, |told| {
            match told {
                Told::Change(Change::Added(entry)) => lines.push(format!("+ {}", entry.path)),
                Told::Change(Change::Removed(entry)) => lines.push(format!("- {}", entry.path)),
                Told::Change(Change::Changed { old, new, fields }) => {
                    let fields: Vec<&str> = fields.iter().map(|field| field.word()).collect();
                    lines.push(format!("~ {} {}", new.path, fields.join(",")));
                    let made = patch(reader, new.path.as_bytes(), Some(old), Some(new)).expect("content");
                    if let Patch::Text(text) = made {
                        patches.extend(text);
                    }
                }
                Told::Hole(error) => return Err(error.to_string()),
                Told::Change(Change::NotCaptured { .. }) | Told::Resource(_) | Told::End => {}
            }
            Ok(())
        });
        told.expect("no hole");
        (lines, patches)
    })
}

#[test]
fn a_diff_tells_which_members_changed_and_not_that_all_were_packed_anew() {
    let bench = Bench::new();
    let same = noise(7, 2_000_000);
    let old = captured(&bench, &[member("a.py", b"one\n"), member("gone", b"x"), member("lib/same", &same)]);
    let mut members = [member("a.py", b"two\n"), member("lib/same", &same), member("new", b"y"), member("run", b"z")];
    for member in &mut members {
        member.date += 1;
    }
    let new = captured(&bench, &members);
    let (lines, patches) = differences(&bench, &old, &new);
    let expected = ["~ function.zip content", "~ source/a.py content", "- source/gone", "+ source/new", "+ source/run"];
    assert_eq!(lines, expected);
    let text = String::from_utf8_lossy(&patches);
    assert!(text.contains("-one\n+two\n"), "{text}");
    members[3].mode = 0o100_755;
    members[3].date += 1;
    let third = captured(&bench, &members);
    let (lines, _) = differences(&bench, &new, &third);
    assert_eq!(lines, ["~ function.zip content", "~ source/run object"]);
    assert_eq!(differences(&bench, &third, &third).0, Vec::<String>::new());
}

#[test]
fn a_folder_that_was_captured_hides_the_members_of_an_archive() {
    let bench = Bench::new();
    let archive = zip(&[member("a", b"member")]);
    let things: Vec<Thing> = vec![object(b"function.zip", &archive), object(b"source/a", b"captured")];
    let record = bench.capture(&Estate::of([(FUNCTION, things)])).record;
    assert_eq!(bench.cat(&record, b"lambda-functions/site/source/a").expect("bytes"), b"captured");
}

#[test]
fn a_mounted_snapshot_has_members_and_what_is_known_of_it() {
    let bench = Bench::new();
    let mut tool = member("bin/tool", b"run");
    tool.mode = 0o100_755;
    let large = noise(8, 2_500_000);
    let mut secret = member("secret", b"x");
    secret.flags = 1;
    let record = captured(&bench, &[tool, member("large", &large), secret, member("../up", b"x")]);
    bench.mounted(|system, told| {
        let walk = |path: &str| {
            let latest = system.look_up(ROOT, b"latest").expect("there is one").0.inode;
            let top = String::from_utf8(system.link_target(latest).expect("a link")).expect("UTF-8");
            let names = top.split('/').chain(path.split('/')).filter(|name| !name.is_empty());
            names.fold(ROOT, |inode, name| system.look_up(inode, name.as_bytes()).expect("it is there").0.inode)
        };
        let names = |path: &str| {
            let handle = system.open_folder(walk(path)).expect("a folder");
            let mut names = Vec::new();
            let mut take = |item: &Item<'_>| {
                names.push(String::from_utf8_lossy(item.name).into_owned());
                ControlFlow::Continue(())
            };
            system.read_folder(handle, 2, Detail::Names, &mut take).expect("listed");
            names
        };
        let read = |path: &str, offset: u64| {
            let handle = system.open(walk(path)).expect("a file");
            system.read(handle, offset, 1 << 20).expect("bytes")
        };
        assert_eq!(names(""), ["SNAPSHOT-METADATA.json", "lambda-functions"]);
        assert_eq!(names(FUNCTION), ["config.json", "function.zip", "source"]);
        assert_eq!(names("lambda-functions/site/source"), ["bin", "large"]);
        let of = |path: &str| system.attributes(walk(path)).expect("attributes").0;
        assert_eq!((of("lambda-functions/site/source/bin/tool").mode, of(FUNCTION).mode), (0o555, 0o555));
        assert_eq!(of("lambda-functions/site/source/large").size, 2_500_000);
        assert!(read("lambda-functions/site/source/large", 1_300_000) == large[1_300_000..][..1 << 20]);
        assert!(read("lambda-functions/site/source/large", 10) == large[10..][..1 << 20]);
        let document = bench.cat(&record, b"SNAPSHOT-METADATA.json").expect("the document");
        assert_eq!(read("SNAPSHOT-METADATA.json", 0), document);
        assert_eq!(told(), Vec::<String>::new());
    });
}

#[test]
fn members_of_many_archives_are_had_though_few_trees_are_kept() {
    let bench = Bench::new();
    let named = |number: usize| format!("lambda-functions/f{number:02}");
    let long = "x".repeat(200);
    let members = |number: usize| -> Vec<Member> {
        (0..6_000).map(|at| member(&format!("{long}/{at}"), number.to_string().as_bytes())).collect()
    };
    let mut estate = Estate::default();
    for number in 0..40 {
        estate.resources.insert(named(number), vec![object(b"function.zip", &zip(&members(number)))]);
    }
    let record = bench.capture(&estate).record;
    bench.read(Extent::All, |reader, views| {
        let record = views.record(&record);
        let cat = |number: usize| {
            let path = format!("{}/source/{long}/{}", named(number), number * 7);
            let entry = snap::operation::cat::find_file(reader, &record, path.as_bytes()).expect("a member");
            let mut all = Vec::new();
            snap::operation::cat::read_content::<snap::operation::cat::CatError>(
                reader,
                &entry.content,
                b"",
                |bytes| {
                    all.extend_from_slice(bytes);
                    Ok(())
                },
            )
            .expect("its bytes");
            all
        };
        for number in (0..40).chain([0, 39, 1]) {
            assert_eq!(cat(number), number.to_string().as_bytes());
        }
    });
}

/// Five deployments of a function that differ in one file of two hundred.
#[test]
fn five_versions_of_a_function_that_differ_in_one_file_share_the_rest() {
    let bench = Bench::new();
    let libraries: Vec<Member> =
        (0..200_u64).map(|at| member(&format!("lib/{at:03}.so"), &noise(100 + at, 20_000))).collect();
    let mut stored = Vec::new();
    let mut size = 0;
    for version in 0..5_u64 {
        let mut members = vec![member("index.py", format!("version = {version}\n").repeat(50).as_bytes())];
        members.extend(libraries.clone());
        members[100].body = noise(1000 + version, 20_000);
        let archive = zip(&members);
        size = archive.len() as u64;
        stored.push(bench.capture(&function(&archive)).record.summary.bytes_stored);
    }
    let later: u64 = stored[1..].iter().sum();
    assert!(stored[0] >= size, "{stored:?}");
    // Two members and the directory, which has the places of all that follow, and what a session costs.
    assert!(later <= 4 * (size / 20), "{stored:?} of {size}");
}
