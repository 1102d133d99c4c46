//! Key slots: golden documents, documents written from FORMAT.md alone, and every way in which one can be wrong.

use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::{Value, json};
use snap::codec::key::secret::{FileKey, FileKeyError, Passphrase};
use snap::codec::key::slot::{DOCUMENT_SIZE_MAX, KdfCost, KeyError, KeySlot, SlotKind, SlotSecretSource};
use snap::codec::key::{Keys, RootSecret};
use snap::codec::seal::{Cipher, NonceCounter, SealKey};
use snap::id::{RepositoryId, SlotId};

const SLOT: SlotId = SlotId([0x51; 16]);
const REPOSITORY: RepositoryId = RepositoryId([0xe5; 16]);
const CHEAP: KdfCost = KdfCost { t: 1, m: 32, p: 2 };
const SALT: [u8; 32] = [0xa5; 32];
const KEY_FILE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn file_key() -> FileKey {
    FileKey::parse_file_text(KEY_FILE).expect("a key file")
}

fn slot_secret_of_password(cost: KdfCost, text: &str) -> [u8; 32] {
    let parameters = Params::new(cost.m, cost.t, cost.p, Some(32)).expect("parameters");
    let mut secret = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    argon2.hash_password_into(text.as_bytes(), &SALT, &mut secret).expect("a hash");
    secret
}

/// The first line of a slot, from FORMAT.md §3 and nothing else.
fn slot_json(kind: &str, kdf: &Value, secret: [u8; 32], roots: &[[u8; 32]]) -> Value {
    let commitment = blake3::derive_key("snap-backup 2026 v1 slot commitment", &[&secret[..], &REPOSITORY.0].concat());
    let wrap = blake3::derive_key("snap-backup 2026 v1 slot wrap", &secret);
    let mut wrapped = roots.concat();
    let associated = [REPOSITORY.0, SLOT.0].concat();
    SealKey::new(Cipher::Aes256Gcm, &wrap).seal_in_place(NonceCounter::ONLY, &associated, &mut wrapped, 0);
    json!({
        "version": 1, "kind": kind, "label": "laptop", "created": "2026-01-02T03:04:05Z", "kdf": kdf,
        "commitment": hex::encode(commitment), "wrapped": hex::encode(wrapped),
    })
}

fn password_json(cost: KdfCost, text: &str, roots: &[[u8; 32]]) -> Value {
    let kdf = json!({"algorithm": "argon2id", "t": cost.t, "m": cost.m, "p": cost.p, "salt": hex::encode(SALT)});
    slot_json("password", &kdf, slot_secret_of_password(cost, text), roots)
}

fn key_file_json(roots: &[[u8; 32]]) -> Value {
    let key: [u8; 32] = hex::decode(KEY_FILE.trim()).expect("hex").try_into().expect("32 bytes");
    let secret = *blake3::keyed_hash(&key, &SALT).as_bytes();
    slot_json("key-file", &json!({"algorithm": "blake3", "salt": hex::encode(SALT)}), secret, roots)
}

fn document(json: &str) -> Vec<u8> {
    let line = format!("{json}\n");
    format!("{line}blake3 {}\n", blake3::hash(line.as_bytes()).to_hex()).into_bytes()
}

fn parse(json: &Value) -> Result<KeySlot, KeyError> {
    KeySlot::parse_document(&document(&json.to_string()))
}

/// The root secrets as the chunk id keys that follow from them, since secrets themselves are never given out.
#[expect(clippy::needless_pass_by_value, reason = "results are mapped with it")]
fn chunk_id_keys(roots: Vec<RootSecret>) -> Vec<[u8; 32]> {
    roots.iter().map(|root| Keys::derive(root).chunk_id).collect()
}

fn chunk_id_key(root: [u8; 32]) -> [u8; 32] {
    blake3::derive_key("snap-backup 2026 v1 chunk id", &root)
}

fn unlock(slot: &KeySlot, password: &str) -> Result<Vec<[u8; 32]>, KeyError> {
    slot.unlock(&SLOT, &REPOSITORY, SlotSecretSource::Password(&passphrase(password))).map(chunk_id_keys)
}

