//! `snap check`: proves that snapshots can be had again.
//!
//! Structure always, every byte with `--read-data`; what was verified when is remembered by the operation.

use std::str::FromStr;

use crate::cli::context::Context;
use crate::cli::exit::ExitStatus;
use crate::cli::failure::Failure;
use crate::cli::location::WhenAbsent;

/// Verifies the repository
///
/// Without --read-data: every snapshot's pages, and that each chunk they name is in a pack that is there. With it every
/// byte is read, decrypted and compared with its name; with a percentage that part which was verified longest ago.
///
/// Examples:
///   snap check
///   snap check --read-data
///   snap check --read-data=10%
///
/// Exit codes:
///   0 sound · 1 failed · 2 usage · 10 no repository · 11 conflicting operation · 12 wrong password ·
///   13 store unreachable · 20 damaged, but every byte can be had again · 21 data is lost (it is named) ·
///   130, 143 interrupted
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Read everything, or the given part of it
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "100")]
    pub read_data: Option<Percent>,
}

/// Runs the command.
pub fn run(arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    unwired(arguments, context)
}

/// Stands in for the operation until it is wired.
fn unwired(_arguments: &Args, context: &Context) -> Result<ExitStatus, Failure> {
    context.access(WhenAbsent::Refuse)?;
    Err(Failure::not_wired("check"))
}

/// A part of everything, above 0 and at most 100 percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let percent: f64 = number.parse().map_err(|_| "it should be a percentage as 10%")?;
        if percent > 0.0 && percent <= 100.0 { Ok(Self(percent)) } else { Err("it should be above 0 and at most 100%") }
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    #[test]
    fn a_part_is_above_nothing_and_at_most_all() {
        assert_eq!("2.5%".parse(), Ok(Percent(2.5)));
        assert_eq!("100".parse(), Ok(Percent(100.0)));
        for wrong in ["0", "101%", "-1", "NaN", "x", ""] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }
}
