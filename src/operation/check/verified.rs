//! Which packs were read and found whole, and when: a small file beside the cached index.
//!
//! It only decides which packs a partial check reads next and what the summary says; losing it costs nothing else.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::id::PackId;

const FILE_NAME: &str = "verified";

/// When each pack was last found whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    file: Option<PathBuf>,
    times: HashMap<PackId, Timestamp>,
}

impl Verified {
    /// What is remembered in this folder; lines that make no sense are passed over.
    pub fn load(folder: Option<&Path>) -> Self {
        let file = folder.map(|folder| folder.join(FILE_NAME));
        let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
        let parse = |line: &str| {
            let (id, seconds) = line.split_once(' ')?;
            Some((id.parse().ok()?, Timestamp::from_second(seconds.parse().ok()?).ok()?))
        };
        Self { file, times: text.lines().filter_map(parse).collect() }
    }

    /// When the pack was last found whole.
    pub fn time_of(&self, pack: &PackId) -> Option<Timestamp> {
        self.times.get(pack).copied()
    }

    /// Remembers that the pack is whole.
    pub fn insert(&mut self, pack: PackId, time: Timestamp) {
        self.times.insert(pack, time);
    }

    /// Forgets a pack that is damaged or gone.
    pub fn remove(&mut self, pack: &PackId) {
        self.times.remove(pack);
    }

    /// Forgets all packs but those that `is_there`.
    pub fn retain(&mut self, is_there: impl Fn(&PackId) -> bool) {
        self.times.retain(|pack, _| is_there(pack));
    }

    /// Writes it down; fails where the cache cannot be written.
    pub fn store(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut text = String::with_capacity(self.times.len() * 76);
        for (pack, time) in &self.times {
            // Writing into memory cannot fail.
            let _ = writeln!(text, "{pack} {}", time.as_second());
        }
        let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        open.write_all(text.as_bytes())?;
        std::fs::rename(&temporary, file)
    }
}

#[cfg(test)]
mod tests {
    use super::Verified;
    use crate::id::PackId;
    use jiff::Timestamp;

    #[test]
    fn what_is_stored_is_loaded_and_nonsense_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut verified = Verified::load(Some(folder.path()));
        let time = Timestamp::from_second(1_800_000_000).expect("in range");
        verified.insert(PackId([7; 32]), time);
        verified.store().expect("written");
        assert_eq!(Verified::load(Some(folder.path())), verified);
        std::fs::write(folder.path().join("verified"), format!("x\n{} 5\n7 7\n", PackId([9; 32]))).expect("written");
        let loaded = Verified::load(Some(folder.path()));
        assert_eq!(loaded.time_of(&PackId([9; 32])), Timestamp::from_second(5).ok());
        assert_eq!(loaded.time_of(&PackId([7; 32])), None);
    }
}
