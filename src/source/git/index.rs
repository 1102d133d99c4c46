//! Which files git tracks: the paths in an index (gitformat-index(5), versions 2 to 4).
//!
//! A split index names the rest of its paths in another file. What is not understood is no index; all is taken for tracked then.

/// Bytes of an entry before the id.
const STAT_SIZE: usize = 40;
/// Bytes of the header.
const HEADER_SIZE: usize = 12;
/// Bytes of all paths; an index in which each begins with the one before it says much in few bytes.
const PATHS_SIZE_MAX: usize = 128 << 20;
/// The bit of an entry's flags that says there are two bytes more of them.
const EXTENDED: u16 = 0x4000;

/// The paths in an index, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tracked {
    paths: Vec<Box<[u8]>>,
    /// The id of the shared index that has the others, in hex.
    pub(super) shared: Option<String>,
}

impl Tracked {
    /// Reads an index whose ids have so many bytes.
    pub(super) fn parse(index: &[u8], id_size: usize) -> Option<Self> {
        let body = &index[..index.len().checked_sub(id_size)?];
        let number = |at: usize| Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?));
        let (version, count) = (number(4)?, number(8)?);
        if !body.starts_with(b"DIRC") || !(2..=4).contains(&version) {
            return None;
        }
        let mut paths: Vec<Box<[u8]>> = Vec::new();
        let mut at = HEADER_SIZE;
        let mut paths_size = 0;
        for _ in 0..count {
            let before = paths.last().map_or(&[][..], |path| path);
            let (path, end) = entry(body, at, id_size, version, before)?;
            paths_size += path.len();
            if paths_size > PATHS_SIZE_MAX {
                return None;
            }
            paths.push(path);
            at = end;
        }
        let mut shared = None;
        while let Some(signature) = body.get(at..at + 4) {
            let size = usize::try_from(number(at + 4)?).ok()?;
            if signature == b"link" {
                shared = Some(hex::encode(body.get(at + 8..at + 8 + id_size)?));
            }
            at = (at + 8).checked_add(size)?;
        }
        let mut tracked = Self { paths, shared };
        tracked.sort();
        Some(tracked)
    }

    /// Adds what another index has.
    pub(super) fn add(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.sort();
    }

    /// Several stages of a path are one; entries of a split index that replace others have none.
    fn sort(&mut self) {
        self.paths.retain(|path| !path.is_empty());
        self.paths.sort_unstable();
        self.paths.dedup();
    }

    /// Whether this is the path of a file, or of a submodule.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        self.paths.binary_search_by(|tracked| tracked.as_ref().cmp(path)).is_ok()
    }

    /// Whether anything lies below this folder, whose path ends with `/`.
    pub(super) fn has_below(&self, folder: &[u8]) -> bool {
        let first = self.paths.partition_point(|tracked| tracked.as_ref() < folder);
        self.paths.get(first).is_some_and(|tracked| tracked.starts_with(folder))
    }
}

/// The path of the entry at a place, and where the next one begins.
fn entry(body: &[u8], start: usize, id_size: usize, version: u32, before: &[u8]) -> Option<(Box<[u8]>, usize)> {
    let flags_at = start + STAT_SIZE + id_size;
    let flags = u16::from_be_bytes(body.get(flags_at..flags_at + 2)?.try_into().ok()?);
    let mut at = flags_at + if flags & EXTENDED == 0 { 2 } else { 4 };
    let mut path = Vec::new();
    if version == 4 {
        let (dropped, end) = offset(body, at)?;
        path.extend_from_slice(&before[..before.len().checked_sub(dropped)?]);
        at = end;
    }
    let length = memchr::memchr(0, body.get(at..)?)?;
    path.extend_from_slice(&body[at..at + length]);
    let end = at + length + 1;
    // Before version 4 an entry is filled up with zeros to eight bytes.
    let padded = if version == 4 { end } else { start + (end - start).next_multiple_of(8) };
    Some((path.into(), padded))
}

/// A number as offsets in packs are written (gitformat-pack(5)), and where it ends.
fn offset(body: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut byte = *body.get(at)?;
    let mut value = usize::from(byte & 0x7f);
    while byte & 0x80 != 0 {
        at += 1;
        byte = *body.get(at)?;
        value = value.checked_add(1)?.checked_mul(128)?.checked_add(usize::from(byte & 0x7f))?;
    }
    Some((value, at + 1))
}

#[cfg(test)]
mod tests {
    use super::Tracked;

    /// An index of version 4 whose paths each add a byte to the one before.
    fn growing(count: u32) -> Vec<u8> {
        let mut index = [&b"DIRC\0\0\0\x04"[..], &count.to_be_bytes()].concat();
        for _ in 0..count {
            index.extend([&[0; 62][..], b"\0a\0"].concat());
        }
        index.extend([0; 20]);
        index
    }

    #[test]
    fn an_index_whose_paths_outgrow_memory_is_none() {
        let few = Tracked::parse(&growing(3), 20).expect("it is one");
        assert!(few.has(b"a") && few.has(b"aaa") && !few.has(b"aaaa"));
        assert_eq!(Tracked::parse(&growing(20_000), 20), None);
    }

    #[test]
    fn an_index_cut_anywhere_is_none_or_less() {
        let whole = growing(9);
        for length in 0..whole.len() {
            assert_eq!(Tracked::parse(&whole[..length], 20), None, "cut to {length}");
        }
    }
}
