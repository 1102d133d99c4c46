//! Names of objects: what may be one, and the strict way back from each.

use proptest::prelude::*;
use snap::id::{PackId, SegmentId, SessionId};
use snap::storage::name::ObjectName;

#[test]
fn only_safe_relative_names_are_names() {
    let longest = "a".repeat(200);
    for text in ["config", "a/b/c", "A-Z_0.9", "x..y", &longest] {
        assert_eq!(text.parse::<ObjectName>().unwrap().as_str(), text);
    }
    let too_long = "a".repeat(201);
    let bad = [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", ".tmp-1", "a/.tmp-1", "a/b/c/d", "a b", "a\\b",
        "a\0b", "é", "a\n", "a:b", "~", &too_long,
    ];
    for text in bad {
        assert!(text.parse::<ObjectName>().is_err(), "{text:?}");
    }
}

#[test]
fn a_key_slot_has_32_lower_case_hex_digits() {
    let slot = "0123456789abcdef".repeat(2);
    let name = ObjectName::key_slot(&slot).unwrap();
    assert_eq!(name.as_str(), format!("keys/{slot}"));
    assert_eq!(name.key_slot_digits(), Some(&*slot));
    assert_eq!(name.key_slot_copy_digits(), None);
    let copy = ObjectName::key_slot_copy(&slot).unwrap();
    assert_eq!(copy.key_slot_copy_digits(), Some(&*slot));
    assert_eq!(copy.key_slot_digits(), None);
    for bad in
        ["", "..", "0", &slot.to_uppercase(), &slot[1..], &format!("{slot}0"), "../../../../../../../etc/passwd0"]
    {
        assert!(ObjectName::key_slot(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_number_has_one_spelling() {
    let session = SessionId([0x11; 16]);
    let odd = [
        "g/01",
        "g/+1",
        "g/",
        "g/-1",
        "g/x",
        "g/18446744073709551616",
        "g/01.commit",
        "g/1.commit.",
        "g/1.commit.copy.copy",
        &format!("s/{session}.hb.01"),
        &format!("s/{session}.hb."),
        &format!("i/01/{session}-1"),
        &format!("i/1/{session}-+1"),
        &format!("i/1/{session}"),
        "i/1",
        &format!("packs/00/{}", "11".repeat(32)),
        &format!("packs/11/{}", "11".repeat(31)),
        &format!("packs/1A/{}", "1A".repeat(32)),
        "b/1",
        "c/1",
        "f/1",
    ];
    for name in odd.iter().filter_map(|text| text.parse::<ObjectName>().ok()) {
        assert_eq!(kinds_of(&name), 0, "{name}");
    }
}

/// As how many kinds of object a name is taken.
fn kinds_of(name: &ObjectName) -> usize {
    [
        name.key_slot_digits().is_some(),
        name.key_slot_copy_digits().is_some(),
        name.pack_id().is_some(),
        name.session_id().is_some(),
        name.heartbeat_parts().is_some(),
        name.index_delta_parts().is_some(),
        name.commit_cell_id().is_some(),
        name.forget_mark_id().is_some(),
        name.prune_intent_number().is_some(),
        name.prune_manifest_number().is_some(),
        name.prune_manifest_copy_number().is_some(),
        name.base_segment_id().is_some(),
    ]
    .into_iter()
    .filter(|is| *is)
    .count()
}

proptest! {
    #[test]
    fn every_kind_of_name_is_read_back_as_itself_only(
        long in any::<[u8; 32]>(),
        short in any::<[u8; 16]>(),
        epoch in any::<u64>(),
        number in any::<u64>(),
    ) {
        let (pack, segment, session) = (PackId(long), SegmentId(long), SessionId(short));
        prop_assert_eq!(ObjectName::pack(&pack).pack_id(), Some(pack));
        prop_assert_eq!(ObjectName::session(&session).session_id(), Some(session));
        prop_assert_eq!(ObjectName::heartbeat(&session, number).heartbeat_parts(), Some((session, number)));
        let delta = ObjectName::index_delta(epoch, &session, number);
        prop_assert_eq!(delta.index_delta_parts(), Some((epoch, session, number)));
        prop_assert_eq!(ObjectName::commit_cell(&session).commit_cell_id(), Some(session));
        prop_assert_eq!(ObjectName::forget_mark(&session).forget_mark_id(), Some(session));
        prop_assert_eq!(ObjectName::prune_intent(number).prune_intent_number(), Some(number));
        prop_assert_eq!(ObjectName::prune_manifest(number).prune_manifest_number(), Some(number));
        prop_assert_eq!(ObjectName::prune_manifest_copy(number).prune_manifest_copy_number(), Some(number));
        prop_assert_eq!(ObjectName::base_segment(&segment).base_segment_id(), Some(segment));
        for name in [
            ObjectName::pack(&pack), ObjectName::session(&session), ObjectName::heartbeat(&session, number), delta,
            ObjectName::commit_cell(&session), ObjectName::forget_mark(&session), ObjectName::prune_intent(number),
            ObjectName::prune_manifest(number), ObjectName::prune_manifest_copy(number), ObjectName::base_segment(&segment),
        ] {
            prop_assert_eq!(kinds_of(&name), 1, "{}", name);
            prop_assert_eq!(name.as_str().parse::<ObjectName>(), Ok(name.clone()));
        }
    }
}
