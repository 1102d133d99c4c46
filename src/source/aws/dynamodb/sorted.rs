//! Items in order, however many: in memory up to a budget, beyond it in sorted runs on disk that are merged.
//!
//! A run is a file without a name, gone with whoever holds it, sealed under a key that is only in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use crate::codec::seal::{Cipher, NonceCounter, SealKey, TAG_SIZE};
use crate::source::aws::dynamodb::order::Line;

/// Bytes that are sealed together, about.
const FRAME_SIZE: usize = 64 << 10;
/// So many runs of one level become one of the next, so that few files are open however many items there are.
const RUNS_MAX: usize = 16;
/// Bytes of lines that go out together, about.
const PART_SIZE: usize = 256 << 10;
/// What a line costs beside its bytes.
const LINE_COST: usize = size_of::<Held>();
/// What leads a line in a run: its length and where its key ends.
const LEAD_SIZE: usize = 8;

/// Memory for items, shared by all tables. Nobody waits for it: who gets none goes to disk.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    step: usize,
    steps: Arc<Semaphore>,
}

impl Budget {
    /// So many bytes, taken in steps; the first step of each table is not counted.
    pub(super) fn new(bytes: usize, step: usize) -> Self {
        Self { step, steps: Arc::new(Semaphore::new(bytes / step)) }
    }
}

/// Takes lines in any order.
pub(super) struct Sorter {
    folder: PathBuf,
    budget: Budget,
    taken: Vec<OwnedSemaphorePermit>,
    held: Memory,
    /// Runs by level; those of a level are about as large as each other.
    levels: Vec<Vec<Run>>,
    /// Bytes of all lines.
    size: u64,
}

impl Sorter {
    /// Runs go to `folder`.
    pub(super) fn new(budget: Budget, folder: PathBuf) -> Self {
        Self { folder, budget, taken: Vec::new(), held: Memory::default(), levels: Vec::new(), size: 0 }
    }

    /// Takes a line; goes to disk where memory is short, so this may block.
    pub(super) fn push(&mut self, line: &Line) -> io::Result<()> {
        self.size += line.text().len() as u64;
        self.held.push(line);
        while self.held.cost() > self.budget.step * (1 + self.taken.len()) {
            match Arc::clone(&self.budget.steps).try_acquire_owned() {
                Ok(step) => self.taken.push(step),
                Err(_) => return self.spill(),
            }
        }
        Ok(())
    }

    /// All lines, in order.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.held.sort();
        let mut inputs = vec![Input::Memory(self.held)];
        for run in self.levels.into_iter().flatten() {
            inputs.push(Input::Run(run.read()?));
        }
        Ok(Sorted { merge: Merge::new(inputs)?, size: self.size, _taken: self.taken })
    }

    /// Writes what is in memory as a run.
    fn spill(&mut self) -> io::Result<()> {
        self.held.sort();
        let mut writer = RunWriter::new(&self.folder)?;
        while let Some(line) = self.held.next() {
            writer.push(&line)?;
        }
        self.held.clear();
        let mut run = writer.finish()?;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < RUNS_MAX {
                return Ok(());
            }
            let runs = std::mem::take(&mut self.levels[level]);
            run = merged(runs, &self.folder)?;
            level += 1;
        }
    }
}

/// Lines in one stretch of memory, so that it is given back whole.
#[derive(Default)]
struct Memory {
    bytes: Vec<u8>,
    lines: Vec<Held>,
    /// So many lines were given out.
    given: usize,
}

/// Where a line stands, how long it is, and where its key ends.
struct Held {
    start: usize,
    size: usize,
    text_at: usize,
}

impl Memory {
    fn cost(&self) -> usize {
        self.bytes.len() + self.lines.len() * LINE_COST
    }

    fn push(&mut self, line: &Line) {
        self.lines.push(Held { start: self.bytes.len(), size: line.bytes().len(), text_at: line.text_at() });
        self.bytes.extend_from_slice(line.bytes());
    }

    fn sort(&mut self) {
        let Self { bytes, lines, .. } = self;
        let of = |line: &Held| &bytes[line.start..line.start + line.size];
        lines.sort_unstable_by(|one, other| of(one).cmp(of(other)));
    }

    fn next(&mut self) -> Option<Line> {
        let Held { start, size, text_at } = self.lines.get(self.given)?;
        self.given += 1;
        Some(Line::new(&self.bytes[*start..start + size], *text_at))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        self.given = 0;
    }
}

/// One run of several.
fn merged(runs: Vec<Run>, folder: &Path) -> io::Result<Run> {
    let inputs = runs.into_iter().map(|run| Ok(Input::Run(run.read()?))).collect::<io::Result<Vec<Input>>>()?;
    let mut merge = Merge::new(inputs)?;
    let mut writer = RunWriter::new(folder)?;
    while let Some(line) = merge.next()? {
        writer.push(&line)?;
    }
    writer.finish()
}

