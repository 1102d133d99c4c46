//! What of an AWS account is captured, as options say.

use std::sync::Arc;

use crate::cli::failure::Failure;
use crate::source::aws::account::{AccountSettings, Connection};
use crate::source::aws::{SERVICES, sources};
use crate::source::estate::Source;

/// The account whose credentials are at hand, and what of it.
#[derive(Debug, clap::Args)]
pub struct AwsArgs {
    /// Capture the AWS account whose credentials are at hand
    #[arg(long, conflicts_with = "stdin")]
    pub aws: bool,
    /// Only these services of it
    #[arg(long, value_name = "SERVICE,…", value_delimiter = ',', requires = "aws")]
    pub only: Vec<String>,
    /// Regions to look at [default: that of the credentials]
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', requires = "aws")]
    pub region: Vec<String>,
    /// Profile of the AWS tools
    #[arg(long, value_name = "NAME", requires = "aws")]
    pub profile: Option<String>,
}

impl AwsArgs {
    /// The sources that are asked.
    pub fn sources(&self) -> Result<Vec<Arc<dyn Source>>, Failure> {
        if !self.aws {
            return Ok(Vec::new());
        }
        if let Some(unknown) = self.only.iter().find(|name| !SERVICES.contains(&name.as_str())) {
            let known = SERVICES.join(", ");
            return Err(
                Failure::usage(format!("no service is called {unknown}")).with_hint(format!("there are {known}"))
            );
        }
        let only: Vec<&str> = self.only.iter().map(String::as_str).collect();
        let settings = AccountSettings {
            profile: self.profile.clone(),
            regions: self.region.clone(),
            ..AccountSettings::default()
        };
        let connection = Arc::new(Connection::new(settings));
        Ok(sources(&connection, if only.is_empty() { SERVICES } else { &only }))
    }
}
