//! The files of a project, at paths: what the service calls `Code` of type `SERVER_JS` is `Code.gs`.
//!
//! Whoever may write to a project names its files, so a name may be anything. One that is no path inside the project, or is
//! taken, is a gap; the text of such a file stays in `files.json`, beside what the service says of all of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use serde_json::Value;

use crate::entry::EntryPath;
use crate::source::apps_script::clasp;
use crate::source::estate::{EntrySink, Problem, Stopped};

/// What clasp passes over by itself, and the versions beside the project.
const IGNORED: &str = "**/**\n!**/appsscript.json\n!**/*.gs\n!**/*.js\n!**/*.ts\n!**/*.html\n.git/**\nnode_modules/**\n\
                       versions/[0-9]*/**\n";

/// What goes to a resource, by path, and what cannot be had.
#[derive(Default)]
pub(super) struct Files {
    files: BTreeMap<String, Bytes>,
    problems: Vec<(String, Problem)>,
    /// Whether `versions/` is for versions only.
    has_versions: bool,
}

impl Files {
    /// A document as the service gave it, or why there is none.
    pub(super) fn document(&mut self, path: &str, answer: Result<Value, Problem>) {
        match answer {
            Ok(value) => self.add(path, &value),
            Err(problem) => self.problems.push((path.to_owned(), problem)),
        }
    }

    fn add(&mut self, path: &str, value: &Value) {
        let mut text = serde_json::to_vec_pretty(value).expect("because it is plain data");
        text.push(b'\n');
        self.files.insert(path.to_owned(), text.into());
    }

    /// What makes the folder one of clasp's.
    pub(super) fn add_clasp(&mut self, id: &str, project: Option<&Value>, content: &Value, has_versions: bool) {
        let files = content["files"].as_array().map(Vec::as_slice).unwrap_or_default();
        let paths: Vec<String> =
            files.iter().filter(|file| file["type"] == "SERVER_JS").filter_map(|file| path_of(file).ok()).collect();
        let order: Vec<&str> = paths.iter().map(String::as_str).collect();
        self.add(".clasp.json", &clasp(id, project, &order));
        self.has_versions = has_versions;
        if has_versions {
            self.files.insert(".claspignore".to_owned(), Bytes::from_static(IGNORED.as_bytes()));
        }
    }

    /// The files of a project or version below a folder (which ends with `/`, or is empty).
    pub(super) fn content(&mut self, folder: &str, answer: Result<Value, Problem>) {
        let mut content = match answer {
            Ok(content) => content,
            Err(problem) => return self.problems.push((folder.trim_end_matches('/').to_owned(), problem)),
        };
        // Its place is taken first, so that no file of the project has it.
        let listed = format!("{folder}files.json");
        self.files.insert(listed.clone(), Bytes::new());
        for file in content["files"].as_array_mut().into_iter().flatten() {
            match self.take(folder, file) {
                Ok(()) => drop(file.as_object_mut().and_then(|file| file.remove("source"))),
                Err(problem) => self.problems.push((listed.clone(), problem)),
            }
        }
        self.add(&listed, &content);
    }

    fn take(&mut self, folder: &str, file: &Value) -> Result<(), Problem> {
        let path = format!("{folder}{}", path_of(file)?);
        if self.has_versions && path.starts_with("versions/") {
            return Err(problem("DuplicateName", format!("{path:?} is where versions are; its text is in files.json")));
        }
        // A file without text has no source at all.
        let source = match &file["source"] {
            Value::String(source) => source.clone(),
            Value::Null => String::new(),
            _ => return Err(problem("UnreadableAnswer", format!("the source of {path:?} is no text"))),
        };
        match self.files.entry(path) {
            Entry::Vacant(place) => drop(place.insert(source.into())),
            Entry::Occupied(place) => {
                let reason = format!("{:?} is there already; the text of this one is in files.json", place.key());
                return Err(problem("DuplicateName", reason));
            }
        }
        Ok(())
    }

    /// Says what cannot be had; where nothing at all can, that is an error.
    pub(super) async fn send_problems(&mut self, sink: &EntrySink) -> Result<(), Stopped> {
        let mut problems = std::mem::take(&mut self.problems).into_iter();
        if self.files.is_empty()
            && let Some((_, first)) = problems.next()
        {
            return Err(first.into());
        }
        for (path, problem) in problems {
            sink.gap(&path, problem).await?;
        }
        Ok(())
    }

    /// Sends some others, and of these what comes before them.
    pub(super) async fn send_around(&mut self, mut others: Self, sink: &EntrySink) -> Result<(), Stopped> {
        for (path, problem) in others.problems.drain(..) {
            sink.gap(&path, problem).await?;
        }
        for (path, bytes) in others.files {
            let after = self.files.split_off(&path);
            for (path, bytes) in std::mem::replace(&mut self.files, after) {
                sink.bytes(&path, bytes).await?;
            }
            sink.bytes(&path, bytes).await?;
        }
        Ok(())
    }

    /// Sends all.
    pub(super) async fn send(self, sink: &EntrySink) -> Result<(), Stopped> {
        for (path, bytes) in self.files {
            sink.bytes(&path, bytes).await?;
        }
        Ok(())
    }
}

/// Where a file stands below the folder of its project.
fn path_of(file: &Value) -> Result<String, Problem> {
    let (name, kind) = (file["name"].as_str().unwrap_or_default(), file["type"].as_str().unwrap_or_default());
    let extension = match kind {
        "SERVER_JS" => "gs",
        "HTML" => "html",
        "JSON" => "json",
        _ => return Err(problem("UnknownType", format!("{name:?} is of type {kind:?}; its text is in files.json"))),
    };
    let is_bad = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    if name.split('/').any(is_bad) || name.len() > EntryPath::LENGTH_MAX / 2 {
        let shown: String = name.chars().take(100).collect();
        return Err(problem("BadName", format!("{shown:?} is no name for a file; its text is in files.json")));
    }
    Ok(format!("{name}.{extension}"))
}

fn problem(code: &str, reason: String) -> Problem {
    let (action, code) = ("script:projects.getContent".to_owned(), code.to_owned());
    Problem { action, code, reason, hint: "give the file another name in the project".to_owned() }
}
