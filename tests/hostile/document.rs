//! Sealed objects, snapshot records, config and key slots that lie.

use serde_json::{Value, json};
use snap::codec::compress::Compressor;
use snap::codec::hash::{digest, keyed};
use snap::id::{PageId, SessionId};
use snap::resource::Totals;

use super::Ran;
use super::forge::{Forge, file, leaf, record, resource};

/// A repository with one honest snapshot.
fn with_snapshot() -> Forge {
    let forge = Forge::new();
    forge.commit_entries(&[file(b"z")]);
    forge
}

#[test]
fn envelopes_that_lie_are_damage_of_one_object() {
    type Lie = (&'static str, fn(&mut [u8]), &'static str);
    let lies: [Lie; 7] = [
        ("length of 2^63", |header| header[16..24].copy_from_slice(&(1_u64 << 63).to_le_bytes()), "larger"),
        ("length of 65 MiB", |header| header[16..24].copy_from_slice(&(65_u64 << 20).to_le_bytes()), "larger"),
        ("length of 64 MiB", |header| header[16..24].copy_from_slice(&(64_u64 << 20).to_le_bytes()), "bytes"),
        ("length of 0", |header| header[16..24].fill(0), "bytes"),
        ("method", |header| header[9] = 7, "compression"),
        ("not compressed at all", |header| header[9] = 1, "zstd"),
        ("cipher", |header| header[10] = 7, "cipher"),
    ];
    for (name, lie, said) in lies {
        let forge = with_snapshot();
        forge.put_sealed(&format!("c/{}", SessionId([9; 16])), b"{\"state\":\"revoked\"}", lie);
        forge.withstand(name).check_says(21, &["c/0909", said]).restore_says(0, &[]).restores("local/x/z");
    }
}

#[test]
fn envelopes_of_a_newer_version_stop_with_that_word() {
    for at in [8, 11, 12] {
        let forge = with_snapshot();
        forge.put_sealed(&format!("c/{}", SessionId([9; 16])), b"{}", |header| header[at] = 9);
        forge.withstand("a newer envelope").restore_says(0, &["newer"]).restores("local/x/z");
    }
}

#[test]
fn objects_under_another_name_or_cut_short_do_not_open() {
    let forge = with_snapshot();
    forge.put_cell(b"{\"state\":\"revoked\"}");
    let cell = std::fs::read(forge.path(&format!("repository/c/{}", SessionId([9; 16])))).expect("a cell");
    forge.put_raw(&format!("c/{}", SessionId([8; 16])), &cell);
    for (at, length) in [(1, 0), (2, 63), (3, 64), (4, 79), (5, cell.len() - 1)] {
        forge.put_raw(&format!("c/{}", SessionId([at; 16])), &cell[..length]);
    }
    forge.withstand("replayed and cut").check_says(21, &["c/0808"]).restore_says(0, &[]).restores("local/x/z");
}

#[test]
fn bombs_in_documents_make_no_more_than_was_said() {
    let mut bomb = Vec::new();
    Compressor::new(3).expect("a level").compress(&vec![b' '; 300 << 20], &mut bomb).expect("compressed");
    for said in [10_u64, 1 << 20, 64 << 20] {
        let forge = with_snapshot();
        forge.put_sealed(&format!("c/{}", SessionId([9; 16])), &bomb, |header| {
            header[9] = 1;
            header[16..24].copy_from_slice(&said.to_le_bytes());
        });
        forge.withstand("a document bomb").check_says(21, &["c/0909"]).restore_says(0, &[]).restores("local/x/z");
    }
}

#[test]
fn deltas_that_are_bombs_are_set_aside() {
    let mut plain = b"SNAPIDX1".to_vec();
    plain.resize(512 << 20, 0);
    let mut bomb = Vec::new();
    Compressor::new(1).expect("a level").compress(&plain, &mut bomb).expect("compressed");
    let forge = with_snapshot();
    for number in 0..4 {
        forge.put_sealed(&format!("i/0/{}-{number}", SessionId([9; 16])), &bomb, |header| {
            header[9] = 1;
            header[16..24].copy_from_slice(&(512_u64 << 20).to_le_bytes());
        });
    }
    forge
        .withstand("four deltas of 512 MiB in 64 KiB")
        .check_says(20, &["i/0/0909"])
        .restore_says(0, &[])
        .restores("local/x/z");
}

