//! How snapshots are named: whatever is parsed prints the same, and whoever is meant is found.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use snap::id::{SessionId, SnapshotId};
use snap::operation::reference::{Base, Notice, Reference, ReferenceError, Scope, Snapshots, When};
use snap::resource::{SnapshotRecord, Summary};

fn record(time: &str, host: &str, series: &str, tags: &[&str]) -> SnapshotRecord {
    SnapshotRecord {
        time: time.parse().expect("a time"),
        host: host.into(),
        user: "me".into(),
        series: series.into(),
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        description: String::new(),
        parent: None,
        amends: None,
        original: None,
        tool: "test".into(),
        resources: Vec::new(),
        asked: Vec::new(),
        summary: Summary::default(),
    }
}

fn id(first: u8, second: u8) -> SnapshotId {
    let mut bytes = [0; 16];
    (bytes[0], bytes[1]) = (first, second);
    SessionId(bytes)
}

fn history() -> Vec<(SnapshotId, SnapshotRecord)> {
    vec![
        (id(4, 1), record("2026-11-01T22:59:59Z", "a", "laptop", &["prod"])),
        (id(1, 2), record("2026-10-31T10:00:00Z", "a", "laptop", &["prod"])),
        (id(2, 3), record("2026-11-02T10:00:00Z", "a", "laptop", &[])),
        (id(3, 4), record("2026-11-01T23:30:00Z", "a", "www", &[])),
        (id(4, 2), record("2026-11-03T10:00:00Z", "b", "server", &[])),
    ]
}

fn find(text: &str, scope: &Scope) -> Result<(SnapshotId, Option<Notice>), ReferenceError> {
    let history = history();
    let list: Vec<_> = history.iter().map(|(id, record)| (*id, record)).collect();
    // One hour east of UTC: the day 2026-11-01 ends at 23:00 UTC.
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    let reference = Reference::parse(text.as_bytes())?;
    Snapshots::new(&list, scope, &zone).resolve(&reference).map(|resolved| (resolved.id, resolved.notice))
}

fn found(text: &str) -> SnapshotId {
    find(text, &Scope::Host("a".into())).unwrap_or_else(|error| panic!("{text}: {error}")).0
}

#[test]
fn each_way_to_name_a_snapshot_finds_it() {
    assert_eq!(found("latest"), id(2, 3));
    assert_eq!(found("latest~1"), id(4, 1));
    assert_eq!(found("latest~2"), id(1, 2));
    assert_eq!(found("@2026-11-01"), id(4, 1));
    assert_eq!(found("@2026-10-31T11:00"), id(1, 2));
    assert_eq!(found("@2026-11-02T00:30"), id(3, 4));
    assert_eq!(found("tag:prod"), id(4, 1));
    assert_eq!(found("tag:prod~1:etc/x"), id(1, 2));
    assert_eq!(found("series:www"), id(3, 4));
    assert_eq!(found("series:server"), id(4, 2));
    assert_eq!(found("0203"), id(2, 3));
    assert_eq!(found(&format!("{}~1", id(4, 1))), id(1, 2));
}

#[test]
fn what_is_not_there_or_not_clear_is_an_error_that_names_it() {
    let error = |text: &str| find(text, &Scope::Host("a".into())).expect_err(text).to_string();
    assert_eq!(error("latest~9"), "latest~9 goes back 9, but only 2 snapshots of its series are older");
    assert_eq!(error("@2026-10-01:x"), "no snapshot matches @2026-10-01");
    assert_eq!(error("tag:none"), "no snapshot matches tag:none");
    let list = [(id(4, 1), "0401"), (id(4, 2), "0402")];
    assert!(list.iter().all(|(id, prefix)| found(prefix) == *id));
    for text in ["", "040", "late", "latest~x", "@monday", "tag:", "04g1", "latest~99999999999"] {
        assert!(matches!(find(text, &Scope::Any), Err(ReferenceError::Malformed { .. })), "{text}");
    }
}

#[test]
fn an_ambiguous_prefix_lists_its_candidates() {
    let records = history();
    let twins = [
        (SessionId([0xab; 16]), &records[0].1),
        (
            SessionId({
                let mut b = [0xab; 16];
                b[15] = 0;
                b
            }),
            &records[1].1,
        ),
    ];
    let zone = TimeZone::UTC;
    let reference = Reference::parse(b"abab").expect("a prefix");
    let error = Snapshots::new(&twins, &Scope::Any, &zone).resolve(&reference).expect_err("two begin so");
    assert!(error.to_string().starts_with("abab is the start of 2 snapshots: abababababab (2026-10-31 10:00, laptop)"));
}

