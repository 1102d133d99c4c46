//! How fast bytes are cut, named, shrunk and sealed: `cargo bench --bench codec [-- FILE…]`.
//!
//! Each line is the best of several rounds in processor time of one thread, with the figure it is held against: what the
//! piece reached by itself on two Zen 5 cores. The files given are the text; without any, text is made up.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use snap::codec::chunk::least::Instructions;
use snap::codec::chunk::{Chunker, ChunkerParameters, Cut, Window};
use snap::codec::compress::{Compressor, Decompressor, Method, looks_incompressible};
use snap::codec::hash::{chunk_id, fill_keystream};
use snap::codec::key::RootSecret;
use snap::codec::key::secret::Passphrase;
use snap::codec::key::slot::{KdfCost, KeySlot, SlotSecretSource};
use snap::codec::seal::{Cipher, NonceCounter, SealKey};
use snap::entry::Profile;
use snap::id::{RepositoryId, SlotId};

const MIB: usize = 1024 * 1024;
const INPUT_SIZE: usize = 64 * MIB;
const ROUNDS: usize = 5;

fn main() {
    // The test harness's own flags (`--bench`) come before the files.
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let text = if files.is_empty() { made_up_text() } else { text_of(&files) };
    let mut random = vec![0; INPUT_SIZE];
    fill_keystream(&[1; 32], b"random", &mut random);
    // Filled, or every page would be the one page of zeros that the system lends.
    let mut zeros = vec![1; INPUT_SIZE];
    zeros.fill(0);

    cut(&[("random", &random), ("text", &text), ("zeros", &zeros)]);
    name(&random);
    shrink(&text);
    probe(&[("random", &random), ("text", &text)]);
    for cipher in [Cipher::Aes256Gcm, Cipher::ChaCha20Poly1305] {
        seal(cipher);
    }
    unlock();
}

fn text_of(files: &[String]) -> Vec<u8> {
    let mut text = Vec::new();
    for file in files {
        text.extend(std::fs::read(file).expect("a file that can be read"));
        if text.len() >= INPUT_SIZE {
            break;
        }
    }
    text.truncate(INPUT_SIZE);
    text
}

/// Lines like those of a log: words, numbers and ids.
fn made_up_text() -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "started", "stopped", "request", "of", "bucket", "took", "ms", "the", "queue", "is", "empty", "retry", "after",
        "error", "in", "zone",
    ];
    let mut draws = vec![0; 16 * MIB];
    fill_keystream(&[2; 32], b"text", &mut draws);
    let mut text = Vec::with_capacity(INPUT_SIZE + 256);
    for line in draws.chunks_exact(16).cycle() {
        if text.len() >= INPUT_SIZE {
            break;
        }
        text.extend_from_slice(format!("2026-01-02T03:{:02}:{:02}Z ", line[0] % 60, line[1] % 60).as_bytes());
        for draw in &line[2..12] {
            text.extend_from_slice(WORDS[usize::from(draw & 15)].as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(hex::encode(&line[12..]).as_bytes());
        text.push(b'\n');
    }
    text.truncate(INPUT_SIZE);
    text
}

/// Processor time of this thread, so that other processes do not matter.
fn thread_time() -> Duration {
    #[cfg(target_os = "linux")]
    {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).expect("below a second"))
    }
    #[cfg(not(target_os = "linux"))]
    {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// Prints how fast `work` gets through `bytes`; `limit` in MB/s, none where nothing was measured by itself.
fn measure(what: &str, bytes: usize, limit: Option<u32>, mut work: impl FnMut()) {
    work();
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = thread_time();
        work();
        best = best.min(thread_time().saturating_sub(start));
    }
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let speed = bytes as f64 / 1e6 / best.as_secs_f64();
    let limit = limit.map_or(String::new(), |limit| format!("  limit {limit} MB/s"));
    println!("{what:<44} {speed:>9.0} MB/s{limit}");
}

fn cut(inputs: &[(&str, &[u8])]) {
    for instructions in Instructions::all_here() {
        let chunker = Chunker::with_instructions(&[3; 32], &ChunkerParameters::default(), instructions);
        for profile in [Profile::Bulk, Profile::Record, Profile::Zip] {
            for (input, content) in inputs {
                let what = format!("cut {input} as {profile:?}, {instructions}");
                measure(&what, content.len(), Some(20_000), || {
                    let (mut cutter, mut start) = (chunker.cutter(profile), 0);
                    while start < content.len() {
                        start += match cutter.next(black_box(&content[start..]), Window::Last) {
                            Cut::Chunk(length) => length,
                            Cut::Zeros(length) => usize::try_from(length).expect("it fits"),
                            Cut::NeedMore => unreachable!("the window is the last"),
                        };
                    }
                });
            }
        }
    }
}

