//! Cutting: against a naive reading of FORMAT.md §11, in windows of every size, and against golden vectors.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::Config;
use snap::codec::chunk::least::Instructions;
use snap::codec::chunk::{ChunkLimits, Chunker, ChunkerParameters, Cut, Cutter, Window, profile_of};
use snap::entry::Profile;

use super::{noise, text};

const PROFILES: [Profile; 3] = [Profile::Bulk, Profile::Record, Profile::Zip];
const KEY: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Chunk(usize),
    Zeros(u64),
}

fn push(parts: &mut Vec<Part>, cut: Cut) -> usize {
    match cut {
        Cut::Chunk(length) => {
            parts.push(Part::Chunk(length));
            length
        }
        Cut::Zeros(length) => {
            match parts.last_mut() {
                Some(Part::Zeros(sum)) => *sum += length,
                _ => parts.push(Part::Zeros(length)),
            }
            usize::try_from(length).expect("it fits")
        }
        Cut::NeedMore => panic!("the window was large enough"),
    }
}

fn cut_whole(mut cutter: Cutter<'_>, content: &[u8]) -> Vec<Part> {
    let (mut parts, mut start) = (Vec::new(), 0);
    while start < content.len() {
        start += push(&mut parts, cutter.next(&content[start..], Window::Last));
    }
    parts
}

/// Cuts in windows that grow by the given steps whenever the cutter asks for more.
fn cut_in_windows(mut cutter: Cutter<'_>, content: &[u8], steps: &[usize]) -> Vec<Part> {
    let (mut parts, mut start, mut end) = (Vec::new(), 0, 0);
    let mut steps = steps.iter().cycle();
    while start < content.len() {
        let window = if end == content.len() { Window::Last } else { Window::More };
        match cutter.next(&content[start..end], window) {
            Cut::NeedMore => {
                assert!(end - start < cutter.window_size() && window == Window::More);
                end = content.len().min(end + steps.next().expect("steps go round"));
            }
            cut => {
                start += push(&mut parts, cut);
                if cutter.in_zeros() {
                    assert_eq!(start, end, "a run that may go on touches the end of the window");
                }
            }
        }
    }
    parts
}

/// FORMAT.md §11, word by word.
fn cut_naively(content: &[u8], profile: Profile, parameters: &ChunkerParameters) -> Vec<Part> {
    let a = u32::from_le_bytes(KEY[..4].try_into().expect("four"));
    let b = u32::from_le_bytes(KEY[4..8].try_into().expect("four")) | 1;
    let limits = parameters.limits(profile);
    let (min, max) = (limits.min as usize, limits.max as usize);
    let mut parts = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros >= max {
            parts.push(Part::Zeros(zeros as u64));
            rest = &rest[zeros..];
            continue;
        }
        let member = (parameters.zip_member_min as usize..=max)
            .find(|&at| rest.get(at..at + 4).is_some_and(|four| four == b"PK\x03\x04" || four == b"PK\x01\x02"));
        let length = match member {
            Some(length) if profile == Profile::Zip => length,
            _ if rest.len() <= max => rest.len(),
            _ => {
                let hash = |length: usize| {
                    let x = u32::from_le_bytes(rest[length - 4..length].try_into().expect("four"));
                    (x ^ a).wrapping_mul(b)
                };
                let length = (min..=max).min_by_key(|&length| (hash(length), length)).expect("min < max");
                let newline = (length..max).find(|&at| rest[at] == b'\n');
                if profile == Profile::Record { newline.map_or(length, |at| at + 1) } else { length }
            }
        };
        parts.push(Part::Chunk(length));
        rest = &rest[length..];
    }
    parts
}

fn small_parameters() -> ChunkerParameters {
    let limits = ChunkLimits { min: 16, max: 100 };
    ChunkerParameters { bulk: limits, record: ChunkLimits { min: 5, max: 333 }, zip: limits, zip_member_min: 7 }
}

/// Content of stretches that every rule bites on.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let stretch = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (0_usize..900).prop_map(|length| vec![0; length]),
        (0_usize..300).prop_map(|length| vec![b'\n'; length]),
        prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(0)], 0..200),
        prop::collection::vec(
            prop_oneof![Just(&b"PK\x03\x04"[..]), Just(&b"PK\x01\x02"[..]), Just(&b"PPK\x05"[..])],
            0..20
        )
        .prop_map(|words| words.concat()),
        Just(vec![0; 100]),
        Just(vec![0; 99]),
    ];
    prop::collection::vec(stretch, 0..8).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn pieces_are_those_of_the_format_whatever_the_windows_and_instructions(
        content in content(),
        steps in prop::collection::vec(1_usize..400, 1..20),
    ) {
        for profile in PROFILES {
            let expected = cut_naively(&content, profile, &small_parameters());
            for instructions in Instructions::all_here() {
                let chunker = Chunker::with_instructions(&KEY, &small_parameters(), instructions);
                prop_assert_eq!(&cut_whole(chunker.cutter(profile), &content), &expected);
                prop_assert_eq!(&cut_in_windows(chunker.cutter(profile), &content, &steps), &expected);
            }
        }
    }
}

#[test]
fn content_as_long_as_the_longest_chunk_is_one_chunk_and_a_byte_more_is_cut() {
    let parameters = small_parameters();
    let chunker = Chunker::new(&KEY, &parameters);
    let content = noise("edge", 101);
    assert_eq!(cut_whole(chunker.cutter(Profile::Bulk), &content[..100]), [Part::Chunk(100)]);
    assert_eq!(cut_whole(chunker.cutter(Profile::Bulk), &content).len(), 2);
}