fn cell(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut record = serde_json::to_value(record(Vec::new())).expect("plain data");
    change(&mut record);
    serde_json::to_vec(&json!({"state": "snapshot", "epoch": 0, "snapshot": record})).expect("plain data")
}

#[test]
fn records_that_are_none_are_damage_of_one_snapshot() {
    let nested = |open: &str, close: &str| open.repeat(100_000) + &close.repeat(100_000);
    let cells: [(&str, Vec<u8>); 12] = [
        ("empty", Vec::new()),
        ("not JSON", vec![0xff; 100]),
        ("nested lists", nested("[", "]").into_bytes()),
        ("nested objects", nested("{\"a\":", "}").into_bytes()),
        (
            "nested in an unknown member",
            cell(|record| record["zz"] = json!(0))
                .iter()
                .flat_map(|byte| match byte {
                    b'0' => nested("[", "]").into_bytes(),
                    byte => vec![*byte],
                })
                .collect(),
        ),
        ("state", b"{\"state\":\"evil\"}".to_vec()),
        ("time", cell(|record| record["time"] = json!("+99999999-01-01T00:00:00Z"))),
        ("negative epoch", b"{\"state\":\"closed\",\"epoch\":-1}".to_vec()),
        ("parent", cell(|record| record["parent"] = json!("../../config"))),
        ("root", cell(|record| record["resources"] = json!([{"root": "zz"}]))),
        ("counts of 2^64", cell(|record| record["summary"]["new"] = json!(1e30))),
        ("upper-case id", cell(|record| record["parent"] = json!("AB".repeat(16)))),
    ];
    for (name, bytes) in cells {
        let forge = with_snapshot();
        forge.put_cell(&bytes);
        forge.withstand(name).check_says(21, &["c/0909"]).restore_says(0, &[]).restores("local/x/z");
    }
}

#[test]
fn records_that_swell_in_memory_are_refused() {
    let empty = |count: usize| vec![""; count];
    let page = PageId([1; 32]).to_string();
    let totals = json!({"entries": 0, "files": 0, "bytes": 0});
    let cells: [(&str, Vec<u8>); 3] = [
        ("20 million tags", cell(|record| record["tags"] = json!(empty(20_000_000)))),
        (
            "20 million filters",
            cell(|record| {
                record["resources"] = json!([{"source": "local", "path": "x", "root": page, "totals": totals,
                "coverage": {"state": "complete"}, "scope": empty(20_000_000)}]);
            }),
        ),
        (
            "6 million attributes",
            cell(|record| {
                let attributes: serde_json::Map<String, Value> =
                    (0..4_000_000).map(|n| (format!("{n:x}"), json!(""))).collect();
                record["resources"] = json!([{"source": "local", "path": "x", "root": page, "totals": totals,
                "coverage": {"state": "complete"}, "attributes": attributes}]);
            }),
        ),
    ];
    for (name, bytes) in cells {
        let forge = with_snapshot();
        forge.put_cell(&bytes);
        forge.withstand(name).restore_says(0, &[]).restores("local/x/z");
    }
}

#[test]
fn words_in_records_are_shown_not_obeyed() {
    let forge = Forge::new();
    let root = forge.page(leaf(&[file(b"z")]));
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}\r\n";
    let mut record =
        serde_json::to_value(record(vec![resource("local/x", root, Totals { entries: 1, files: 1, bytes: 4 })]))
            .expect("plain data");
    for field in ["host", "user", "series", "description", "tool"] {
        record[field] = json!(evil);
    }
    record["tags"] = json!([evil]);
    record["resources"][0]["source"] = json!(evil);
    record["resources"][0]["scope"] = json!([evil]);
    record["resources"][0]["attributes"] = json!({evil: evil});
    let gap = json!({"path": evil, "action": evil, "reason": evil});
    record["resources"][0]["coverage"] = json!({"state": "partial", "gaps": [gap], "count": u64::MAX});
    let cell = json!({"state": "snapshot", "epoch": u64::MAX, "snapshot": record});
    forge.put_cell(&serde_json::to_vec(&cell).expect("plain data"));
    forge.withstand("terminal escapes").restores("local/x/z");
    let id = SessionId([9; 16]).to_string();
    for arguments in
        [&["diff", &id, &id][..], &["cat", "latest:local/x/z"], &["find", "z"], &["ls", "latest:nothing\u{1b}"]]
    {
        forge.snap("terminal escapes", arguments);
    }
}

