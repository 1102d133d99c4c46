//! What goes to stdout: data and nothing else, for people or as JSON.
//!
//! One lock and one buffer for all threads. A reader that has gone (`snap ls | head`) ends the command quietly; a full
//! disk does not. What the user is told meanwhile goes to stderr through `progress`.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::text;

/// Version of the JSON lines and documents: the first number changes when a reader must.
pub const SCHEMA_VERSION: &str = "1.0";

/// For whom stdout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// People.
    Human,
    /// Programs: JSON lines, or one JSON document.
    Json,
}

/// Stdout, locked and buffered.
pub struct Output {
    form: Form,
    is_terminal: bool,
    sink: Mutex<Sink>,
}

struct Sink {
    writer: Box<dyn Write + Send>,
    reader_gone: bool,
    has_greeted: bool,
}

impl Output {
    /// The process's own stdout.
    pub fn stdout(form: Form) -> Self {
        let is_terminal = io::stdout().is_terminal();
        Self { is_terminal, ..Self::to_writer(form, Box::new(io::BufWriter::with_capacity(64 * 1024, io::stdout()))) }
    }

    /// Any writer: a pager, or a test's buffer.
    pub fn to_writer(form: Form, writer: Box<dyn Write + Send>) -> Self {
        Self { form, is_terminal: false, sink: Mutex::new(Sink { writer, reader_gone: false, has_greeted: false }) }
    }

    /// For whom it is.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Whether it is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Writes all later output to another writer (the pager's input).
    pub fn redirect(&self, writer: Box<dyn Write + Send>) {
        self.lock().writer = writer;
    }

    /// A line for people; nothing with `--json`. What comes from outside went through `text::printable`.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        match self.form {
            Form::Human => self.write(&[text.as_bytes(), b"\n"]),
            Form::Json => Ok(()),
        }
    }

    /// Bytes of content, as they are (`cat`).
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.write(&[bytes])
    }

    /// The first line of a long command, once; nothing for people.
    pub fn hello(&self, command: &str) -> Result<(), Failure> {
        if std::mem::replace(&mut self.lock().has_greeted, true) {
            return Ok(());
        }
        self.json_line(&json!({
            "type": "hello", "schema": SCHEMA_VERSION, "snap": env!("CARGO_PKG_VERSION"), "command": command,
        }))
    }

    /// A JSON line of a long command; nothing for people. It is seen at once.
    pub fn json_line(&self, value: &Value) -> Result<(), Failure> {
        match self.form {
            Form::Human => Ok(()),
            Form::Json => {
                let mut line = value.to_string().into_bytes();
                text::tame_json(0, &mut line);
                self.write(&[&line, b"\n"])?;
                self.flush()
            }
        }
    }

    /// The one JSON document of a query; nothing for people. `schema` is added to an object.
    pub fn document(&self, mut value: Value) -> Result<(), Failure> {
        if let Value::Object(object) = &mut value {
            object.insert("schema".to_owned(), SCHEMA_VERSION.into());
        }
        self.json_line(&value)
    }

    /// Gives all that was written to whoever reads; each command ends with it.
    pub fn flush(&self) -> Result<(), Failure> {
        let mut sink = self.lock();
        let result = sink.writer.flush();
        sink.judge(result)
    }

    fn write(&self, parts: &[&[u8]]) -> Result<(), Failure> {
        let mut sink = self.lock();
        if sink.reader_gone {
            return Err(Failure::reader_gone());
        }
        let result = parts.iter().try_for_each(|part| sink.writer.write_all(part));
        sink.judge(result)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Sink {
    fn judge(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                self.writer = Box::new(io::sink());
                Err(Failure::reader_gone())
            }
            Err(error) => Err(Failure::new(ExitStatus::Failed, format!("cannot write to standard output: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Form, Output};
    use crate::cli::exit::ExitStatus;
    use std::io::{self, Write};

    struct Broken(io::ErrorKind);
    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_ends_quietly_and_a_full_disk_does_not() {
        let gone = Output::to_writer(Form::Human, Box::new(Broken(io::ErrorKind::BrokenPipe)));
        let failure = gone.line("x").expect_err("the reader has gone");
        assert!(failure.is_quiet() && failure.status() == ExitStatus::Done);
        assert!(gone.line("y").expect_err("it stays gone").is_quiet());
        let full = Output::to_writer(Form::Human, Box::new(Broken(io::ErrorKind::StorageFull)));
        assert_eq!(full.line("x").expect_err("the disk is full").status(), ExitStatus::Failed);
    }
}
