//! Shows a long operation while it runs: a block on a terminal, a line now and then elsewhere, JSON lines, or nothing.
//!
//! Events only change the [`Board`]; one thread draws it, so that reporting costs the operation next to nothing.
//! Progress goes to stderr; items and JSON go to stdout. What is shown is the board's business.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use crate::cli::board::Board;
use crate::cli::exit::ExitStatus;
use crate::cli::output::{Form, Output};
use crate::cli::signal::Signals;
use crate::cli::text;
use crate::progress::{Event, Progress};
use crate::resource::Gap;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// A block on the terminal, redrawn 8 times a second.
    Block,
    /// A line every 30 seconds.
    Lines,
    /// A JSON line at most twice a second.
    Json,
    /// None; warnings and errors still are.
    Hidden,
}

impl Face {
    fn period(self) -> Duration {
        match self {
            Self::Block => Duration::from_millis(125),
            Self::Lines | Self::Hidden => Duration::from_secs(30),
            Self::Json => Duration::from_millis(500),
        }
    }
}

/// Whether every single item is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Items {
    /// Each one.
    Shown,
    /// Only counts.
    Counted,
}

/// What runs until the operation has ended.
pub struct Watch {
    shared: Arc<Shared>,
    drawer: Option<JoinHandle<()>>,
}

struct Shared {
    output: Arc<Output>,
    signals: Signals,
    face: Face,
    items: Items,
    began: Instant,
    board: Mutex<Board>,
    /// How often each action was refused with each word.
    alike: Mutex<BTreeMap<(String, String), u64>>,
    ended: Mutex<End>,
    wake: Condvar,
    block: MultiProgress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Running,
    Ended,
}

/// How often the drawing thread looks for SIGUSR1.
const LOOK_PERIOD: Duration = Duration::from_millis(125);

impl Watch {
    /// Begins to show; signals were taken over already.
    pub fn begin(output: Arc<Output>, signals: Signals, face: Face, items: Items) -> Self {
        let shared = Arc::new(Shared {
            output,
            signals,
            face,
            items,
            began: Instant::now(),
            board: Mutex::default(),
            alike: Mutex::default(),
            ended: Mutex::new(End::Running),
            wake: Condvar::new(),
            block: MultiProgress::new(),
        });
        let drawn = Arc::clone(&shared);
        // Without a thread to draw it the operation runs all the same, unseen.
        let drawer = std::thread::Builder::new().name("progress".to_owned()).spawn(move || drawn.draw()).ok();
        Self { shared, drawer }
    }

    /// Ends the drawing and tells what was counted.
    pub fn end(mut self) -> Counts {
        self.stop();
        self.shared.tell_alike();
        let board = lock(&self.shared.board);
        Counts { failures: board.failures, warnings: board.warnings, seconds: self.shared.began.elapsed().as_secs() }
    }

    /// How the process is to end, if a signal asked for it.
    pub fn stop_requested(&self) -> Option<ExitStatus> {
        self.shared.signals.stop()
    }

    fn stop(&mut self) {
        *lock(&self.shared.ended) = End::Ended;
        self.shared.wake.notify_all();
        if let Some(drawer) = self.drawer.take() {
            let _ = drawer.join();
        }
    }
}

/// What a watch counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Things that failed.
    pub failures: u64,
    /// Things that the user was warned of.
    pub warnings: u64,
    /// How long it took.
    pub seconds: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Progress for Watch {
    fn report(&self, event: Event) {
        lock(&self.shared.board).take(&event);
        match event {
            Event::Item { action, path, bytes } => self.shared.item(action, &path, bytes),
            Event::Warning { message } => self.shared.warning(&message),
            Event::Failed { path, message } => self.shared.failed(&path, &message),
            Event::Missing { path, gap } => self.shared.missing(&path, &gap),
            Event::Started { .. } | Event::Advanced { .. } | Event::Finished { .. } => {}
        }
    }

    fn wants_items(&self) -> bool {
        self.shared.items == Items::Shown
    }

    fn interrupted(&self) -> bool {
        self.shared.signals.stop().is_some()
    }
}

impl Shared {
    fn item(&self, action: &'static str, path: &[u8], bytes: u64) {
        if self.items == Items::Counted {
            return;
        }
        let mut object = Map::from_iter([("type".to_owned(), "item".into()), ("action".to_owned(), action.into())]);
        text::insert_path(&mut object, "path", path);
        object.insert("bytes".to_owned(), bytes.into());
        self.tell(&Value::Object(object), || {
            // The reader of items may leave; the operation goes on.
            let _ = self.output.line(&format!("{} {}", symbol(action), text::printable(path)));
            let _ = self.output.flush();
        });
    }

    fn warning(&self, message: &str) {
        let line = json!({ "type": "warning", "message": message });
        self.tell(&line, || say(&format!("snap: warning: {}", text::harmless(message))));
    }

    fn failed(&self, path: &[u8], message: &str) {
        let mut object = Map::from_iter([("type".to_owned(), "error".into()), ("message".to_owned(), message.into())]);
        if !path.is_empty() {
            text::insert_path(&mut object, "path", path);
        }
        self.tell(&Value::Object(object), || {
            let which = if path.is_empty() { String::new() } else { format!("{}: ", text::printable(path)) };
            say(&format!("snap: {which}{}", text::harmless(message)));
        });
    }

