//! Names that a folder cannot hold, spelled so that it can, and so that the name can be read off the spelling.
//!
//! An object store takes any bytes for a key: `a` beside `a/b`, empty names, `..`, names of a thousand bytes. A spelling
//! ends in a mark such as [`MARK`]; before it `%XX` stands for a byte. A name that itself ends in a mark is spelled too, so that
//! whatever is found on a disk has one meaning. When to spell, and the map from key to path, are the restore's.

/// Ends the spelling of a name that keeps most of its characters.
pub const MARK: &[u8] = b"%~";
/// Ends a folder that holds the first part of a name too long for one; the rest stands in it.
pub const MARK_OF_PART: &[u8] = b"%+";
/// Ends a spelling that no system folds into another.
const MARK_OF_PLAIN: &[u8] = b"%=";
/// Ends the spelling of an object that yields to a folder which would be spelled alike.
const MARK_OF_ASIDE: &[u8] = b"%-";
/// What spellings end in.
const MARKS: [&[u8]; 3] = [MARK, MARK_OF_PLAIN, MARK_OF_ASIDE];
/// Longest name that file systems hold, in bytes.
pub const NAME_LENGTH_MAX: usize = 255;
/// Longest part of a spelling; with a mark it stays well below the limit.
const PART_LENGTH_MAX: usize = 240;

/// Which bytes of a name are kept in its spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All that a Unix file system takes: for a name that yields to another thing of that name.
    Most,
    /// Small letters, digits and the plainest signs: for a name that folds into another or that the system refuses.
    Plain,
    /// As plain, for one that yields where [`Kept::Most`] and [`Kept::Plain`] are taken.
    Aside,
}

impl Kept {
    fn mark(self) -> &'static [u8] {
        match self {
            Self::Most => MARK,
            Self::Plain => MARK_OF_PLAIN,
            Self::Aside => MARK_OF_ASIDE,
        }
    }
}

/// How the last name of a path is spelled; the others as they are, unless no file system could hold them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// As the others.
    AsItIs,
    /// As an object's that yields to a folder of its name.
    Yields,
    /// In any case.
    Escaped(Kept),
}

/// The path that stands for a key (of names with slashes between them): no two keys have one, whatever they are.
pub fn spell(key: &[u8], last: Last) -> Vec<u8> {
    let mut path = Vec::with_capacity(key.len() + 8);
    let mut names = key.split(|&byte| byte == b'/').peekable();
    while let Some(name) = names.next() {
        let spelling = match last {
            _ if names.peek().is_some() => must_escape(name).then_some(Kept::Most),
            Last::AsItIs => must_escape(name).then_some(Kept::Most),
            Last::Yields => Some(if must_escape(name) { Kept::Aside } else { Kept::Most }),
            Last::Escaped(kept) => Some(kept),
        };
        match spelling {
            Some(kept) => path.extend(escape_name(name, kept)),
            None => path.extend_from_slice(name),
        }
        if names.peek().is_some() {
            path.push(b'/');
        }
    }
    path
}

/// The key that a path stands for.
pub fn unspell(path: &[u8]) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    let mut parts: Vec<u8> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        parts.extend_from_slice(part);
        if part.ends_with(MARK_OF_PART) {
            parts.push(b'/');
        } else if MARKS.iter().any(|mark| parts.ends_with(mark)) {
            names.push(unescape_name(&std::mem::take(&mut parts))?);
        } else if parts.len() == part.len() {
            names.push(std::mem::take(&mut parts));
        } else {
            return None;
        }
    }
    parts.is_empty().then(|| names.join(&b'/'))
}

/// Whether a name of a key has to be spelled on any file system.
pub fn must_escape(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b"..")
        || name.len() > NAME_LENGTH_MAX
        || name.contains(&0)
        || name.contains(&b'/')
        || name.ends_with(MARK_OF_PART)
        || MARKS.iter().any(|mark| name.ends_with(mark))
}

/// The spelling of `name`: a relative path of one name, or of several where it is long.
pub fn escape_name(name: &[u8], kept: Kept) -> Vec<u8> {
    let mut spelling = Vec::with_capacity(name.len() + MARK.len());
    let mut part_length = 0;
    let dots = matches!(name, b"." | b"..");
    let mut rest = name;
    while let Some(&byte) = rest.first() {
        // A character of several bytes is not torn apart, for some file systems take only whole ones.
        let length = if kept == Kept::Most { character_length(rest) } else { 1 };
        let escaped = length == 1 && (dots || !keeps(byte, kept));
        let added = if escaped { 3 } else { length };
        if part_length + added > PART_LENGTH_MAX {
            spelling.extend_from_slice(MARK_OF_PART);
            spelling.push(b'/');
            part_length = 0;
        }
        if escaped {
            spelling.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            spelling.extend_from_slice(&rest[..length]);
        }
        part_length += added;
        rest = &rest[length..];
    }
    spelling.extend_from_slice(kept.mark());
    spelling
}