#[test]
fn documents_written_from_the_format_unlock() {
    let roots = [[1; 32], [2; 32], [3; 32]];
    let expected: Vec<_> = roots.map(chunk_id_key).to_vec();
    let by_password = parse(&password_json(CHEAP, "correct horse", &roots)).expect("a slot");
    assert_eq!(unlock(&by_password, "correct horse"), Ok(expected.clone()));
    let by_key = parse(&key_file_json(&roots)).expect("a slot");
    let unlocked = by_key.unlock(&SLOT, &REPOSITORY, SlotSecretSource::KeyFile(&file_key()));
    assert_eq!(unlocked.map(chunk_id_keys), Ok(expected));
}

#[test]
fn golden_documents_unlock_and_are_written_alike() {
    let password = include_bytes!("golden/slot-password");
    let slot = KeySlot::parse_document(password).expect("a slot");
    assert_eq!(unlock(&slot, "correct horse"), Ok(vec![chunk_id_key([7; 32])]));
    assert_eq!(
        (slot.label(), slot.created().to_string().as_str(), slot.kind()),
        ("laptop", "2026-01-02T03:04:05Z", SlotKind::Password)
    );
    assert_eq!(slot.to_document(), password);

    let key_file = include_bytes!("golden/slot-key-file");
    let slot = KeySlot::parse_document(key_file).expect("a slot");
    let unlocked = slot.unlock(&SLOT, &REPOSITORY, SlotSecretSource::KeyFile(&file_key()));
    assert_eq!(unlocked.map(chunk_id_keys), Ok(vec![chunk_id_key([7; 32]), chunk_id_key([8; 32])]));
    assert_eq!(slot.to_document(), key_file);
}

#[test]
fn slot_secrets_stay_what_they_were() {
    let cheap = hex::encode(slot_secret_of_password(CHEAP, "correct horse"));
    let usual = hex::encode(slot_secret_of_password(KdfCost::default(), "correct horse"));
    assert_eq!(cheap, "340864286db8d76007926bddccdb17b65f3b4f50f8964acad00cd83326f69362");
    assert_eq!(usual, "7409d2f3ea597c14b838805e34244a96341fb7bce0c6290c676cb584bc7a73c7");
}

#[test]
fn created_slot_is_read_back_and_unlocks() {
    let (passphrase, key) = (passphrase("päss\u{1f511}"), FileKey::generate());
    for source in [SlotSecretSource::Password(&passphrase), SlotSecretSource::KeyFile(&key)] {
        let roots = [RootSecret::random(), RootSecret::random()];
        let created = jiff::Timestamp::UNIX_EPOCH;
        let slot = KeySlot::create(SLOT, REPOSITORY, source, "a \"label\"\n", created, CHEAP, &roots).expect("a slot");
        let read = KeySlot::parse_document(&slot.to_document()).expect("it reads");
        assert_eq!(read, slot);
        let unlocked = read.unlock(&SLOT, &REPOSITORY, source).map(chunk_id_keys);
        assert_eq!(unlocked, Ok(chunk_id_keys(roots.to_vec())));
    }
}

#[test]
fn two_slots_of_one_password_share_nothing() {
    let roots = [RootSecret::random()];
    let source = passphrase("same");
    let create = || {
        let source = SlotSecretSource::Password(&source);
        let slot = KeySlot::create(SLOT, REPOSITORY, source, "", jiff::Timestamp::UNIX_EPOCH, CHEAP, &roots);
        let document = slot.expect("a slot").to_document();
        let line = document.split(|byte| *byte == b'\n').next().expect("a line");
        serde_json::from_slice::<Value>(line).expect("JSON")
    };
    let (one, other) = (create(), create());
    for pointer in ["/kdf/salt", "/commitment", "/wrapped"] {
        assert_ne!(one.pointer(pointer), other.pointer(pointer), "{pointer}");
    }
}

#[test]
fn wrong_secret_is_told_from_damage() {
    let slot = parse(&password_json(CHEAP, "correct horse", &[[1; 32]])).expect("a slot");
    assert_eq!(unlock(&slot, "correct horsf"), Err(KeyError::WrongSecret { kind: SlotKind::Password }));
    assert_eq!(unlock(&slot, ""), Err(KeyError::WrongSecret { kind: SlotKind::Password }));
    let by_key = slot.unlock(&SLOT, &REPOSITORY, SlotSecretSource::KeyFile(&file_key()));
    assert_eq!(by_key.map(chunk_id_keys), Err(KeyError::OtherKind { kind: SlotKind::Password }));
    let slot = parse(&key_file_json(&[[1; 32]])).expect("a slot");
    let by_key = slot.unlock(&SLOT, &REPOSITORY, SlotSecretSource::KeyFile(&FileKey::generate()));
    assert_eq!(by_key.map(chunk_id_keys), Err(KeyError::WrongSecret { kind: SlotKind::KeyFile }));
}