    /// Of what fails alike, people see the first, and in the end how many there were; programs see all.
    fn missing(&self, path: &[u8], gap: &Gap) {
        let Gap { action, code, reason, hint, .. } = gap;
        let mut object = Map::from_iter([("type".to_owned(), "error".into())]);
        for (name, value) in [("message", reason), ("action", action), ("code", code), ("hint", hint)] {
            object.insert(name.to_owned(), value.as_str().into());
        }
        text::insert_path(&mut object, "path", path);
        let mut alike = lock(&self.alike);
        let count = alike.entry((action.clone(), code.clone())).or_default();
        *count += 1;
        if *count > 1 && self.items == Items::Counted && self.output.form() == Form::Human {
            return;
        }
        drop(alike);
        self.tell(&Value::Object(object), || {
            let hint = if hint.is_empty() { String::new() } else { format!(" ({hint})") };
            say(&format!(
                "snap: {}: {}",
                text::printable(path),
                text::harmless(&format!("{action}: {code} {reason}{hint}"))
            ));
        });
    }

    /// What was left out of what people see.
    fn tell_alike(&self) {
        if self.items == Items::Shown || self.output.form() == Form::Json {
            return;
        }
        for ((action, code), count) in lock(&self.alike).iter().filter(|(_, count)| **count > 1) {
            say(&text::harmless(&format!("snap: and {} more: {action}: {code}", text::count(count - 1))));
        }
    }

    /// One fact, in the form that stdout has. A reader that left does not end the operation.
    fn tell(&self, line: &Value, say: impl FnOnce()) {
        match (self.output.form(), self.face) {
            (Form::Json, _) => drop(self.output.json_line(line)),
            (Form::Human, Face::Block) => self.block.suspend(say),
            (Form::Human, _) => say(),
        }
    }

    fn draw(&self) {
        let mut bars: Vec<ProgressBar> = Vec::new();
        let mut drawn_revision = 0;
        let mut drawn_at = Duration::ZERO;
        loop {
            let ended = lock(&self.ended);
            let period = self.face.period().min(LOOK_PERIOD);
            // It may have ended before this thread ran: then nobody wakes it any more.
            let goes_on = |ended: &mut End| *ended == End::Running;
            let waited = self.wake.wait_timeout_while(ended, period, goes_on);
            let (ended, _) = waited.unwrap_or_else(PoisonError::into_inner);
            let elapsed = self.began.elapsed();
            if *ended == End::Ended {
                let _ = self.block.clear();
                return;
            }
            drop(ended);
            if self.signals.take_report_request() {
                let line = lock(&self.board).total_line(elapsed);
                self.block.suspend(|| say(&line));
            }
            if elapsed < drawn_at + self.face.period() {
                continue;
            }
            let board = lock(&self.board).clone();
            drawn_at = elapsed;
            match self.face {
                Face::Block => self.draw_block(&mut bars, &board.lines(elapsed)),
                Face::Lines => say(&board.total_line(elapsed)),
                Face::Json if board.revision != drawn_revision => drop(self.output.json_line(&board.json(elapsed))),
                Face::Json | Face::Hidden => {}
            }
            drawn_revision = board.revision;
        }
    }

    fn draw_block(&self, bars: &mut Vec<ProgressBar>, lines: &[String]) {
        while bars.len() > lines.len() {
            if let Some(bar) = bars.pop() {
                self.block.remove(&bar);
            }
        }
        while bars.len() < lines.len() {
            let bar = self.block.add(ProgressBar::no_length());
            bar.set_style(ProgressStyle::with_template("{wide_msg}").expect("because the template is this constant"));
            bars.push(bar);
        }
        for (bar, line) in bars.iter().zip(lines) {
            bar.set_message(line.clone());
            bar.tick();
        }
    }
}

/// One character that says what happened to an item, so that colour is never needed.
pub fn symbol(action: &str) -> char {
    match action {
        "new" | "restored" => '+',
        "changed" => '~',
        "removed" | "deleted" => '-',
        "skipped" => '!',
        _ => ' ',
    }
}

/// A line on stderr. That nobody can read it is no reason to stop.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Face, Items, Watch};
    use crate::cli::output::{Form, Output};
    use crate::cli::signal::Signals;
    use crate::progress::{Event, Progress};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn said(form: Form, face: Face, items: Items) -> (String, u64) {
        let written = Shared::default();
        let output = Arc::new(Output::to_writer(form, Box::new(written.clone())));
        let watch = Watch::begin(output, Signals::default(), face, items);
        watch.report(Event::Item { action: "new", path: b"local/a\x1b\xff".to_vec(), bytes: 3 });
        watch.report(Event::Failed { path: b"local/b".to_vec(), message: "denied".into() });
        watch.report(Event::Warning { message: "slow".into() });
        assert!(!watch.interrupted());
        let counts = watch.end();
        let text = String::from_utf8(written.0.lock().expect("nobody panicked").clone()).expect("UTF-8");
        (text, counts.failures)
    }

    #[test]
    fn events_are_json_lines_with_exact_paths() {
        let (text, failures) = said(Form::Json, Face::Hidden, Items::Shown);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
        let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().expect("it has a type")).collect();
        assert_eq!((types, failures), (vec!["item", "error", "warning"], 1));
        assert_eq!((&lines[0]["path_b64"], &lines[1]["path"]), (&"bG9jYWwvYRv/".into(), &"local/b".into()));
        assert!(said(Form::Json, Face::Hidden, Items::Counted).0.lines().all(|line| !line.contains("item")));
    }

    #[test]
    fn only_items_are_on_stdout_for_people_and_no_name_commands_the_terminal() {
        let (text, _) = said(Form::Human, Face::Hidden, Items::Shown);
        assert_eq!(text, "+ local/a\\x1b\\xff\n");
    }
}
