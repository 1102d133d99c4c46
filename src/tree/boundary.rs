//! Where pages end (FORMAT.md §10, "Boundaries"): decided by the paths alone, so that the same map has the same pages.
//!
//! A keyed hash, so that nobody without the key can make paths that all end a page or never do. The limits beside the hash
//! bound a page even then; they depend on nothing before the page's own start.

use std::num::NonZeroU32;

use crate::codec::hash::{self, HashKey};

/// Paths of a page add up to less than this before its last item.
pub const PATH_BYTES_MAX: usize = 1024 * 1024;
/// Encoded items of a page add up to less than this before its last item.
pub const ITEM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes one encoded item may have.
pub const ITEM_SIZE_MAX: usize = 1024 * 1024;

/// What decides where the pages of a repository end.
#[derive(Clone)]
pub struct TreeParameters {
    /// The *page boundary* key.
    pub page_boundary: HashKey,
    /// Mean entries of a page; four times as many is the most.
    pub page_entries: NonZeroU32,
}

/// What counts towards the end of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// Items in it.
    pub items: u64,
    /// Bytes of their full paths.
    pub path_bytes: usize,
    /// Bytes of their encodings.
    pub item_bytes: usize,
}

impl TreeParameters {
    /// Whether a page at `level`, filled so far, ends after its last item, whose key is `path`.
    pub fn ends_page(&self, level: u8, fill: Fill, path: &[u8]) -> bool {
        let items_min = if level == 0 { 1 } else { 2 };
        fill.items >= items_min
            && (fill.items >= 4 * u64::from(self.page_entries.get())
                || fill.path_bytes >= PATH_BYTES_MAX
                || fill.item_bytes >= ITEM_BYTES_MAX
                || self.hits(level, path))
    }

    fn hits(&self, level: u8, path: &[u8]) -> bool {
        let digest = if path.len() < 192 {
            let mut text = [0; 192];
            text[0] = level;
            text[1..=path.len()].copy_from_slice(path);
            hash::keyed(&self.page_boundary, &text[..=path.len()])
        } else {
            hash::keyed(&self.page_boundary, &[&[level], path].concat())
        };
        leading_u64(&digest).is_multiple_of(u64::from(self.page_entries.get()))
    }
}

/// The first 8 bytes of a hash as a little-endian number.
pub(super) fn leading_u64(digest: &[u8; 32]) -> u64 {
    u64::from_le_bytes(*digest.first_chunk().expect("because 32 bytes have 8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_over_level_and_path() {
        let parameters =
            TreeParameters { page_boundary: [7; 32], page_entries: NonZeroU32::new(16).expect("not zero") };
        for length in [0, 1, 190, 191, 192, 193, 5000] {
            let path: Vec<u8> = (0..length).map(|i: u32| (i % 251) as u8).collect();
            for level in [0, 1, 9] {
                let mut text = vec![level];
                text.extend_from_slice(&path);
                let digest = blake3::keyed_hash(&[7; 32], &text);
                let expected = u64::from_le_bytes(digest.as_bytes()[..8].try_into().expect("8 bytes")) % 16 == 0;
                assert_eq!(parameters.hits(level, &path), expected, "level {level}, {length} bytes");
            }
        }
    }

    #[test]
    fn inner_page_never_ends_after_one_item() {
        let parameters = TreeParameters { page_boundary: [0; 32], page_entries: NonZeroU32::MIN };
        let fill = Fill { items: 1, path_bytes: PATH_BYTES_MAX, item_bytes: ITEM_BYTES_MAX };
        assert!(parameters.ends_page(0, fill, b"a"));
        assert!(!parameters.ends_page(1, fill, b"a"));
        assert!(parameters.ends_page(1, Fill { items: 2, ..fill }, b"a"));
    }
}