#[test]
fn shorter_run_of_zeros_than_the_longest_chunk_is_a_chunk() {
    let chunker = Chunker::new(&KEY, &small_parameters());
    assert_eq!(cut_whole(chunker.cutter(Profile::Bulk), &[0; 99]), [Part::Chunk(99)]);
    assert_eq!(cut_whole(chunker.cutter(Profile::Bulk), &[0; 100]), [Part::Zeros(100)]);
    assert_eq!(cut_whole(chunker.cutter(Profile::Bulk), &[0; 100_000]), [Part::Zeros(100_000)]);
}

#[test]
fn another_key_cuts_elsewhere() {
    let content = noise("key", 4_000_000);
    let parameters = ChunkerParameters::default();
    let pieces = |key| cut_whole(Chunker::new(key, &parameters).cutter(Profile::Bulk), &content);
    assert_ne!(pieces(&KEY), pieces(&[7; 32]));
}

#[test]
fn inserted_byte_changes_only_the_chunks_around_it() {
    let content = noise("insert", 8_000_000);
    let changed = [&content[..1_000_000], b"!", &content[1_000_000..]].concat();
    let chunker = Chunker::new(&KEY, &ChunkerParameters::default());
    let chunks = |content: &[u8]| -> std::collections::HashSet<Vec<u8>> {
        let mut start = 0;
        let parts = cut_whole(chunker.cutter(Profile::Bulk), content);
        let lengths =
            parts.iter().map(|part| if let Part::Chunk(length) = part { *length } else { panic!("no zeros") });
        lengths
            .map(|length| {
                start += length;
                content[start - length..start].to_vec()
            })
            .collect()
    };
    let (before, after) = (chunks(&content), chunks(&changed));
    let new = after.difference(&before).count();
    assert!((1..=6).contains(&new), "{new} of {} chunks are new", after.len());
}

#[test]
fn profile_follows_the_first_bytes_then_the_name() {
    assert_eq!(profile_of(b"layer.csv", b"PK\x03\x04rest"), Profile::Zip);
    assert_eq!(profile_of(b"a/items.jsonl", b"{}"), Profile::Record);
    assert_eq!(profile_of(b"dump.sql", b""), Profile::Record);
    assert_eq!(profile_of(b"sql", b"PK\x03"), Profile::Bulk);
    assert_eq!(profile_of(b"photo.jpg", b"\xff\xd8"), Profile::Bulk);
}

#[test]
fn default_parameters_are_those_of_the_format() {
    let json = r#"{"bulk":{"min":65536,"max":196608},"record":{"min":32768,"max":98304},"zip":{"min":65536,"max":196608,"member_min":4096}}"#;
    assert_eq!(serde_json::to_string(&ChunkerParameters::default()).expect("it encodes"), json);
    assert_eq!(serde_json::from_str::<ChunkerParameters>(json).expect("it decodes"), ChunkerParameters::default());
}

#[test]
fn parameters_that_cannot_cut_are_refused() {
    let good = serde_json::to_value(ChunkerParameters::default()).expect("it encodes");
    for (pointer, value) in [
        ("/bulk/min", 3),
        ("/bulk/min", 196_608),
        ("/record/max", 8 * 1024 * 1024 + 1),
        ("/record/max", 0),
        ("/zip/min", 200_000),
        ("/zip/member_min", 0),
        ("/zip/member_min", 196_609),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("it is there") = value.into();
        assert!(serde_json::from_value::<ChunkerParameters>(bad).is_err(), "{pointer} = {value}");
    }
}

/// What the golden vectors cut: noise, zeros, text, zip members and a long tie.
fn golden_content() -> Vec<u8> {
    let member = [b"PK\x03\x04", noise("member", 50_000).as_slice()].concat();
    let parts = [
        member.repeat(4),
        noise("golden", 600_000),
        vec![0; 300_000],
        text("golden", 400_000),
        b"PK\x01\x02central".repeat(900),
        vec![7; 250_000],
    ];
    parts.concat()
}

#[test]
fn golden_content_is_cut_where_it_always_was() {
    let content = golden_content();
    let chunker = Chunker::new(&KEY, &ChunkerParameters::default());
    let cut = |profile| {
        let parts = cut_whole(chunker.cutter(profile), &content);
        assert_eq!(parts, cut_naively(&content, profile, &ChunkerParameters::default()));
        let words: Vec<String> = parts
            .iter()
            .map(|part| match part {
                Part::Chunk(length) => format!("{length}"),
                Part::Zeros(length) => format!("z{length}"),
            })
            .collect();
        words.join(" ")
    };
    assert_eq!(
        PROFILES.map(cut),
        [
            "76352 100008 168748 98757 161362 79868 91187 65536 z258198 65540 68248 65875 65957 66662 65713 65536 \
         196369",
            "76452 50004 50004 64454 68013 36605 45611 53014 51019 98014 91947 91181 32768 z290930 34856 33385 \
         33415 33503 34202 33286 32897 33934 33013 33341 33824 32770 32768 32768 32768 32768 32768 93634",
            "50004 50004 50004 195096 98757 161362 79868 91187 65536 z258198 65540 68248 65875 65957 134380 4103 \
         4103 65536 186158",
        ]
    );
}
