//! What of the estate a backup captures, as options and configuration say.

use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::source::estate::Source;

pub mod accepted;
#[cfg(feature = "aws")]
pub mod aws;
mod beside;
pub mod preview;
#[cfg(feature = "aws")]
pub mod starter;

/// Folders and files, as `--only` calls them.
const LOCAL: &str = "local";
/// What accounts have part in: the names of variables.
const ENVIRONMENT: &str = "environment";

/// Which part of the estate.
#[derive(Debug, Default, clap::Args)]
pub struct EstateArgs {
    /// Capture AWS accounts only: those of the configuration, or else the one whose credentials are at hand
    #[cfg(feature = "aws")]
    #[arg(long, conflicts_with = "stdin")]
    pub aws: bool,
    /// Only these sources and services (s3, lambda, local, …)
    #[arg(long, value_name = "SOURCE,…", value_delimiter = ',', conflicts_with = "stdin")]
    pub only: Vec<String>,
    /// Regions to look at, the home region first [default: those of the account, or of its profile]
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', conflicts_with = "stdin")]
    pub region: Vec<String>,
    /// Capture the account of this profile of the AWS tools
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME", requires = "aws")]
    pub aws_profile: Option<String>,
}

/// What is captured.
pub struct Estate {
    /// Whether folders and files are.
    pub local: Local,
    /// What else is.
    pub sources: Vec<Arc<dyn Source>>,
}

/// Whether folders and files are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Local {
    /// Those that are named.
    Named,
    /// Not now.
    LeftOut,
}

impl EstateArgs {
    /// What is captured; where paths are given, nothing else is but what is asked for too.
    pub fn estate(&self, context: &Context, has_paths: bool) -> Result<Estate, Failure> {
        let known = known();
        if let Some(unknown) = self.only.iter().find(|name| !known.contains(&name.as_str())) {
            let failure = Failure::usage(format!("no source is called {unknown}"));
            return Err(failure.with_hint(format!("there are {}", known.join(", "))));
        }
        let is_wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|only| only == name);
        let (mut sources, mut names) = (Vec::new(), Vec::new());
        #[cfg(feature = "aws")]
        if self.aws || !has_paths {
            (sources, names) = aws::sources(self, context)?;
        }
        let has_all = !has_paths && !self.is_aws_only();
        if has_all || !names.is_empty() {
            let beside = beside::sources(context, std::mem::take(&mut names));
            sources.extend(beside.into_iter().filter(|source| has_all || source.name() == ENVIRONMENT));
        }
        sources.retain(|source: &Arc<dyn Source>| is_wanted(source.name()));
        let local = match has_paths || (!self.is_aws_only() && is_wanted(LOCAL)) {
            true => Local::Named,
            false => Local::LeftOut,
        };
        Ok(Estate { local, sources })
    }

    fn is_aws_only(&self) -> bool {
        #[cfg(feature = "aws")]
        return self.aws;
        #[cfg(not(feature = "aws"))]
        false
    }
}

/// Every source there is.
fn known() -> Vec<&'static str> {
    let mut known = vec![LOCAL];
    known.extend(beside::NAMES);
    #[cfg(feature = "aws")]
    known.extend(crate::source::aws::SERVICES);
    known
}