/// The name that is spelled so; `None` if the path, of one name or several, is no spelling.
pub fn unescape_name(spelling: &[u8]) -> Option<Vec<u8>> {
    let mut rest = MARKS.iter().find_map(|mark| spelling.strip_suffix(*mark))?;
    let mut name = Vec::with_capacity(rest.len());
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' && tail.starts_with(&[MARK_OF_PART[1], b'/']) {
            rest = &tail[2..];
        } else if first == b'%' {
            let digits = tail.get(..2)?;
            let is_hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
            let byte = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok())?;
            if !is_hex {
                return None;
            }
            name.push(byte);
            rest = &tail[2..];
        } else if first == b'/' {
            return None;
        } else {
            name.push(first);
            rest = tail;
        }
    }
    Some(name)
}

fn keeps(byte: u8, kept: Kept) -> bool {
    match kept {
        Kept::Most => byte >= b' ' && byte != 0x7f && byte != b'%' && byte != b'/' && byte < 0x80,
        Kept::Plain | Kept::Aside => matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'),
    }
}

/// Bytes of the character at the front; 1 for what is no UTF-8, which is then escaped.
fn character_length(bytes: &[u8]) -> usize {
    let front = &bytes[..bytes.len().min(4)];
    front.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()).map_or(1, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn names_are_spelled_as_the_layout_says() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"a", b"a%~"),
            (b"", b"%~"),
            (b"..", b"%2E%2E%~"),
            (b".hidden", b".hidden%~"),
            (b"50%", b"50%25%~"),
            (b"a%~", b"a%25~%~"),
            ("caf\u{e9}\n".as_bytes(), "caf\u{e9}%0A%~".as_bytes()),
            (b"x\xff/\0", b"x%FF%2F%00%~"),
        ];
        for (name, spelling) in cases {
            assert_eq!(escape_name(name, Kept::Most), spelling, "{name:?}");
        }
        assert_eq!(escape_name(b"ReadMe:", Kept::Plain), b"%52ead%4De%3A%=");
    }

    #[test]
    fn what_was_not_made_here_is_no_spelling() {
        for path in [&b"a"[..], b"a%", b"a%2~", b"%2e%~", b"a/b%~", b"a%G0%~", b"%+/%+", b"a%+b%~", b"%~x"] {
            assert_eq!(unescape_name(path), None, "{path:?}");
        }
    }

    #[test]
    fn plain_spellings_differ_beyond_case() {
        let names = ["README", "readme", "ReadMe", "readm\u{e9}", "README%~", "re%41dme"];
        let folded: BTreeMap<_, _> =
            names.iter().map(|name| (escape_name(name.as_bytes(), Kept::Plain).to_ascii_lowercase(), name)).collect();
        assert_eq!(folded.len(), names.len(), "{folded:?}");
    }

    /// What a file system that folds names might take for the same.
    fn folded(name: &[u8]) -> String {
        String::from_utf8_lossy(name).to_lowercase()
    }

    proptest! {
        #[test]
        fn plain_spellings_fold_into_no_other_name(names in prop::collection::btree_set("[aAbB%~=+./\u{e9}\u{c9}-]{0,4}", 2..12)) {
            let names: Vec<&[u8]> = names.iter().map(|name| name.as_bytes()).collect();
            let mut plain = BTreeMap::new();
            for name in &names {
                for kept in [Kept::Plain, Kept::Aside] {
                    let other = plain.insert(folded(&escape_name(name, kept)), (name, kept));
                    prop_assert!(other.is_none(), "{:?}", other);
                }
            }
            for name in &names {
                let usual = if must_escape(name) { escape_name(name, Kept::Most) } else { name.to_vec() };
                let yielding = escape_name(name, Kept::Most);
                prop_assert!(!plain.contains_key(&folded(&usual)) && !plain.contains_key(&folded(&yielding)));
            }
        }

        #[test]
        fn any_key_can_be_read_off_its_path(key in prop::collection::vec(any::<u8>(), 1..600), last in 0_usize..4) {
            let last = [Last::AsItIs, Last::Yields, Last::Escaped(Kept::Plain), Last::Escaped(Kept::Aside)][last];
            let path = spell(&key, last);
            prop_assert_eq!(unspell(&path), Some(key));
            for name in path.split(|&byte| byte == b'/') {
                prop_assert!(name.len() <= NAME_LENGTH_MAX && !matches!(name, b"" | b"." | b"..") && !name.contains(&0));
            }
        }

        #[test]
        fn any_name_can_be_read_off_its_spelling(name in prop::collection::vec(any::<u8>(), 0..1100), plain in any::<bool>()) {
            let spelling = escape_name(&name, if plain { Kept::Plain } else { Kept::Most });
            prop_assert_eq!(unescape_name(&spelling), Some(name));
            for part in spelling.split(|&byte| byte == b'/') {
                prop_assert!(part.len() <= NAME_LENGTH_MAX && !matches!(part, b"" | b"." | b".."));
                prop_assert!(!part.contains(&0));
            }
        }
    }
}
