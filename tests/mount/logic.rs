//! What the file system answers by numbers, without a kernel.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use snap::operation::mount::attributes::{Kind, Owner};
use snap::operation::mount::file::Sought;
use snap::operation::mount::folder::Detail;
use snap::operation::mount::node::ROOT;
use snap::operation::mount::{Fault, FileSystem, Holds, Loss, Options};
use snap::operation::read_ahead::ReadAhead;
use snap::operation::selection::Selection;
use snap::operation::view::{Extent, Views};
use snap::repository::reader::Reader;
use snap::storage::name::Prefix;
use snap::storage::{Attempt, Storage};

use crate::prune::scene::Scene;
use crate::query::noise;

/// Shows what the scene holds, with a cache of frames of this size and so many threads that read ahead.
fn with_system<T>(
    scene: &Scene,
    cache: usize,
    threads: usize,
    work: impl FnOnce(&FileSystem<'_, '_>, &Mutex<Vec<Loss>>) -> T,
) -> T {
    let repository = scene.another();
    let (index, _) = repository.index().expect("an index");
    let reader = Reader::with_cache(&repository, &index, cache);
    let losses = Mutex::new(Vec::new());
    let told = |loss| losses.lock().expect("no holder panics").push(loss);
    let views = Views::over(&reader, Extent::Readable).expect("views");
    let owner = Owner { uid: 7, gid: 8 };
    let options = Options { views, selection: Selection::default(), owner, patience: Duration::ZERO };
    ReadAhead::during(&reader, threads, |read_ahead| {
        work(&FileSystem::new(&reader, read_ahead, options, &told), &losses)
    })
}

const CACHE: usize = 8 << 20;

/// The number of what stands at a path; each name on the way is looked up.
fn walk(system: &FileSystem<'_, '_>, path: &str) -> Result<u64, Fault> {
    let mut inode = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        inode = system.look_up(inode, name.as_bytes())?.0.inode;
    }
    Ok(inode)
}

/// The path of the scene's folder in the newest snapshot.
fn tree(system: &FileSystem<'_, '_>, scene: &Scene) -> String {
    let latest = system.look_up(ROOT, b"latest").expect("there is one").0.inode;
    let target = String::from_utf8(system.link_target(latest).expect("it is a link")).expect("UTF-8");
    format!("{target}/local{}", scene.tree().display())
}

/// Names from a position on, at most so many, and where the last of them says to go on.
fn names(system: &FileSystem<'_, '_>, handle: u64, position: u64, most: usize) -> (Vec<String>, u64) {
    let (mut names, mut next) = (Vec::new(), position);
    let mut take = |item: &snap::operation::mount::folder::Item<'_>| {
        if names.len() == most {
            return ControlFlow::Break(());
        }
        names.push(String::from_utf8(item.name.to_vec()).expect("UTF-8"));
        next = item.next;
        ControlFlow::Continue(())
    };
    system.read_folder(handle, position, Detail::Names, &mut take).expect("listed");
    (names, next)
}

#[test]
fn a_listing_goes_on_from_any_position() {
    let scene = Scene::new();
    let mut expected: Vec<String> =
        (0..3000).map(|number| format!("{:x}-{number}", number * 2_654_435_761_u64 % 65_536)).collect();
    for (at, name) in expected.iter().enumerate() {
        if at % 50 == 0 {
            fs::create_dir_all(scene.tree().join(name).join("below")).expect("created");
        } else {
            fs::write(scene.tree().join(name), b"").expect("written");
        }
    }
    scene.try_back_up(&scene.repository).expect("a backup");
    expected.sort();
    with_system(&scene, CACHE, 0, |system, _| {
        let folder = walk(system, &tree(system, &scene)).expect("it is there");
        let handle = system.open_folder(folder).expect("it opens");
        let (all, end) = names(system, handle, 0, usize::MAX);
        assert_eq!((&all[..2], end), (&[".".to_owned(), "..".to_owned()][..], 3002));
        let sorted: Vec<&String> = all[2..].iter().collect::<BTreeSet<_>>().into_iter().collect();
        assert!(sorted.into_iter().eq(&expected), "each name once");
        // Forward in small steps, back to the last one now and then, and far back.
        let draws = noise(5, 4000);
        let (mut position, mut before) = (0, 0);
        for draw in draws {
            let most = usize::from(draw % 37) + 1;
            let (found, next) = names(system, handle, position, most);
            let start = usize::try_from(position).expect("small");
            assert!(found == all[start..(start + most).min(all.len())], "{most} names from {position}");
            (position, before) = match draw {
                0..8 => (next / 2, 0),
                8..60 => (before.max(position), before),
                _ if next >= end => (0, 0),
                _ => (next, position),
            };
        }
    });
}

