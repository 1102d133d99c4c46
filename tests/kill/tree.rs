//! The trees that are saved in a scene: made, changed, copied, looked at.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Numbers from a seed (xorshift64*).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % bound
    }
}

/// Copies a folder, metadata and links with it.
pub(crate) fn copy(source: &Path, target: &Path) {
    let status = Command::new("cp").arg("-a").arg(source).arg(target).status().expect("cp starts");
    assert!(status.success(), "{} cannot be copied", source.display());
}

fn noise(dice: &mut Dice, size: usize) -> Vec<u8> {
    (0..size).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect()
}

/// Fills a folder.
pub(crate) fn populate(folder: &Path, dice: &mut Dice) {
    fs::create_dir_all(folder.join("deep/er")).expect("created");
    for number in 0..2 + dice.below(5) {
        let size = [0, 100, 700, 5_000, 40_000][dice.below(5)];
        let name = [format!("file-{number}"), format!("deep/file-{number}"), format!("deep/er/{number}.log")];
        fs::write(folder.join(&name[dice.below(3)]), noise(dice, size)).expect("written");
    }
    let size = 150_000 + dice.below(300_000);
    fs::write(folder.join("large"), noise(dice, size)).expect("written");
    fs::hard_link(folder.join("large"), folder.join("deep/linked")).expect("linked");
    symlink("../large", folder.join("deep/link")).expect("linked");
    fs::set_permissions(folder.join("deep/er"), fs::Permissions::from_mode(0o750)).expect("set");
}

/// Changes what `populate` made.
pub(crate) fn edit(folder: &Path, dice: &mut Dice) {
    fs::write(folder.join("large"), noise(dice, 200_000)).expect("written");
    fs::write(folder.join("deep/new"), noise(dice, 3_000)).expect("written");
    fs::remove_file(folder.join("deep/link")).expect("removed");
    fs::write(folder.join("deep/link"), noise(dice, 900)).expect("written");
    fs::create_dir(folder.join("deep/inside")).expect("created");
    fs::write(folder.join("deep/inside/file"), noise(dice, 900)).expect("written");
}

/// All that a backup keeps of a tree but its root, in a form that can be compared.
pub(crate) fn photograph(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("it can be read").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let content = if metadata.is_dir() {
                folders.push(path.clone());
                String::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).expect("a link").display().to_string()
            } else {
                format!("{} {}", metadata.nlink(), blake3::hash(&fs::read(&path).expect("it can be read")))
            };
            let (mode, seconds, nanos) = (metadata.mode(), metadata.mtime(), metadata.mtime_nsec());
            let relative = path.strip_prefix(root).expect("it is below").to_owned();
            found.insert(relative, format!("{mode:o} {seconds}.{nanos} {content}"));
        }
    }
    found
}