#[test]
fn a_choice_among_series_or_hosts_is_told() {
    let notice = |text: &str, scope: Scope| find(text, &scope).expect("found").1;
    let chosen = notice("latest", Scope::Host("a".into()));
    assert_eq!(chosen, Some(Notice::SeriesChosen { series: "laptop".into(), others: vec!["www".into()] }));
    assert_eq!(notice("latest", Scope::Series("www".into())), None);
    let other = find("latest", &Scope::Host("new".into())).expect("found");
    assert_eq!(other.0, id(4, 2));
    assert_eq!(other.1, Some(Notice::OtherHost { host: "new".into(), chosen: "b".into() }));
    let empty = Snapshots::new(&[], &Scope::Any, &TimeZone::UTC).resolve(&Reference::parse(b"latest").expect("valid"));
    assert_eq!(empty, Err(ReferenceError::Empty));
}

#[test]
fn a_path_inside_keeps_its_bytes_and_its_colons() {
    let parse = |text: &[u8]| Reference::parse(text).expect("valid");
    assert_eq!(parse(b"latest:/local/a:b\xff").path, Some(b"local/a:b\xff".to_vec()));
    assert_eq!(parse(b"latest:").path, Some(Vec::new()));
    assert_eq!(parse(b"latest").path, None);
    let time = parse(b"@2026-11-01T12:30:etc:x");
    assert_eq!(time.path, Some(b"etc:x".to_vec()));
    assert!(matches!(time.base, Base::At(When::Minute(_))));
    assert!(matches!(parse(b"@2026-11-01T12:30:15~2:etc").base, Base::At(When::Second(_))));
    assert!(matches!(parse(b"@2026-11-01T12:30:15Z:etc").base, Base::At(When::Instant(_))));
}

fn reference() -> impl Strategy<Value = Reference> {
    let name = "[a-z][a-z0-9/._-]{0,8}";
    let seconds = 0i64..4_000_000_000;
    let time = seconds.prop_map(|seconds| Timestamp::from_second(seconds).expect("in range"));
    let when = (time, 0..4).prop_map(|(instant, precision)| {
        let local = instant.to_zoned(TimeZone::UTC).datetime();
        match precision {
            0 => When::Day(local.date()),
            1 => When::Minute(local.with().second(0).build().expect("valid")),
            2 => When::Second(local),
            _ => When::Instant(instant),
        }
    });
    let base = prop_oneof![
        Just(Base::Latest),
        when.prop_map(Base::At),
        "[0-9a-f]{4,32}".prop_map(Base::Id),
        name.prop_map(Base::Tag),
        name.prop_map(Base::Series),
    ];
    let path = proptest::option::of("([a-z]{1,5}/){0,3}[a-z]{1,5}(:[a-z])?".prop_map(String::into_bytes));
    (base, 0u32..100, path).prop_map(|(base, back, path)| Reference { base, back, path })
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_as_the_same(reference in reference()) {
        prop_assert_eq!(Reference::parse(reference.to_string().as_bytes()), Ok(reference));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = Reference::parse(&text);
    }

    #[test]
    fn latest_back_n_is_the_nth_newest_of_its_series(
        times in proptest::collection::btree_set(0i64..1_000_000, 1..20), back in 0usize..25,
    ) {
        let records: Vec<_> = times.iter().enumerate().map(|(at, seconds)| {
            let time = Timestamp::from_second(*seconds).expect("in range").to_string();
            (id(u8::try_from(at).expect("few"), 0), record(&time, "a", "s", &[]))
        }).collect();
        let list: Vec<_> = records.iter().rev().map(|(id, record)| (*id, record)).collect();
        let text = format!("latest~{back}");
        let reference = Reference::parse(text.as_bytes()).expect("valid");
        let scope = Scope::Host("a".into());
        let resolved = Snapshots::new(&list, &scope, &TimeZone::UTC).resolve(&reference);
        match records.len().checked_sub(back + 1) {
            Some(at) => prop_assert_eq!(resolved.map(|found| found.id), Ok(records[at].0)),
            None => prop_assert!(matches!(resolved, Err(ReferenceError::TooFarBack { .. })), "{:?}", resolved),
        }
    }
}
