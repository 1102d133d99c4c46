//! Owner, attributes, mode and times come back exactly; holes and devices too.

use std::fs;
use std::os::unix::fs::MetadataExt;

use snap::entry::{Content, Metadata, ObjectMetadata, PosixMetadata, Timestamp, Xattr};
use snap::operation::target::error::Part;
use snap::operation::target::metadata::Attribute;
use snap::operation::target::node::Node;
use snap::operation::target::owner::Identity;
use snap::operation::target::{Holes, Owner, TargetOptions};

use super::{BOTH_WAYS, Ground, is_root, options, plain, posix, skipped, write_file, write_file_with};

fn of(posix: PosixMetadata) -> Metadata {
    Metadata::Posix(Box::new(posix))
}

#[test]
fn every_mode_and_time_comes_back() {
    let times = [(0, 0), (-1, 999_999_999), (-2_000_000_000, 1), (1, 999_999_999), (4_000_000_000, 500)];
    for ways in BOTH_WAYS {
        let ground = Ground::new();
        let target = ground.open(options(ways));
        let _open = target.directory(b"folder").expect("a folder");
        for mode in [0, 0o400, 0o444, 0o600, 0o644, 0o664, 0o666, 0o755, 0o777, 0o1777, 0o4755, 0o2755, 0o6711] {
            for (seconds, nanoseconds) in times {
                let metadata = of(PosixMetadata { modified: Timestamp { seconds, nanoseconds }, ..posix(mode) });
                // Once new, once replacing.
                for _ in 0..2 {
                    let warnings = write_file(&target, b"file", b"content", &metadata).expect("a file");
                    assert!(warnings.is_empty(), "{warnings:?}");
                    let status = fs::metadata(ground.at("file")).expect("status");
                    assert_eq!(status.mode() & 0o7777, mode, "{mode:o}");
                    assert_eq!((status.mtime(), status.mtime_nsec()), (seconds, i64::from(nanoseconds)));
                }
                let warnings = target.set_directory_metadata(b"folder", &metadata, &[]).expect("a folder");
                assert!(warnings.is_empty(), "{warnings:?}");
                let status = fs::metadata(ground.at("folder")).expect("status");
                assert_eq!((status.mode() & 0o7777, status.mtime()), (mode, seconds));
            }
        }
    }
}

#[test]
fn object_gets_its_time_and_the_usual_mode() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let modified = Timestamp { seconds: 1_234_567_890, nanoseconds: 5 };
    let metadata = Metadata::Object(Box::new(ObjectMetadata { modified, ..ObjectMetadata::default() }));
    write_file(&target, b"key", b"body", &metadata).expect("an object");
    fs::write(ground.at("usual"), "").expect("a usual file");
    let [object, usual] = ["key", "usual"].map(|path| fs::metadata(ground.at(path)).expect("status"));
    assert_eq!((object.mode(), object.mtime()), (usual.mode(), 1_234_567_890));
}

#[test]
fn owners_go_by_name_then_by_number() {
    if !is_root() {
        return skipped("only root gives things away");
    }
    let ground = Ground::new();
    let name = |name: &str| Some(name.into());
    let known = PosixMetadata { uid: 4711, gid: 4712, user: name("daemon"), group: name("daemon"), ..posix(0o4750) };
    let unknown = PosixMetadata { user: name("nobody-here"), group: name("nobody-here"), ..known.clone() };
    let daemon = uzers::get_user_by_name("daemon").expect("the user daemon").uid();
    for (metadata, identity, uid) in
        [(&known, Identity::Named, daemon), (&known, Identity::Numbered, 4711), (&unknown, Identity::Named, 4711)]
    {
        let target = ground.open(TargetOptions { identity, ..TargetOptions::default() });
        let warnings = write_file(&target, b"file", b"x", &of(metadata.clone())).expect("a file");
        let root = target.directory(b"").expect("the target");
        let _ = target.create_symlink(&root, b"link", b"file", &of(metadata.clone())).expect("a link");
        assert!(warnings.is_empty());
        let status = fs::metadata(ground.at("file")).expect("status");
        assert_eq!((status.uid(), status.mode() & 0o7777), (uid, 0o4750));
        assert_eq!(fs::symlink_metadata(ground.at("link")).expect("status").uid(), uid);
    }
}

