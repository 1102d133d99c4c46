//! Random edits of a tree of at most a dozen names, the treacherous ones among them: same size, time put back.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::dice::Dice;

const NAMES: [&str; 12] = ["a", "a.log", "b", "d/a", "d/b", "d/e/a", "d-e", "d.x", "f/g", "f/h.jsonl", "\u{e9}%", "z"];
const FOLDERS: [&str; 5] = ["", "d", "d/e", "f", "empty"];
const LENGTHS: [u64; 9] = [0, 1, 300, 512, 513, 5000, 70_000, 200_000, 400_000];

/// Does one edit; returns what it was. One that cannot be done here changes nothing.
pub(crate) fn edit(root: &Path, dice: &mut Dice) -> String {
    let name = *dice.pick(&NAMES);
    let other = *dice.pick(&NAMES);
    let path = root.join(name);
    let kind = dice.below(16);
    let result = match kind {
        0 | 1 => create(&path, dice),
        2 => rewrite(&path, dice, Clock::Runs),
        3 | 4 => rewrite(&path, dice, Clock::PutBack),
        5 => append(&path, dice),
        6 => truncate(&path, dice),
        7 => set_mode(&path, dice),
        8 => set_time(&path, dice),
        9 => fs::rename(&path, root.join(other)),
        10 => remove(&path),
        11 => symlink(other, &path),
        12 => is_file(&path).and_then(|()| fs::hard_link(&path, root.join(other))),
        13 => sparse(&path, dice),
        14 => attribute(&path, dice),
        _ => folder(&root.join(*dice.pick(&FOLDERS)), dice),
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

fn create(path: &Path, dice: &mut Dice) -> Edited {
    fs::create_dir_all(path.parent().expect("it has one"))?;
    if fs::symlink_metadata(path).is_ok_and(|status| status.is_symlink()) {
        fs::remove_file(path)?;
    }
    let length = *dice.pick(&LENGTHS);
    fs::write(path, bytes(dice, length))
}

fn is_file(path: &Path) -> Edited {
    if fs::symlink_metadata(path)?.is_file() { Ok(()) } else { Err(std::io::ErrorKind::InvalidInput.into()) }
}

/// Other bytes in the same place, of the same size.
fn rewrite(path: &Path, dice: &mut Dice, clock: Clock) -> Edited {
    is_file(path)?;
    let file = OpenOptions::new().write(true).open(path)?;
    let status = file.metadata()?;
    if status.len() > 0 {
        let at = dice.below(status.len());
        let length = (status.len() - at).min(64);
        file.write_all_at(&bytes(dice, length), at)?;
    }
    if clock == Clock::PutBack {
        file.set_times(FileTimes::new().set_modified(status.modified()?))?;
    }
    Ok(())
}

fn append(path: &Path, dice: &mut Dice) -> Edited {
    is_file(path)?;
    let length = *dice.pick(&LENGTHS) / 4;
    OpenOptions::new().append(true).open(path)?.write_all(&bytes(dice, length))
}

fn truncate(path: &Path, dice: &mut Dice) -> Edited {
    is_file(path)?;
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(dice.below(file.metadata()?.len() + 1))
}

fn set_mode(path: &Path, dice: &mut Dice) -> Edited {
    if fs::symlink_metadata(path)?.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(*dice.pick(&[0o644, 0o600, 0o755, 0o444, 0o1777])))
}

fn set_time(path: &Path, dice: &mut Dice) -> Edited {
    is_file(path)?;
    let since =
        std::time::Duration::new(dice.below(1 << 31), u32::try_from(dice.below(1_000_000_000)).expect("it fits"));
    let time = std::time::UNIX_EPOCH + since;
    OpenOptions::new().write(true).open(path)?.set_times(FileTimes::new().set_modified(time))
}

fn remove(path: &Path) -> Edited {
    let folder: PathBuf = path.parent().expect("it has one").to_owned();
    fs::remove_file(path)?;
    // Now and then the last of a folder goes with it.
    if folder.file_name().is_some_and(|name| name == "e") { fs::remove_dir(folder) } else { Ok(()) }
}

fn sparse(path: &Path, dice: &mut Dice) -> Edited {
    fs::create_dir_all(path.parent().expect("it has one"))?;
    if fs::symlink_metadata(path).is_ok_and(|status| !status.is_file()) {
        return Ok(());
    }
    let file = File::create(path)?;
    file.set_len(600_000 + dice.below(100_000))?;
    let at = dice.below(600_000);
    file.write_all_at(&bytes(dice, 100), at)
}

fn attribute(path: &Path, dice: &mut Dice) -> Edited {
    is_file(path)?;
    let name = *dice.pick(&["user.a", "user.b"]);
    if dice.one_in(3) {
        return xattr::remove(path, name);
    }
    let length = *dice.pick(&[0, 10, 256, 257, 2000]);
    xattr::set(path, name, &bytes(dice, length))
}

fn folder(path: &Path, dice: &mut Dice) -> Edited {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(*dice.pick(&[0o755, 0o700, 0o2775])))
}

fn bytes(dice: &mut Dice, length: u64) -> Vec<u8> {
    let word = dice.next();
    // Half of what is written compresses and repeats itself.
    let random = dice.one_in(2);
    (0..length)
        .map(|at| if random { dice.next().to_le_bytes()[0] } else { (word >> (at % 13)).to_le_bytes()[0] })
        .collect()
}
