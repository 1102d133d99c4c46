//! Which process this is, so that another machine or a later boot never takes a new process for an old one.

use std::path::Path;

/// What tells this process from every other, now and later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// Boot of the machine, where the system tells.
    pub boot: Option<String>,
    /// Process-id namespace, where the system has such.
    pub pid_namespace: Option<String>,
    /// Process id.
    pub pid: u32,
    /// When it started, in ticks since boot, where the system tells.
    pub started: Option<u64>,
}

impl ProcessIdentity {
    /// That of the running process.
    pub fn of_this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let namespace = std::fs::read_link(Path::new("/proc/self/ns/pid")).ok();
        Self {
            boot: read("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()),
            pid_namespace: namespace.map(|link| link.to_string_lossy().into_owned()),
            pid: std::process::id(),
            started: read("/proc/self/stat").as_deref().and_then(start_time),
        }
    }

    /// Whether a process of this identity has certainly ended: it ran on this boot, among the processes seen from here, and
    /// is not there any more. `false` where nobody can tell.
    pub fn has_ended(&self) -> bool {
        let here = Self::of_this();
        let same = here.boot.is_some() && self.boot == here.boot;
        if !same || here.pid_namespace.is_none() || self.pid_namespace != here.pid_namespace || self.started.is_none() {
            return false;
        }
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => start_time(&stat).is_some_and(|started| Some(started) != self.started) || is_defunct(&stat),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

/// Field 3: a process that ended and was not yet waited for by its parent.
fn is_defunct(stat: &str) -> bool {
    stat.rsplit_once(')').is_some_and(|(_, rest)| matches!(rest.trim_start().as_bytes().first(), Some(b'Z' | b'X')))
}

/// Field 22 of `/proc/<pid>/stat`; the second field, the command, may hold spaces and parentheses.
fn start_time(stat: &str) -> Option<u64> {
    let after_command = stat.rsplit_once(')')?.1;
    after_command.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_is_found_behind_a_command_with_parentheses() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("17 (a) b ((c) {}", fields.join(" "));
        assert_eq!(start_time(&stat), Some(22));
    }
}