#[test]
fn every_changed_byte_of_a_document_is_damage() {
    let good = document(&key_file_json(&[[1; 32]]).to_string());
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1;
        assert!(matches!(KeySlot::parse_document(&bad), Err(KeyError::Damaged { .. })), "byte {position}");
        assert!(
            matches!(KeySlot::parse_document(&good[..position]), Err(KeyError::Damaged { .. })),
            "{position} bytes"
        );
    }
    let longer = [good.as_slice(), b"\n"].concat();
    assert!(matches!(KeySlot::parse_document(&longer), Err(KeyError::Damaged { .. })));
}

#[test]
fn slot_of_another_repository_or_name_does_not_open() {
    let slot = parse(&key_file_json(&[[1; 32]])).expect("a slot");
    let key = file_key();
    let source = SlotSecretSource::KeyFile(&key);
    let elsewhere = slot.unlock(&SLOT, &RepositoryId([0; 16]), source);
    assert_eq!(elsewhere.map(chunk_id_keys), Err(KeyError::WrongSecret { kind: SlotKind::KeyFile }));
    let renamed = slot.unlock(&SlotId([0; 16]), &REPOSITORY, source);
    assert!(matches!(renamed.map(chunk_id_keys), Err(KeyError::Damaged { .. })));
}

#[test]
fn forged_commitment_salt_or_secrets_do_not_open() {
    let good = password_json(CHEAP, "correct horse", &[[1; 32]]);
    let flip = |pointer: &str| {
        let mut bad = good.clone();
        let value = bad.pointer_mut(pointer).expect("it is there");
        let mut bytes = hex::decode(value.as_str().expect("text")).expect("hex");
        bytes[5] ^= 0x40;
        *value = hex::encode(bytes).into();
        unlock(&parse(&bad).expect("it reads"), "correct horse")
    };
    assert_eq!(flip("/commitment"), Err(KeyError::WrongSecret { kind: SlotKind::Password }));
    assert_eq!(flip("/kdf/salt"), Err(KeyError::WrongSecret { kind: SlotKind::Password }));
    assert!(matches!(flip("/wrapped"), Err(KeyError::Damaged { .. })));
}

#[test]
fn fields_that_cannot_be_are_malformed() {
    let good = password_json(CHEAP, "correct horse", &[[1; 32]]);
    for (pointer, value) in [
        ("/version", json!(0)),
        ("/version", json!("1")),
        ("/label", json!(5)),
        ("/created", json!("yesterday")),
        ("/kdf", json!({"algorithm": "scrypt", "salt": hex::encode(SALT)})),
        ("/kdf", json!({"algorithm": "blake3", "salt": hex::encode(SALT)})),
        ("/kdf/salt", json!("a5a5")),
        ("/kdf/salt", json!("zz".repeat(32))),
        ("/kdf/t", json!(-1)),
        ("/commitment", json!("")),
        ("/wrapped", json!("")),
        ("/wrapped", json!("00".repeat(16))),
        ("/wrapped", json!("00".repeat(49))),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).expect("it is there") = value.clone();
        assert!(matches!(parse(&bad), Err(KeyError::Malformed { .. })), "{pointer} = {value}");
    }
    for member in ["version", "kind", "label", "created", "kdf", "commitment", "wrapped"] {
        let mut bad = good.clone();
        bad.as_object_mut().expect("an object").remove(member);
        assert!(matches!(parse(&bad), Err(KeyError::Malformed { .. })), "without {member}");
    }
    assert!(matches!(KeySlot::parse_document(&document("no JSON")), Err(KeyError::Malformed { .. })));
}

