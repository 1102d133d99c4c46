//! How a run ended, as the number a script sees.
//!
//! The numbers are part of the contract and never change their meaning; every command's help lists those it uses.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitStatus {
    /// All that was asked for is done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the configuration is wrong; nothing was done.
    Usage = 2,
    /// It finished, but something that was asked for is missing.
    Incomplete = 3,
    /// Differences were found, and `--exit-code` asked to be told so.
    Differences = 4,
    /// There is no repository at this place.
    NoRepository = 10,
    /// Another operation stands in the way.
    Conflict = 11,
    /// The password or key opens no slot.
    WrongPassword = 12,
    /// The store cannot be reached, or refuses.
    Unreachable = 13,
    /// `check` found damage from which every byte can be had again.
    Damaged = 20,
    /// `check` found data that is lost.
    Lost = 21,
    /// Stopped by SIGINT; what was done is kept.
    Interrupted = 130,
    /// Stopped by SIGTERM; what was done is kept.
    Terminated = 143,
}

impl ExitStatus {
    /// Every status there is, in the order of their numbers.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Incomplete,
        Self::Differences,
        Self::NoRepository,
        Self::Conflict,
        Self::WrongPassword,
        Self::Unreachable,
        Self::Damaged,
        Self::Lost,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number a script sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The word that JSON and notifications use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Incomplete => "incomplete",
            Self::Differences => "differences",
            Self::NoRepository => "no_repository",
            Self::Conflict => "conflict",
            Self::WrongPassword => "wrong_password",
            Self::Unreachable => "unreachable",
            Self::Damaged => "damaged",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// Whether the run did what it was asked for; incomplete is not success.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::Differences)
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        ExitCode::from(status.code())
    }
}
