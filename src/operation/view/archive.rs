//! The directory of a zip archive, read by ranges: which members it has, and which of them are only listed.
//!
//! An archive comes from strangers. A member that would lead out of its folder, that cannot be told from another, that is encrypted
//! or one too many for [`SIZE_MAX`] is listed with the reason and never inflated.

use std::collections::HashMap;

use rawzip::time::ZipDateTimeKind;
use rawzip::{CompressionMethod, ZipFileHeaderRecord, ZipLocator};

use crate::entry::{Content, EntryKind, EntryPath, Timestamp};
use crate::operation::view::content::ContentBytes;
use crate::operation::view::inflate::inflated;
use crate::operation::view::member::Told;
use crate::repository::reader::Reader;

/// Most bytes that the members of one archive come to; those beyond are only listed.
pub const SIZE_MAX: u64 = 1 << 30;
/// Most members of an archive that is shown at all.
const MEMBERS_MAX: usize = 1 << 20;
/// Longest target of a symbolic link.
const LINK_LENGTH_MAX: u64 = 4096;
/// Longest path that a member may have beneath its folder; a longer one cannot even be listed.
const PATH_LENGTH_MAX: usize = EntryPath::LENGTH_MAX - 4096;
/// Bytes of the directory that are read at once; a record of it never has more.
const BUFFER_SIZE: usize = 256 * 1024;

/// What kind of file a mode says, and which of them can be members.
const KIND: u32 = 0o170_000;
const KIND_FILE: u32 = 0o100_000;
const KIND_FOLDER: u32 = 0o040_000;

/// A member of an archive.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Path in the archive; folders end in a slash.
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryKind,
    pub(super) told: Told,
    pub(super) body: Body,
}

/// Where the bytes of a member are and how they are packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body {
    /// Where its own header begins, which stands before its bytes.
    pub(super) header: u64,
    pub(super) packing: Packing,
    /// Bytes as they are packed.
    pub(super) packed: u64,
    /// And unpacked.
    pub(super) size: u64,
    pub(super) checksum: u32,
}

/// How the bytes of a member are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Stored,
    Deflated,
}

/// The members of an archive by path; `None` for what is no archive.
pub(super) fn members(reader: &Reader<'_>, content: &Content) -> Option<Vec<Member>> {
    let bytes = ContentBytes::new(reader, content);
    let mut buffer = vec![0; BUFFER_SIZE];
    let archive = ZipLocator::new().locate_in_reader(bytes, &mut buffer, content.size()).ok()?;
    let mut members = Vec::new();
    let mut entries = archive.entries(&mut buffer);
    while let Some(record) = entries.next_entry().ok()? {
        if members.len() >= MEMBERS_MAX {
            return None;
        }
        members.extend(member(&record));
    }
    withhold_beyond(&mut members);
    members.sort_by(|one, other| one.path.cmp(&other.path));
    withhold_doubled(&mut members);
    follow_links(archive.get_ref(), &mut members);
    Some(members)
}

/// One record of the directory; `None` where its path is too long to be shown.
fn member(record: &ZipFileHeaderRecord<'_>) -> Option<Member> {
    let path = record.file_path().as_bytes().to_vec();
    let mode = record.mode();
    let is_folder = record.is_dir();
    let packing = match record.compression_method() {
        CompressionMethod::STORE => Some(Packing::Stored),
        CompressionMethod::DEFLATE => Some(Packing::Deflated),
        _ => None,
    };
    let kind = match mode.value() & KIND {
        _ if mode.is_symlink() => Some(EntryKind::Symlink(Vec::new())),
        _ if is_folder => Some(EntryKind::Directory),
        KIND_FILE | KIND_FOLDER | 0 => Some(EntryKind::File),
        _ => None,
    };
    let size = record.uncompressed_size_hint();
    let withheld = if !is_safe(&path) {
        Some("its path leads elsewhere")
    } else if record.flags().is_encrypted() || record.flags().has_strong_encryption() {
        Some("it is encrypted")
    } else if kind.is_none() || is_folder && (mode.is_symlink() || size > 0) {
        Some("it is neither a file nor a folder nor a link")
    } else if packing.is_none() {
        Some("it is packed in an unknown way")
    } else {
        None
    };
    let told = Told { checksum: record.crc32(), mode: mode.permissions(), modified: modified(record), withheld };
    let body = Body {
        header: record.local_header_offset(),
        packing: packing.unwrap_or(Packing::Stored),
        packed: record.compressed_size_hint(),
        size,
        checksum: record.crc32(),
    };
    let kind = kind.unwrap_or(EntryKind::File);
    (path.len() <= PATH_LENGTH_MAX).then_some(Member { path, kind, told, body })
}

