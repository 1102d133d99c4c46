//! Random edits of a tree of at most a dozen names, the treacherous ones among them: same size, time put back.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// SplitMix64 (Steele, Lea, Flood, 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[usize::try_from(self.below(all.len() as u64)).expect("it is small")]
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        let word = self.next();
        // Half of what is written compresses and repeats itself.
        let random = self.below(2) == 0;
        (0..length)
            .map(|at| if random { self.next().to_le_bytes()[0] } else { (word >> (at % 13)).to_le_bytes()[0] })
            .collect()
    }
}

const NAMES: [&str; 12] = ["a", "a.log", "b", "d/a", "d/b", "d/e/a", "d-e", "d.x", "f/g", "f/h.jsonl", "\u{e9}%", "z"];
const FOLDERS: [&str; 5] = ["", "d", "d/e", "f", "empty"];
const LENGTHS: [u64; 9] = [0, 1, 300, 512, 513, 5000, 70_000, 200_000, 400_000];

/// Does one edit; returns what it was. One that cannot be done here changes nothing.
pub(crate) fn edit(root: &Path, random: &mut Random) -> String {
    let name = *random.pick(&NAMES);
    let other = *random.pick(&NAMES);
    let path = root.join(name);
    let kind = random.below(16);
    let result = match kind {
        0 | 1 => create(&path, random),
        2 => rewrite(&path, random, Clock::Runs),
        3 | 4 => rewrite(&path, random, Clock::PutBack),
        5 => append(&path, random),
        6 => truncate(&path, random),
        7 => set_mode(&path, random),
        8 => set_time(&path, random),
        9 => fs::rename(&path, root.join(other)),
        10 => remove(&path),
        11 => symlink(other, &path),
        12 => is_file(&path).and_then(|()| fs::hard_link(&path, root.join(other))),
        13 => sparse(&path, random),
        14 => attribute(&path, random),
        _ => folder(&root.join(*random.pick(&FOLDERS)), random),
    };
    format!(
        "edit {kind} of {name} ({other}): {}",
        result.map_or_else(|error| error.to_string(), |()| "done".to_owned())
    )
}

/// Whether an edit shows in the modification time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    Runs,
    PutBack,
}

type Edited = std::io::Result<()>;

fn create(path: &Path, random: &mut Random) -> Edited {
    fs::create_dir_all(path.parent().expect("it has one"))?;
    if fs::symlink_metadata(path).is_ok_and(|status| status.is_symlink()) {
        fs::remove_file(path)?;
    }
    let length = *random.pick(&LENGTHS);
    fs::write(path, random.bytes(length))
}

fn is_file(path: &Path) -> Edited {
    if fs::symlink_metadata(path)?.is_file() { Ok(()) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

/// Other bytes in the same place, of the same size.
fn rewrite(path: &Path, random: &mut Random, clock: Clock) -> Edited {
    is_file(path)?;
    let file = OpenOptions::new().write(true).open(path)?;
    let status = file.metadata()?;
    if status.len() > 0 {
        let at = random.below(status.len());
        let length = (status.len() - at).min(64);
        file.write_all_at(&random.bytes(length), at)?;
    }
    if clock == Clock::PutBack {
        file.set_times(FileTimes::new().set_modified(status.modified()?))?;
    }
    Ok(())
}

fn append(path: &Path, random: &mut Random) -> Edited {
    is_file(path)?;
    let length = *random.pick(&LENGTHS) / 4;
    OpenOptions::new().append(true).open(path)?.write_all(&random.bytes(length))
}

fn truncate(path: &Path, random: &mut Random) -> Edited {
    is_file(path)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(random.below(file.metadata()?.len() + 1))
}

fn set_mode(path: &Path, random: &mut Random) -> Edited {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(*random.pick(&[0o644, 0o600, 0o755, 0o444, 0o1777])))
}

fn set_time(path: &Path, random: &mut Random) -> Edited {
    is_file(path)?;
    let since =
        std::time::Duration::new(random.below(1 << 31), u32::try_from(random.below(1_000_000_000)).expect("it fits"));
    let time = std::time::UNIX_EPOCH + since;
    OpenOptions::new().write(true).open(path)?.set_times(FileTimes::new().set_modified(time))
}

fn remove(path: &Path) -> Edited {
    let folder: PathBuf = path.parent().expect("it has one").to_owned();
    fs::remove_file(path)?;
    // Now and then the last of a folder goes with it.
    if folder.file_name().is_some_and(|name| name == "e") { fs::remove_dir(folder) } else { Ok(()) }
}

fn sparse(path: &Path, random: &mut Random) -> Edited {
    fs::create_dir_all(path.parent().expect("it has one"))?;
    if fs::symlink_metadata(path).is_ok_and(|status| !status.is_file()) {
        return Ok(());
    }
    let file = File::create(path)?;
    file.set_len(600_000 + random.below(100_000))?;
    let at = random.below(600_000);
    file.write_all_at(&random.bytes(100), at)
}

fn attribute(path: &Path, random: &mut Random) -> Edited {
    is_file(path)?;
    let name = *random.pick(&["user.a", "user.b"]);
    if random.below(3) == 0 {
        return xattr::remove(path, name);
    }
    let length = *random.pick(&[0, 10, 256, 257, 2000]);
    xattr::set(path, name, &random.bytes(length))
}

fn folder(path: &Path, random: &mut Random) -> Edited {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(*random.pick(&[0o755, 0o700, 0o2775])))
}