/// Lines in order, and the memory they take.
pub(super) struct Sorted {
    merge: Merge,
    size: u64,
    _taken: Vec<OwnedSemaphorePermit>,
}

impl Sorted {
    /// Bytes of all lines.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next lines, some hundred kilobytes; `None` after the last. Reads from disk.
    pub(super) fn part(&mut self) -> io::Result<Option<Bytes>> {
        let mut part = Vec::new();
        while part.len() < PART_SIZE
            && let Some(line) = self.merge.next()?
        {
            part.extend_from_slice(line.text());
        }
        Ok((!part.is_empty()).then(|| part.into()))
    }
}

/// Where lines come from in order.
enum Input {
    Memory(Memory),
    Run(RunReader),
}

impl Input {
    fn next(&mut self) -> io::Result<Option<Line>> {
        match self {
            Self::Memory(lines) => Ok(lines.next()),
            Self::Run(run) => run.next(),
        }
    }
}

/// The lines of several inputs in order.
struct Merge {
    inputs: Vec<Input>,
    /// The first line of each input that has one.
    heads: BinaryHeap<Reverse<(Line, usize)>>,
}

impl Merge {
    fn new(mut inputs: Vec<Input>) -> io::Result<Self> {
        let mut heads = BinaryHeap::with_capacity(inputs.len());
        for (number, input) in inputs.iter_mut().enumerate() {
            heads.extend(input.next()?.map(|line| Reverse((line, number))));
        }
        Ok(Self { inputs, heads })
    }

    fn next(&mut self) -> io::Result<Option<Line>> {
        let Some(Reverse((line, number))) = self.heads.pop() else { return Ok(None) };
        self.heads.extend(self.inputs[number].next()?.map(|line| Reverse((line, number))));
        Ok(Some(line))
    }
}

/// Lines in order in a file without a name.
struct Run {
    file: File,
    key: SealKey,
    frames: u64,
}

impl Run {
    fn read(mut self) -> io::Result<RunReader> {
        self.file.rewind()?;
        let Self { file, key, frames } = self;
        Ok(RunReader { file: BufReader::new(file), key, frames, opened: 0, frame: Vec::new(), at: 0 })
    }
}

struct RunWriter {
    file: BufWriter<File>,
    key: SealKey,
    frames: u64,
    frame: Vec<u8>,
}

impl RunWriter {
    fn new(folder: &Path) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut()).map_err(io::Error::other)?;
        let key = SealKey::new(Cipher::fastest_here(), &key);
        let file = BufWriter::new(nameless(folder)?);
        Ok(Self { file, key, frames: 0, frame: Vec::with_capacity(FRAME_SIZE) })
    }

    fn push(&mut self, line: &Line) -> io::Result<()> {
        self.frame.extend_from_slice(&length(line.bytes().len())?);
        self.frame.extend_from_slice(&length(line.text_at())?);
        self.frame.extend_from_slice(line.bytes());
        if self.frame.len() < FRAME_SIZE { Ok(()) } else { self.seal() }
    }

    fn finish(mut self) -> io::Result<Run> {
        self.seal()?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Run { file, key: self.key, frames: self.frames })
    }

    fn seal(&mut self) -> io::Result<()> {
        // The key is of this run alone, so a frame's number is used once.
        let nonce = NonceCounter { number: self.frames, part: 0 };
        self.key.seal_in_place(nonce, &[], &mut self.frame, 0);
        self.frames += 1;
        self.file.write_all(&length(self.frame.len())?)?;
        self.file.write_all(&self.frame)?;
        self.frame.clear();
        Ok(())
    }
}

struct RunReader {
    file: BufReader<File>,
    key: SealKey,
    frames: u64,
    opened: u64,
    frame: Vec<u8>,
    at: usize,
}

impl RunReader {
    fn next(&mut self) -> io::Result<Option<Line>> {
        while self.at == self.frame.len() {
            if self.opened == self.frames {
                return Ok(None);
            }
            self.open()?;
        }
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let rest = &self.frame[self.at..];
        let (lead, rest) = rest.split_at_checked(LEAD_SIZE).ok_or_else(short)?;
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let (size, text_at) = (number(&lead[..4]), number(&lead[4..]));
        let line = Line::new(rest.get(..size).ok_or_else(short)?, text_at);
        self.at += LEAD_SIZE + size;
        Ok(Some(line))
    }

    /// Reads the next frame.
    fn open(&mut self) -> io::Result<()> {
        let mut size = [0; 4];
        self.file.read_exact(&mut size)?;
        self.frame.resize(u32::from_le_bytes(size) as usize, 0);
        self.file.read_exact(&mut self.frame)?;
        let nonce = NonceCounter { number: self.opened, part: 0 };
        self.key.open_in_place(nonce, &[], &mut self.frame).map_err(io::Error::other)?;
        self.frame.truncate(self.frame.len() - TAG_SIZE);
        self.opened += 1;
        self.at = 0;
        Ok(())
    }
}

