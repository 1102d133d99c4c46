//! Credentials of an account: asked for once and kept, and asked for anew when they are about to expire or a service says
//! that they have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_config::sts::AssumeRoleProvider;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::source::aws::account::{AccountSettings, REGION_DEFAULT, Role, loader};

/// So long before they expire others are asked for.
const AHEAD: Duration = Duration::from_secs(120);
/// No more often than this, where whoever gives them gives such as expire soon.
const ASKED_EVERY: Duration = Duration::from_secs(30);

/// Whoever gives credentials.
#[derive(Debug)]
pub(super) enum Giver {
    /// The chain of the AWS tools: environment, profile, process, web identity. Built anew each time, as it remembers files.
    Chain(AccountSettings),
    /// Someone else.
    Given(SharedCredentialsProvider),
}

/// Credentials that are kept.
#[derive(Debug)]
pub(super) struct Renewed {
    giver: Giver,
    kept: Mutex<Kept>,
    /// How often they were thrown away.
    generation: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    /// With the moment when they were asked for.
    current: Option<(Credentials, Instant)>,
    /// Which were thrown away last, by key and token.
    refused: Option<(String, Option<String>)>,
}

fn identity(credentials: &Credentials) -> (String, Option<String>) {
    (credentials.access_key_id().to_owned(), credentials.session_token().map(str::to_owned))
}

impl Renewed {
    pub(super) fn new(giver: Giver) -> Self {
        Self { giver, kept: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// Those that are given out now; another number, other credentials.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// A service says that those of this generation have expired. Many calls hear so at once; the first throws them away.
    pub(super) async fn expired(&self, generation: u64) {
        let mut kept = self.kept.lock().await;
        let Some((credentials, asked)) = kept.current.take() else { return };
        let is_same = kept.refused == Some(identity(&credentials));
        if self.generation() == generation && !(is_same && asked.elapsed() < ASKED_EVERY) {
            self.generation.fetch_add(1, Ordering::SeqCst);
            kept.refused = Some(identity(&credentials));
        } else {
            // Thrown away already; or the same came when others were asked for, and would come again.
            kept.current = Some((credentials, asked));
        }
    }

    async fn provide(&self) -> provider::Result {
        let mut kept = self.kept.lock().await;
        if let Some((credentials, asked)) = &kept.current {
            let is_good = credentials.expiry().is_none_or(|expiry| SystemTime::now() + AHEAD < expiry);
            if is_good || asked.elapsed() < ASKED_EVERY {
                return Ok(credentials.clone());
            }
        }
        let credentials = match &self.giver {
            Giver::Given(provider) => provider.provide_credentials().await?,
            Giver::Chain(settings) => {
                let config = loader(settings).load().await;
                let none = || CredentialsError::not_loaded("there are no credentials");
                match &settings.role {
                    Some(role) => assumed(&config, role).await.provide_credentials().await?,
                    None => config.credentials_provider().ok_or_else(none)?.provide_credentials().await?,
                }
            }
        };
        kept.current = Some((credentials.clone(), Instant::now()));
        Ok(credentials)
    }
}

/// Whoever assumes a role with the credentials at hand.
async fn assumed(config: &SdkConfig, role: &Role) -> AssumeRoleProvider {
    let region = config.region().cloned().unwrap_or(Region::from_static(REGION_DEFAULT));
    let mut provider = AssumeRoleProvider::builder(&role.arn).configure(config).region(region).session_name("snap");
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    provider.build().await
}

impl ProvideCredentials for Renewed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.provide())
    }
}