#[test]
fn numbers_are_known_until_they_are_forgotten_and_the_same_afterwards() {
    let scene = Scene::new();
    fs::create_dir(scene.tree().join("folder")).expect("created");
    for number in 0..200 {
        fs::write(scene.tree().join(format!("folder/{number}")), b"x").expect("written");
    }
    scene.try_back_up(&scene.repository).expect("a backup");
    with_system(&scene, CACHE, 0, |system, _| {
        let path = format!("{}/folder", tree(system, &scene));
        let folder = walk(system, &path).expect("it is there");
        let before = system.known_inodes();
        let handle = system.open_folder(folder).expect("it opens");
        let mut told = Vec::new();
        let mut take = |item: &snap::operation::mount::folder::Item<'_>| {
            if told.len() == 150 {
                return ControlFlow::Break(());
            }
            if let Some(attributes) = item.attributes {
                assert_eq!((attributes.inode, attributes.size, attributes.kind), (item.inode, 1, Kind::File));
                told.push(item.inode);
            }
            ControlFlow::Continue(())
        };
        system.read_folder(handle, 0, Detail::Attributes, &mut take).expect("listed");
        assert_eq!(system.known_inodes(), before + 150, "what had no room was not told");
        let (again, holds) = system.look_up(folder, b"1").expect("it is there");
        assert_eq!((again.inode, holds), (*told.iter().find(|one| **one == again.inode).expect("told"), Holds::Always));
        for inode in &told {
            system.forget(*inode, 1);
        }
        assert_eq!(system.known_inodes(), before + 1, "the one that was told twice is known");
        system.forget(again.inode, 1);
        assert_eq!((system.known_inodes(), system.attributes(again.inode).err()), (before, Some(Fault::Unknown)));
        assert_eq!(system.look_up(folder, b"1").expect("it is there").0.inode, again.inode);
        assert_eq!(system.look_up(folder, b"8 ").err(), Some(Fault::NotFound));
        assert_eq!(system.look_up(again.inode, b"x").err(), Some(Fault::NotAFolder));
        assert_eq!(
            (system.open(folder).err(), system.open_folder(again.inode).err()),
            (Some(Fault::NotAFile), Some(Fault::NotAFolder))
        );
    });
}

#[test]
fn any_stretch_is_read_with_and_without_reading_ahead() {
    let scene = Scene::new();
    let mut content = noise(1, 3_000_000);
    content[700_000..2_000_000].fill(0);
    fs::write(scene.tree().join("large"), &content).expect("written");
    fs::write(scene.tree().join("inline"), b"inline").expect("written");
    fs::write(scene.tree().join("nothing"), b"").expect("written");
    scene.try_back_up(&scene.repository).expect("a backup");
    // A cache that holds next to nothing, so that frames go as soon as they come.
    for (cache, threads) in [(CACHE, 0), (CACHE, 3), (1, 2)] {
        with_system(&scene, cache, threads, |system, losses| {
            let base = tree(system, &scene);
            let open = |name: &str| {
                system.open(walk(system, &format!("{base}/{name}")).expect("it is there")).expect("it opens")
            };
            let handle = open("large");
            let mut whole = Vec::new();
            while let Some(bytes) =
                Some(system.read(handle, whole.len() as u64, 131_072).expect("read")).filter(|b| !b.is_empty())
            {
                whole.extend(bytes);
            }
            assert!(whole == content);
            for draw in noise(9, 4 * 200).as_chunks::<4>().0 {
                let [start, length] =
                    [&draw[..2], &draw[2..]].map(|two| usize::from(two[0]) << 8 | usize::from(two[1]));
                let (start, length) = (start * 48, length * 5);
                let bytes = system.read(handle, start as u64, u32::try_from(length).expect("small")).expect("read");
                let expected = content.get(start..(start + length).min(content.len())).unwrap_or_default();
                assert!(bytes == expected, "{length} bytes at {start}");
            }
            assert_eq!(system.read(open("inline"), 2, 100), Ok(b"line".to_vec()));
            assert_eq!(system.read(open("nothing"), 0, 100), Ok(Vec::new()));
            system.close(handle);
            assert_eq!(system.read(handle, 0, 1), Err(Fault::Unknown));
            assert!(losses.lock().expect("no holder panics").is_empty());
        });
    }
}