/// When a member was last changed; the older way to say it knows no zone, and is read as UTC.
fn modified(record: &ZipFileHeaderRecord<'_>) -> Timestamp {
    let (seconds, nanoseconds) = match record.last_modified() {
        ZipDateTimeKind::Utc(time) => (time.to_unix(), time.nanosecond()),
        ZipDateTimeKind::Local(time) => {
            let of = |value: u8| i8::try_from(value).unwrap_or_default();
            let year = i16::try_from(time.year()).unwrap_or_default();
            let parts = [time.month(), time.day(), time.hour(), time.minute(), time.second()].map(of);
            let civil = jiff::civil::DateTime::new(year, parts[0], parts[1], parts[2], parts[3], parts[4], 0);
            let zoned = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC));
            (zoned.map_or(0, |zoned| zoned.timestamp().as_second()), 0)
        }
    };
    Timestamp { seconds, nanoseconds: if nanoseconds < 1_000_000_000 { nanoseconds } else { 0 } }
}

/// Whether a path stays beneath the folder it is put into, and is spelled in one way only.
fn is_safe(path: &[u8]) -> bool {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    !path.contains(&0) && path.split(|&byte| byte == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// In the order of the directory, what comes after the limit.
fn withhold_beyond(members: &mut [Member]) {
    let mut total: u64 = 0;
    for member in members.iter_mut().filter(|member| member.told.withheld.is_none()) {
        total = total.saturating_add(member.body.size);
        if total > SIZE_MAX {
            member.told.withheld = Some("it lies beyond the first GiB of the archive's members");
        }
    }
}

/// Members of one path, and those that stand where others have a folder. One entry is left of each path.
fn withhold_doubled(members: &mut Vec<Member>) {
    let plain = |path: &[u8]| path.strip_suffix(b"/").unwrap_or(path).to_vec();
    let mut counts: HashMap<Vec<u8>, (u32, Stands)> = HashMap::new();
    for member in members.iter() {
        counts.entry(plain(&member.path)).or_insert((0, Stands::Alone)).0 += 1;
    }
    for member in members.iter().filter(|member| member.told.withheld.is_none()) {
        let mut above = &member.path[..];
        above = above.strip_suffix(b"/").unwrap_or(above);
        while let Some(slash) = above.iter().rposition(|&byte| byte == b'/') {
            above = &above[..slash];
            let Some((_, stands)) = counts.get_mut(above) else { continue };
            if std::mem::replace(stands, Stands::Above) == Stands::Above {
                break;
            }
        }
    }
    for member in members.iter_mut().filter(|member| member.told.withheld.is_none()) {
        match counts.get(&plain(&member.path)) {
            Some((2.., _)) => member.told.withheld = Some("the archive has several of this path"),
            Some((_, Stands::Above)) if member.kind != EntryKind::Directory => {
                member.told.withheld = Some("the archive has others beneath it");
            }
            _ => {}
        }
    }
    for member in members.iter_mut().filter(|member| member.told.withheld.is_some()) {
        // What is only listed is nobody's folder.
        member.kind = EntryKind::File;
    }
    members.dedup_by(|one, other| one.path == other.path);
}

/// Whether others lie beneath a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Alone,
    Above,
}

/// Reads where links lead, and withholds those that lead out of the folder.
fn follow_links(bytes: &ContentBytes<'_, '_>, members: &mut [Member]) {
    for member in members.iter_mut().filter(|member| matches!(member.kind, EntryKind::Symlink(_))) {
        let target = if member.body.size > LINK_LENGTH_MAX { None } else { inflated(bytes, &member.body).ok() };
        match target.filter(|target| leads_inside(&member.path, target)) {
            Some(target) => member.kind = EntryKind::Symlink(target),
            None => {
                member.kind = EntryKind::File;
                member.told.withheld = Some("it is a link that leads elsewhere");
            }
        }
    }
}

/// Whether the target of a link at `path` lies in the folder, read name by name.
fn leads_inside(path: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut depth = path.iter().filter(|&&byte| byte == b'/').count();
    for name in target.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if depth == 0 => return false,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{is_safe, leads_inside};

    #[test]
    fn only_paths_that_stay_are_safe() {
        for path in ["a", "a/b", "a/", "..a", "a..", "...", "a\\b"] {
            assert!(is_safe(path.as_bytes()), "{path}");
        }
        for path in ["", "/", "/a", "a//b", "a//", "./a", "a/.", "../a", "a/../b", "a/..", "a\0b"] {
            assert!(!is_safe(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn links_that_climb_out_are_told_from_those_that_stay() {
        for (path, target) in [("a", "b"), ("x/a", "../b"), ("x/y/a", "../../b/./c"), ("a", "b/../c")] {
            assert!(leads_inside(path.as_bytes(), target.as_bytes()), "{path} {target}");
        }
        for (path, target) in [("a", ".."), ("a", "/etc"), ("x/a", "../../b"), ("a", "b/../../c"), ("a", "")] {
            assert!(!leads_inside(path.as_bytes(), target.as_bytes()), "{path} {target}");
        }
    }
}