#[test]
fn names_that_are_no_ids_are_passed_over() {
    let forge = with_snapshot();
    let long = "a".repeat(190);
    for folder in ["c", "s", "f", "i/0", "i/-1", "packs/zz", "keys"] {
        for name in ["evil", "00", "..evil", &long, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\u{1b}[2J"] {
            forge.put_raw(&format!("{folder}/{name}"), b"evil");
        }
    }
    forge.put_raw(&format!("i/99999999999999999999999/{}-0", SessionId([1; 16])), b"evil");
    forge.put_raw(&format!("i/0/{}-18446744073709551616", SessionId([1; 16])), b"evil");
    forge.withstand("strange names").restore_says(0, &[]).restores("local/x/z");
}

#[test]
fn objects_as_long_as_no_memory_are_refused_unread() {
    let forge = with_snapshot();
    let slot = "5a".repeat(16);
    let (cell, delta) = (format!("c/{}", SessionId([9; 16])), format!("i/0/{}-0", SessionId([9; 16])));
    let pack = format!("packs/5a/{}", "5a".repeat(32));
    for name in ["config", &format!("keys/{slot}"), &cell, &delta, &pack] {
        forge.put_raw(name, b"");
        let file = std::fs::File::options().write(true).open(forge.path("repository").join(name)).expect("it is there");
        file.set_len(1 << 33).expect("a hole");
    }
    let whole = |name: &str| std::fs::metadata(forge.path("repository").join(name)).expect("it is there").len();
    assert_eq!(whole(&cell), 1 << 33);
    forge
        .withstand("objects of 8 GiB")
        .check_says(21, &["c/0909", "i/0/0909", "config"])
        .restore_says(0, &[])
        .restores("local/x/z");
}

#[test]
fn links_in_the_repository_folder_are_not_followed() {
    let forge = with_snapshot();
    let name = format!("repository/c/{}", SessionId([9; 16]));
    std::os::unix::fs::symlink(forge.path("outside/secret"), forge.path(&name)).expect("a link");
    let outcome = forge.withstand("a link");
    assert!(!format!("{outcome:?}").contains("\"secret"), "{outcome:?}");
}

/// `config` with this line, marked with the right key.
fn put_config(forge: &Forge, line: &str) {
    let mac = hex::encode(keyed(&forge.keys.config, line.as_bytes()));
    let body = format!("{line}\nmac {mac}\n");
    let document = format!("{body}blake3 {}\n", hex::encode(digest(body.as_bytes())));
    forge.put_raw("config", document.as_bytes());
    forge.put_raw("config.copy", document.as_bytes());
}

fn config_line(forge: &Forge, change: impl FnOnce(&mut Value)) -> String {
    let mut config = serde_json::to_value(forge.repository.config()).expect("plain data");
    change(&mut config);
    config.to_string()
}

fn assert_fails(name: &str, ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 1, "{name}: {ran:?}");
    assert!(words.iter().all(|word| ran.stderr.contains(word)), "{name}: {ran:?}");
}