#[test]
fn holes_are_zeros_that_nobody_fetches() {
    let scene = Scene::new();
    let file = fs::File::create(scene.tree().join("sparse")).expect("created");
    file.set_len(1 << 42).expect("longer");
    scene.try_back_up(&scene.repository).expect("a backup");
    with_system(&scene, CACHE, 2, |system, _| {
        let inode = walk(system, &format!("{}/sparse", tree(system, &scene))).expect("it is there");
        let attributes = system.attributes(inode).expect("it has some").0;
        assert_eq!((attributes.size, attributes.bytes_stored), (1 << 42, 0));
        let handle = system.open(inode).expect("it opens");
        let before = scene.storage.calls(Attempt::Get);
        for at in 0..1000 {
            assert_eq!(system.read(handle, at << 32, 4096), Ok(vec![0; 4096]));
        }
        assert_eq!(system.seek(handle, 5, Sought::Data), Err(Fault::NoneSuch));
        assert_eq!(system.seek(handle, 5, Sought::Hole), Ok(5));
        assert_eq!(system.seek(handle, 1 << 42, Sought::Hole), Err(Fault::NoneSuch));
        assert_eq!(scene.storage.calls(Attempt::Get), before);
    });
}

#[test]
fn names_of_one_file_are_one_number_and_counted() {
    let scene = Scene::new();
    fs::create_dir(scene.tree().join("a")).expect("created");
    fs::write(scene.tree().join("a/first"), b"linked").expect("written");
    fs::write(scene.tree().join("alone"), b"linked").expect("written");
    for name in ["a/second", "b"] {
        fs::hard_link(scene.tree().join("a/first"), scene.tree().join(name)).expect("linked");
    }
    scene.try_back_up(&scene.repository).expect("a backup");
    with_system(&scene, CACHE, 0, |system, _| {
        let base = tree(system, &scene);
        let of = |name: &str| {
            system.attributes(walk(system, &format!("{base}/{name}")).expect("it is there")).expect("some").0
        };
        let found = ["a/first", "a/second", "b", "alone"].map(of);
        assert_eq!(found.map(|attributes| attributes.links), [3, 3, 3, 1]);
        assert!(found[..3].iter().all(|attributes| attributes.inode == found[0].inode));
        assert_ne!(found[0].inode, found[3].inode);
    });
}

#[test]
fn a_lost_pack_is_told_once_and_looked_for_once() {
    let scene = Scene::new();
    fs::write(scene.tree().join("large"), noise(1, 2_000_000)).expect("written");
    scene.try_back_up(&scene.repository).expect("a backup");
    with_system(&scene, CACHE, 2, |system, losses| {
        let inode = walk(system, &format!("{}/large", tree(system, &scene))).expect("it is there");
        let handle = system.open(inode).expect("it opens");
        let packs = scene.storage.inner().list(&Prefix::Packs).expect("listed");
        let largest = packs.iter().max_by_key(|pack| pack.size).expect("a pack");
        scene.storage.inner().delete(&largest.name).expect("deleted");
        assert_eq!(system.read(handle, 0, 1000), Err(Fault::Lost));
        let (told, listings) = (losses.lock().expect("no holder panics").len(), scene.storage.calls(Attempt::List));
        assert_eq!(told, 1);
        for _ in 0..100 {
            assert_eq!(system.read(handle, 0, 1000), Err(Fault::Lost));
        }
        assert_eq!(losses.lock().expect("no holder panics").len(), 1);
        assert_eq!(scene.storage.calls(Attempt::List), listings, "a loss that is known costs nothing");
        // The next backup that still has the data heals it.
        let again = scene.try_back_up(&scene.repository).expect("a backup");
        let _ = again;
        system.look_up(ROOT, b"latest").expect("there is one");
        assert_eq!(system.read(handle, 0, 1000).map(|bytes| bytes.len()), Ok(1000));
    });
}

#[test]
fn what_two_prunes_moved_is_found() {
    let mut scene = Scene::new();
    let stays: Vec<Vec<u8>> = (0..3).map(|seed| noise(seed, 900_000)).collect();
    let mut files: crate::prune::scene::Files = Default::default();
    for (at, content) in stays.iter().enumerate() {
        files.insert(format!("{at}-goes"), noise(at as u64 + 50, 700_000));
        files.insert(format!("{at}-stays"), content.clone());
    }
    let first = scene.back_up(&files);
    let repository = scene.another();
    let (index, _) = repository.index().expect("an index");
    let reader = Reader::new(&repository, &index);
    let mut last = first;
    for (round, stays) in stays.iter().enumerate() {
        files.remove(&format!("{round}-goes"));
        let next = scene.back_up(&files);
        scene.forget(last);
        last = next;
        let report = scene.prune();
        assert!(report.generation.is_some(), "{report:?}");
        let record = scene.repository.snapshots().expect("listed").valid.pop().expect("one").record;
        let path = format!("local{}/{round}-stays", scene.tree().display());
        let entry = snap::operation::cat::find_file(&reader, &record, path.as_bytes()).expect("it is found");
        let mut bytes = Vec::new();
        let mut take = |part: &[u8]| -> Result<(), snap::operation::cat::CatError> {
            bytes.extend_from_slice(part);
            Ok(())
        };
        snap::operation::cat::read_content(&reader, &entry.content, b"x", &mut take).expect("it is read");
        assert!(bytes == *stays, "round {round}");
    }
}