fn length(size: usize) -> io::Result<[u8; 4]> {
    u32::try_from(size).map(u32::to_le_bytes).map_err(io::Error::other)
}

/// A file that nobody else can open and that is gone when it is closed, however that comes.
fn nameless(folder: &Path) -> io::Result<File> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let path = folder.join(format!(".snap-{}", hex::encode(random)));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert_eq, proptest};

    use super::*;

    fn line(text: &str) -> Line {
        Line::new(format!("key of {text}\0{text}\n").as_bytes(), text.len() + 8)
    }

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("because the system has room for a folder")
    }

    fn all_of(mut sorted: Sorted) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(part) = sorted.part().expect("because the runs are whole") {
            all.extend_from_slice(&part);
        }
        assert_eq!(all.len() as u64, sorted.size());
        all
    }

    fn sorter_of(texts: &[String], budget: Budget, folder: &Path) -> Sorter {
        let mut sorter = Sorter::new(budget, folder.to_owned());
        for text in texts {
            sorter.push(&line(text)).expect("because there is room");
        }
        sorter
    }

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).expect("because the folder is there").count()
    }

    proptest! {
        #[test]
        fn any_order_and_any_budget_give_the_same_bytes(
            (texts, shuffled) in prop::collection::vec("[a-c]{0,6}", 0..600)
                .prop_flat_map(|texts| (Just(texts.clone()), Just(texts).prop_shuffle())),
            (bytes, step) in (0..4000_usize, 1..4000_usize),
            is_least in any::<bool>(),
        ) {
            let folder = folder();
            let budget = if is_least { Budget::new(0, 1) } else { Budget::new(bytes, step) };
            let whole = all_of(sorter_of(&texts, Budget::new(1 << 20, 1 << 20), folder.path()).finish()?);
            let mut expected: Vec<String> = texts.iter().map(|text| format!("{text}\n")).collect();
            expected.sort();
            prop_assert_eq!(&whole, &expected.concat().into_bytes());
            prop_assert_eq!(whole, all_of(sorter_of(&shuffled, budget.clone(), folder.path()).finish()?));
            prop_assert_eq!(files_in(folder.path()), 0);
            prop_assert_eq!(budget.steps.available_permits(), if is_least { 0 } else { bytes / step });
        }
    }

    #[test]
    fn what_is_on_disk_has_no_name_and_is_not_to_be_read() {
        let folder = folder();
        let texts: Vec<String> = (0..40).map(|number| format!("secret {number}")).collect();
        let sorter = sorter_of(&texts, Budget::new(0, 1), folder.path());
        assert_eq!(files_in(folder.path()), 0);
        assert_eq!(sorter.levels.iter().map(Vec::len).collect::<Vec<usize>>(), [8, 2]);
        let mut keys = Vec::new();
        for mut run in sorter.levels.into_iter().flatten() {
            let mut bytes = Vec::new();
            run.file.rewind().expect("because it is a file");
            run.file.read_to_end(&mut bytes).expect("because it is ours");
            assert!(bytes.len() > 20 && memchr::memmem::find(&bytes, b"secret").is_none());
            keys.push(bytes[4..20].to_vec());
        }
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 10, "each run has a key of its own");
    }

    #[test]
    fn a_run_that_was_changed_on_disk_is_an_error() {
        let folder = folder();
        let texts: Vec<String> = (0..3).map(|number| number.to_string()).collect();
        for at in [4, 9] {
            let sorter = sorter_of(&texts, Budget::new(0, 1), folder.path());
            let mut file = &sorter.levels[0][1].file;
            file.seek(io::SeekFrom::Start(at)).expect("because it is a file");
            file.write_all(&[0x55]).expect("because it is ours");
            file.seek(io::SeekFrom::Start(at)).expect("because it is a file");
            assert!(sorter.finish().is_err());
        }
    }

    #[test]
    fn a_large_line_and_many_frames_come_back_whole() {
        let folder = folder();
        let texts: Vec<String> = (0..9).rev().map(|n: u8| char::from(b'a' + n).to_string().repeat(50_000)).collect();
        let sorted = sorter_of(&texts, Budget::new(0, 120_000), folder.path()).finish().expect("because there is room");
        let expected: Vec<String> = texts.iter().rev().map(|text| format!("{text}\n")).collect();
        assert!(all_of(sorted) == expected.concat().as_bytes());
    }

    #[test]
    fn without_a_folder_for_runs_it_is_an_error() {
        let folder = folder();
        let mut sorter = Sorter::new(Budget::new(0, 1), folder.path().join("none"));
        assert!(sorter.push(&line("a")).is_err());
    }
}