#[test]
fn configs_with_numbers_nobody_means_are_refused() {
    type Lie = (&'static str, fn(&mut Value));
    let lies: [Lie; 12] = [
        ("frame", |config| config["frame_size"] = json!(u32::MAX)),
        ("frame of nothing", |config| config["frame_size"] = json!(0)),
        ("pack", |config| config["pack_size"] = json!(u32::MAX)),
        ("pack of nothing", |config| config["pack_size"] = json!(0)),
        ("page pack", |config| config["page_pack_size"] = json!(u32::MAX)),
        ("entries", |config| config["page_entries"] = json!(u32::MAX)),
        ("no entries", |config| config["page_entries"] = json!(0)),
        ("least chunk", |config| config["chunker"]["bulk"]["min"] = json!(0)),
        ("largest chunk", |config| config["chunker"]["bulk"]["max"] = json!(u32::MAX)),
        ("member", |config| config["chunker"]["zip"]["member_min"] = json!(0)),
        ("negative", |config| config["pack_size"] = json!(-1)),
        ("version 0", |config| config["version"] = json!(0)),
    ];
    for (name, lie) in lies {
        let forge = with_snapshot();
        put_config(&forge, &config_line(&forge, lie));
        assert_fails(name, &forge.withstand(name).ls, &["config"]);
    }
}

#[test]
fn configs_that_are_too_much_are_refused() {
    let forge = with_snapshot();
    let nested = "[".repeat(30_000) + &"]".repeat(30_000);
    put_config(&forge, &nested);
    assert_fails("nested", &forge.withstand("nested").ls, &["config"]);
    put_config(&forge, &config_line(&forge, |config| config["zz"] = json!("x".repeat(70_000))));
    assert_fails("long", &forge.withstand("long").ls, &["config", "long"]);
    put_config(&forge, &config_line(&forge, |config| config["features"]["incompatible"] = json!(["\u{1b}[2J"])));
    assert_fails("newer", &forge.withstand("newer").ls, &["newer"]);
    forge.put_raw("config", &vec![b'\n'; 200 << 20]);
    forge.put_raw("config.copy", &vec![b'\n'; 200 << 20]);
    assert_fails("200 MiB", &forge.withstand("200 MiB").ls, &["config"]);
}

fn put_slot(forge: &Forge, slot: &str, line: &str) {
    let line = format!("{line}\n");
    let document = format!("{line}blake3 {}\n", hex::encode(digest(line.as_bytes())));
    forge.put_raw(&format!("keys/{slot}"), document.as_bytes());
}

fn password_slot(cost: &Value) -> String {
    let mut kdf = json!({"algorithm": "argon2id", "salt": "00".repeat(32)});
    for (name, value) in cost.as_object().expect("an object") {
        kdf[name] = value.clone();
    }
    let slot = json!({"version": 1, "kind": "password", "label": "\u{1b}[2J", "created": "2026-01-01T00:00:00Z",
        "kdf": kdf, "commitment": "00".repeat(32), "wrapped": "00".repeat(48)});
    slot.to_string()
}

#[test]
fn slots_that_ask_for_more_than_any_real_one_are_refused_before_computing() {
    let costs = [
        json!({"t": u32::MAX, "m": 65536, "p": 4}),
        json!({"t": 3, "m": u32::MAX, "p": 4}),
        json!({"t": 3, "m": 65536, "p": u32::MAX}),
        json!({"t": 17, "m": 1_048_576, "p": 16}),
        json!({"t": 0, "m": 0, "p": 0}),
    ];
    for cost in costs {
        let forge = with_snapshot();
        for slot in std::fs::read_dir(forge.path("repository/keys")).expect("slots") {
            std::fs::remove_file(slot.expect("a slot").path()).expect("removed");
        }
        put_slot(&forge, &"5a".repeat(16), &password_slot(&cost));
        std::fs::write(forge.path("password"), "password").expect("a password");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_snap"))
            .args(["ls", "--repo"])
            .arg(forge.path("repository"))
            .arg("--password-file")
            .arg(forge.path("password"))
            .env_clear()
            .env("HOME", forge.path("home"))
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{cost}: {said}");
        assert!(said.contains("slot"), "{cost}: {said}");
    }
}

#[test]
fn thousands_of_slots_do_not_hide_the_one_that_opens() {
    let forge = with_snapshot();
    for number in 0..3000_u32 {
        let line = if number % 2 == 0 { password_slot(&json!({"t": 1, "m": 8, "p": 1})) } else { "[".repeat(1000) };
        put_slot(&forge, &format!("{number:032x}"), &line);
    }
    forge.withstand("3,000 slots").restore_says(0, &[]).restores("local/x/z");
}