fn name(random: &[u8]) {
    for (size, limit) in [(1, 720), (4, 2_500), (64, 7_100), (1024, 7_100)] {
        measure(&format!("BLAKE3 keyed, {size} KiB"), 16 * MIB, Some(limit), || {
            for chunk in random[..16 * MIB].chunks_exact(size * 1024) {
                black_box(chunk_id(&[4; 32], black_box(chunk)));
            }
        });
    }
}

fn shrink(text: &[u8]) {
    let text = &text[..text.len().min(16 * MIB)];
    for (level, limits) in [(1, [None, Some(534), None]), (2, [None; 3]), (3, [None, Some(381), Some(389)])] {
        for (size, limit) in [64, 256, 1024].into_iter().zip(limits) {
            shrink_frames(text, level, size, limit);
        }
    }
}

fn shrink_frames(text: &[u8], level: i32, size: usize, limit: Option<u32>) {
    let mut compressor = Compressor::new(level).expect("a level of zstd");
    let mut stored = Vec::new();
    let mut frames = Vec::new();
    let what = format!("zstd {level}, {size} KiB");
    measure(&what, text.len(), limit, || {
        stored.clear();
        frames.clear();
        for plain in text.chunks(size * 1024) {
            let start = stored.len();
            let method = compressor.compress(plain, &mut stored).expect("it compresses");
            frames.push((method, start, plain.len()));
        }
    });
    println!("{what} makes 1/{}.{:02} of it", text.len() / stored.len(), text.len() * 100 / stored.len() % 100);
    let mut decompressor = Decompressor::new().expect("memory");
    let mut plain = Vec::new();
    measure(&format!("{what}, decompressed"), text.len(), Some(1_700), || {
        plain.clear();
        for (number, &(method, start, length)) in frames.iter().enumerate() {
            let end = frames.get(number + 1).map_or(stored.len(), |next| next.1);
            decompressor.decompress(method, &stored[start..end], length, &mut plain).expect("it decompresses");
        }
    });
    assert!(plain == text && frames.iter().any(|frame| frame.0 == Method::Zstd));
}

fn probe(inputs: &[(&str, &[u8])]) {
    for (input, content) in inputs {
        for size in [64, 1024] {
            measure(&format!("probe {input}, {size} KiB"), content.len(), None, || {
                for frame in content.chunks(size * 1024) {
                    black_box(looks_incompressible(black_box(frame)));
                }
            });
        }
    }
}

fn seal(cipher: Cipher) {
    let key = SealKey::new(cipher, &[5; 32]);
    for (size, aes_limit, chacha_limit) in [(1, 7_000, 1_800), (64, 20_800, 2_580), (1024, 20_900, 2_580)] {
        let limit = if cipher == Cipher::Aes256Gcm { aes_limit } else { chacha_limit };
        let count = 16 * 1024 / size;
        let plain = vec![6; size * 1024];
        let mut sealed = Vec::with_capacity(plain.len() + 16);
        let nonce = NonceCounter::ONLY;
        measure(&format!("seal {cipher:?}, {size} KiB"), count * plain.len(), Some(limit), || {
            sealed.clear();
            sealed.extend_from_slice(&plain);
            for _ in 0..count {
                sealed.truncate(plain.len());
                key.seal_in_place(nonce, &[], black_box(&mut sealed), 0);
            }
        });
        sealed.clear();
        sealed.extend_from_slice(&plain);
        key.seal_in_place(nonce, &[], &mut sealed, 0);
        let mut work = sealed.clone();
        measure(&format!("copy and open {cipher:?}, {size} KiB"), count * plain.len(), Some(limit), || {
            for _ in 0..count {
                work.copy_from_slice(&sealed);
                black_box(key.open_in_place(nonce, &[], &mut work).expect("it opens"));
            }
        });
    }
}

fn unlock() {
    let passphrase = Passphrase::new("correct horse battery staple".to_owned());
    let source = SlotSecretSource::Password(&passphrase);
    let (slot_id, repository) = (SlotId([7; 16]), RepositoryId([8; 16]));
    let (created, roots) = (jiff::Timestamp::UNIX_EPOCH, [RootSecret::random()]);
    let slot = KeySlot::create(slot_id, repository, source, "", created, KdfCost::default(), &roots).expect("a slot");
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        slot.unlock(&slot_id, &repository, source).expect("it unlocks");
        best = best.min(start.elapsed());
    }
    println!("unlock with a password: {} ms of wall clock  limit 100 ms", best.as_millis());
}