#[test]
fn costs_over_the_caps_are_refused_before_any_work() {
    // Were they computed, these would take hours and terabytes.
    for (t, m, p) in [(17, 32, 1), (1, 1_048_577, 1), (1, 32, 17), (u32::MAX, u32::MAX, u32::MAX)] {
        let mut bomb = password_json(CHEAP, "x", &[[1; 32]]);
        bomb["kdf"] = json!({"algorithm": "argon2id", "t": t, "m": m, "p": p, "salt": hex::encode(SALT)});
        let slot = parse(&bomb).expect("it reads");
        assert_eq!(unlock(&slot, "x"), Err(KeyError::TooCostly { t, m, p }));
    }
    for (t, m, p) in [(0, 32, 1), (1, 7, 1), (1, 32, 0), (1, 32, 5)] {
        let mut bad = password_json(CHEAP, "x", &[[1; 32]]);
        bad["kdf"] = json!({"algorithm": "argon2id", "t": t, "m": m, "p": p, "salt": hex::encode(SALT)});
        assert!(matches!(unlock(&parse(&bad).expect("it reads"), "x"), Err(KeyError::Malformed { .. })), "{t} {m} {p}");
    }
}

#[test]
fn newer_slots_are_not_called_damaged() {
    let newer = json!({"version": 2, "kind": "password", "shape": "unknown"});
    assert_eq!(parse(&newer), Err(KeyError::NewerVersion { version: 2 }));
    let recipient = json!({"version": 1, "kind": "recipient", "public": "00"});
    assert_eq!(parse(&recipient), Err(KeyError::UnknownKind { kind: "recipient".to_owned() }));
    let mut more = key_file_json(&[[1; 32]]);
    more["comment"] = json!("members that are unknown are ignored");
    assert!(parse(&more).is_ok());
}

#[test]
fn documents_longer_than_the_maximum_are_neither_read_nor_made() {
    let mut long = key_file_json(&[[1; 32]]);
    long["label"] = json!("x".repeat(DOCUMENT_SIZE_MAX));
    assert!(matches!(parse(&long), Err(KeyError::Malformed { .. })));
    let label = "x".repeat(DOCUMENT_SIZE_MAX);
    let key = file_key();
    let (source, created) = (SlotSecretSource::KeyFile(&key), jiff::Timestamp::UNIX_EPOCH);
    assert!(KeySlot::create(SLOT, REPOSITORY, source, &label, created, CHEAP, &[RootSecret::random()]).is_err());
}

#[test]
fn key_file_and_words_are_the_same_key() {
    let key = file_key();
    assert_eq!(*key.to_file_text(), KEY_FILE);
    let words = key.to_words();
    assert_eq!(words.split(' ').count(), 24);
    assert!(words.starts_with("abandon amount liar amount expire adjust cage candy arch gather drum bullet "));
    for text in [words.to_string(), words.to_uppercase(), words.replace(' ', "\n  ")] {
        assert_eq!(FileKey::from_words(&text).map(|key| key.to_file_text().to_string()), Ok(KEY_FILE.to_owned()));
    }
    let generated = FileKey::generate();
    let read = FileKey::from_words(&generated.to_words()).expect("words");
    assert_eq!(read.to_file_text(), generated.to_file_text());
}

#[test]
fn text_that_is_no_key_is_refused() {
    for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &format!("{KEY_FILE}{KEY_FILE}")] {
        assert_eq!(FileKey::parse_file_text(text).err(), Some(FileKeyError::NotHex), "{text}");
    }
    let words = file_key().to_words();
    let mut list: Vec<&str> = words.split(' ').collect();
    assert_eq!(FileKey::from_words(&list[..12].join(" ")).err(), Some(FileKeyError::WordCount { count: 12 }));
    list.swap(1, 2);
    assert_eq!(FileKey::from_words(&list.join(" ")).err(), Some(FileKeyError::Checksum));
    list[4] = "snapshot";
    assert_eq!(FileKey::from_words(&list.join(" ")).err(), Some(FileKeyError::UnknownWord { number: 5 }));
}

#[test]
fn secrets_are_never_printed() {
    let (passphrase, key) = (passphrase("hunter2"), file_key());
    let printed = format!("{:?} {:?}", SlotSecretSource::Password(&passphrase), SlotSecretSource::KeyFile(&key));
    assert_eq!(printed, "Password(Passphrase(…)) KeyFile(FileKey(…))");
}
