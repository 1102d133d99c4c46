//! Where the numbers of FORMAT.md §12 come from: what frame size, level and chunk size cost and save on given folders.
//!
//! `cargo bench --bench sizes -- frames FOLDER` joins the unique files of a folder in path order;
//! `cargo bench --bench sizes -- chunks FOLDER NEXT…` cuts generations one after another and counts what is new.
#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use snap::codec::chunk::{ChunkLimits, Chunker, ChunkerParameters, Cut, Window, profile_of};
use snap::codec::compress::{Compressor, looks_incompressible};
use snap::codec::hash::chunk_id;

const KEY: [u8; 32] = [7; 32];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.split_first() {
        Some((what, folders)) if what == "frames" => frames(Path::new(&folders[0])),
        Some((what, folders)) if what == "chunks" => chunks(folders),
        _ => println!("sizes: give `frames FOLDER` or `chunks FOLDER NEXT…`"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(folder).expect("a folder").flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().expect("a file type");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

fn frames(folder: &Path) {
    let mut seen = HashSet::new();
    let contents: Vec<Vec<u8>> = files(folder)
        .iter()
        .map(|path| std::fs::read(path).expect("a readable file"))
        .filter(|content| content.len() > 512 && seen.insert(chunk_id(&KEY, content)))
        .collect();
    let input: usize = contents.iter().map(Vec::len).sum();
    println!("{} unique files, {:.1} MB", contents.len(), input as f64 / 1e6);
    for frame_size in [1, 64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20] {
        for level in [1, 2, 3] {
            let mut compressor = Compressor::new(level).expect("a level");
            let (mut frame, mut target, mut stored) = (Vec::new(), Vec::new(), 0);
            let started = Instant::now();
            for (number, content) in contents.iter().enumerate() {
                frame.extend_from_slice(content);
                if frame.len() >= frame_size || number + 1 == contents.len() {
                    target.clear();
                    compressor.compress(&frame, &mut target).expect("compression");
                    stored += target.len();
                    frame.clear();
                }
            }
            let speed = input as f64 / 1e6 / started.elapsed().as_secs_f64();
            println!(
                "frame {:>4} KiB level {level}: {:>6.1} MB, {speed:.0} MB/s",
                frame_size >> 10,
                stored as f64 / 1e6
            );
        }
    }
}

fn chunks(folders: &[String]) {
    for mean in [32_u32, 64, 128, 256, 512, 1024] {
        let limits = |kib: u32| ChunkLimits { min: kib * 512, max: kib * 1536 };
        let bulk = limits(mean);
        let parameters = ChunkerParameters { bulk, record: limits(mean / 2), zip: bulk, zip_member_min: 4096 };
        let chunker = Chunker::new(&KEY, &parameters);
        let mut seen = HashSet::new();
        let mut line = format!("mean {mean:>4} KiB:");
        for folder in folders {
            let (mut new, mut stored, mut count) = (0, 0, 0);
            let mut compressor = Compressor::new(1).expect("a level");
            let mut target = Vec::new();
            for path in files(Path::new(folder)) {
                let content = std::fs::read(&path).expect("a readable file");
                let name = path.to_string_lossy();
                let mut cutter = chunker.cutter(profile_of(name.as_bytes(), &content));
                let mut rest = &content[..];
                while !rest.is_empty() {
                    let length = match cutter.next(rest, Window::Last) {
                        Cut::Chunk(length) => length,
                        Cut::Zeros(length) => usize::try_from(length).expect("a length in memory"),
                        Cut::NeedMore => unreachable!("the last window is always cut"),
                    };
                    let chunk = &rest[..length];
                    count += 1;
                    if seen.insert(chunk_id(&KEY, chunk)) {
                        new += chunk.len();
                        target.clear();
                        let raw = looks_incompressible(chunk);
                        stored += if raw {
                            chunk.len()
                        } else {
                            compressor.compress(chunk, &mut target).expect("compression");
                            target.len()
                        };
                    }
                    rest = &rest[length..];
                }
            }
            line += &format!("  {count} chunks, new {:.1} MB, stored {:.1} MB;", new as f64 / 1e6, stored as f64 / 1e6);
        }
        println!("{line}");
    }
}
