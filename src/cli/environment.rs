//! The environment of the process, read once and then a value, so that everything above it can be tested.
//!
//! Nothing else in the program asks for a variable, the current folder or the host's name.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables, folders and the host's name.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    /// Where the command was given.
    pub current_folder: PathBuf,
    /// Where the machine's own configuration lies (`/etc/snap`).
    pub system_folder: PathBuf,
    /// The name of this machine.
    pub host: String,
    /// The effective user.
    pub user_id: u32,
}

impl Environment {
    /// The environment of this process.
    pub fn of_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            current_folder: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            system_folder: PathBuf::from("/etc/snap"),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            user_id: rustix::process::geteuid().as_raw(),
        }
    }

    #[cfg(test)]
    /// An environment of these variables and nothing else.
    pub(crate) fn for_test(variables: &[(&str, &str)]) -> Self {
        Self {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            current_folder: PathBuf::from("/work"),
            system_folder: PathBuf::from("/nonexistent"),
            host: "testhost".to_owned(),
            user_id: rustix::process::geteuid().as_raw(),
        }
    }

    /// A variable, if it is set.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// A variable, if it is set and not empty.
    pub fn non_empty(&self, name: &str) -> Option<&OsStr> {
        self.variable(name).filter(|value| !value.is_empty())
    }

    /// The name of whoever runs the program; the number where the system knows no name.
    pub fn user(&self) -> String {
        let known = uzers::get_user_by_uid(self.user_id).map(|user| user.name().to_string_lossy().into_owned());
        known.unwrap_or_else(|| self.user_id.to_string())
    }

    /// The user's own folder.
    pub fn home(&self) -> Option<PathBuf> {
        self.non_empty("HOME").map(PathBuf::from)
    }

    /// The user's folder for configuration of this program (`$XDG_CONFIG_HOME/snap`).
    pub fn configuration_folder(&self) -> Option<PathBuf> {
        self.base_folder("XDG_CONFIG_HOME", ".config")
    }

    /// The user's folder for data of this program (`$XDG_DATA_HOME/snap`).
    pub fn data_folder(&self) -> Option<PathBuf> {
        self.base_folder("XDG_DATA_HOME", ".local/share")
    }

    /// The user's folder for what can be had again (`$XDG_CACHE_HOME/snap`).
    pub fn cache_folder(&self) -> Option<PathBuf> {
        self.base_folder("XDG_CACHE_HOME", ".cache")
    }

    /// The base directory specification ignores relative values.
    fn base_folder(&self, variable: &str, under_home: &str) -> Option<PathBuf> {
        let base = self.non_empty(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        Some(base.or_else(|| Some(self.home()?.join(under_home)))?.join("snap"))
    }

    /// A path as written in a file of `folder`, or on the command line: `~/` is the user's home, anything else that is
    /// not absolute is under `folder`.
    pub fn resolve(&self, folder: &Path, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), self.home()) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => folder.join(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_relative_base_folder_is_ignored() {
        let environment = Environment::for_test(&[("HOME", "/home/me"), ("XDG_DATA_HOME", "data")]);
        assert_eq!(environment.data_folder(), Some(PathBuf::from("/home/me/.local/share/snap")));
        assert_eq!(Environment::for_test(&[]).data_folder(), None);
    }

    #[test]
    fn paths_of_a_file_are_under_its_folder() {
        let environment = Environment::for_test(&[("HOME", "/home/me")]);
        let resolve = |path: &str| environment.resolve(Path::new("/etc/snap"), Path::new(path));
        assert_eq!(resolve("~/x"), Path::new("/home/me/x"));
        assert_eq!(resolve("x"), Path::new("/etc/snap/x"));
        assert_eq!(resolve("/x"), Path::new("/x"));
    }
}