#[test]
fn set_id_bits_go_with_their_owner_only() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions { owner: Owner::Ignore, ..TargetOptions::default() });
    let foreign = PosixMetadata { uid: 4711, ..posix(0o6755) };
    let warnings = write_file(&target, b"foreign", b"x", &of(foreign)).expect("a file");
    assert_eq!(warnings.iter().map(|warning| &warning.part).collect::<Vec<_>>(), [&Part::SetId]);
    assert_eq!(fs::metadata(ground.at("foreign")).expect("status").mode() & 0o7777, 0o755);
    assert!(write_file(&target, b"own", b"x", &plain(0o4755)).expect("a file").is_empty());
    assert_eq!(fs::metadata(ground.at("own")).expect("status").mode() & 0o7777, 0o4755);
}

#[test]
fn folder_that_hands_down_its_group_does_not_hide_the_files_own() {
    if !is_root() {
        return skipped("only root gives things away");
    }
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    target.directory(b"shared").expect("a folder");
    let shared = PosixMetadata { gid: 4712, ..posix(0o2775) };
    target.set_directory_metadata(b"shared", &of(shared), &[]).expect("a folder");
    let target = ground.open(TargetOptions::default());
    for (path, gid) in [("shared/own", 0), ("shared/deep/own", 0), ("shared/other", 4713), ("shared/deep/same", 4712)] {
        let metadata = PosixMetadata { gid, ..posix(0o2640) };
        assert!(write_file(&target, path.as_bytes(), b"x", &of(metadata)).expect("a file").is_empty());
        let status = fs::metadata(ground.at(path)).expect("status");
        assert_eq!((status.gid(), status.mode() & 0o7777), (gid, 0o2640), "{path}");
    }
}

/// An access or default ACL that lets user 4711 in beside the owner: version 2, then tag, permissions and id of each.
fn acl(mask: u16) -> Vec<u8> {
    let none = u32::MAX;
    let rules: [(u16, u16, u32); 5] = [(1, 6, none), (2, 6, 4711), (4, 4, none), (0x10, mask, none), (0x20, 0, none)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in rules {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

fn attribute_of(path: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn attributes_and_acls_come_back_and_are_not_inherited() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let access = acl(6);
    let attributes = [
        Attribute { name: b"user.comment", value: b"a\0b" },
        Attribute { name: b"user.empty", value: b"" },
        Attribute { name: b"system.posix_acl_access", value: &access },
    ];
    let xattrs = attributes.map(|a| Xattr { name: a.name.to_vec(), value: Content::Inline(a.value.to_vec()) });
    let metadata = of(PosixMetadata { xattrs: xattrs.to_vec(), ..posix(0o460) });
    let warnings = write_file_with(&target, b"folder/file", b"x", &metadata, &attributes).expect("a file");
    if !warnings.is_empty() {
        return skipped("no attributes here");
    }
    let default = [Attribute { name: b"system.posix_acl_default", value: &access }];
    target.set_directory_metadata(b"folder", &plain(0o755), &default).expect("a folder");
    for attribute in attributes {
        let name = std::str::from_utf8(attribute.name).expect("a name");
        let mut found = attribute_of(&ground.at("folder/file"), name).expect(name);
        // The owner's permissions in the ACL are the mode's.
        if name.contains("acl") {
            assert_eq!(found[6], 4, "the owner's permissions are the mode's");
            found[6] = 6;
        }
        assert_eq!(found, attribute.value, "{name}");
    }
    assert_eq!(fs::metadata(ground.at("folder/file")).expect("status").mode() & 0o777, 0o460);

    let target = ground.open(TargetOptions::default());
    for path in ["folder/plain", "folder/deep/plain"] {
        write_file(&target, path.as_bytes(), b"x", &plain(0o640)).expect("a file");
        assert_eq!(attribute_of(&ground.at(path), "system.posix_acl_access"), None, "{path}");
        assert_eq!(fs::metadata(ground.at(path)).expect("status").mode() & 0o777, 0o640);
    }
    target.set_directory_metadata(b"folder/deep", &plain(0o755), &[]).expect("a folder");
    assert_eq!(attribute_of(&ground.at("folder/deep"), "system.posix_acl_default"), None);
    assert_eq!(attribute_of(&ground.at("folder/deep"), "system.posix_acl_access"), None);
}

#[test]
fn attribute_that_cannot_be_is_a_warning_each() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions { owner: Owner::Ignore, ..TargetOptions::default() });
    let value = b"x";
    let attributes = [&b""[..], b"user.a\0b", b"nonsense", b"security.capability", b"trusted.overlay.opaque"]
        .map(|name| Attribute { name, value });
    let warnings = write_file_with(&target, b"file", b"x", &plain(0o600), &attributes).expect("a file");
    assert_eq!(warnings.len(), attributes.len(), "{warnings:?}");
    let root = target.directory(b"").expect("the target");
    let xattrs = vec![Xattr { name: b"user.x".to_vec(), value: Content::Empty }];
    let link = of(PosixMetadata { xattrs, ..posix(0o777) });
    let warnings = target.create_symlink(&root, b"link", b"file", &link).expect("a link");
    assert!(matches!(&warnings[..], [warning] if warning.part == Part::Attribute("user.x".to_owned())));
}

#[test]
fn devices_pipes_and_sockets_come_back() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let root = target.directory(b"").expect("the target");
    let device = Node::CharacterDevice { major: 1, minor: 3 };
    let nodes = [("pipe", Node::Fifo), ("socket", Node::Socket), ("null", device)];
    for (name, node) in nodes.into_iter().filter(|(name, _)| is_root() || *name != "null") {
        let warnings = target.create_node(&root, name.as_bytes(), node, &plain(0o622)).expect(name);
        assert!(warnings.is_empty(), "{warnings:?}");
        let status = fs::symlink_metadata(ground.at(name)).expect("status");
        assert_eq!((status.mode() & 0o7777, status.mtime()), (0o622, 1_500_000_000));
    }
    if is_root() {
        assert_eq!(fs::symlink_metadata(ground.at("null")).expect("status").rdev(), rustix::fs::makedev(1, 3));
    }
    let careful = ground.open(TargetOptions { owner: Owner::Ignore, ..TargetOptions::default() });
    careful.create_node(&root, b"other", device, &plain(0o622)).expect_err("no devices without owners");
}

#[test]
fn runs_of_zeros_become_holes_where_they_were_and_the_bytes_are_the_same() {
    let mut content = vec![0_u8; 1 << 20];
    content[4095] = 1;
    content[300_000..300_010].fill(2);
    for (flags, holes, few_blocks) in
        [(PosixMetadata::SPARSE, Holes::AsCaptured, true), (0, Holes::Always, true), (0, Holes::AsCaptured, false)]
    {
        for piece_length in [content.len(), 5000, 4096, 65_537] {
            let ground = Ground::new();
            let target = ground.open(TargetOptions { holes, ..TargetOptions::default() });
            let metadata = of(PosixMetadata { flags, ..posix(0o600) });
            let root = target.directory(b"").expect("the target");
            let file = target.create_file(&root, b"file", &metadata).expect("a file");
            for (number, piece) in content.chunks(piece_length).enumerate() {
                file.write_at(piece, (number * piece_length) as u64).expect("a piece");
            }
            file.finish(&metadata, &[]).expect("finished");
            assert!(fs::read(ground.at("file")).expect("content") == content, "in pieces of {piece_length}");
            let blocks = fs::metadata(ground.at("file")).expect("status").blocks();
            assert_eq!(blocks < 1024, few_blocks, "{blocks} blocks in pieces of {piece_length}");
        }
    }
}

#[test]
fn file_may_end_in_zeros_that_nobody_wrote() {
    let ground = Ground::new();
    let target = ground.open(TargetOptions::default());
    let root = target.directory(b"").expect("the target");
    let file = target.create_file(&root, b"file", &plain(0o600)).expect("a file");
    file.write_at(b"x", 0).expect("a piece");
    file.extend_to(1 << 40);
    file.finish(&plain(0o600), &[]).expect("finished");
    assert_eq!(fs::metadata(ground.at("file")).expect("status").len(), 1 << 40);
}
