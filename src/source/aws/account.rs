//! An account: whose it is, its credentials, the regions that are looked at, and how its names become paths.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::source::aws::call::{Calls, Refusal, ask, text};
use crate::source::aws::credentials::{Giver, Renewed};
use crate::source::aws::dynamodb::TableSettings;
use crate::source::aws::lambda::FunctionScope;
use crate::source::aws::pace::Pace;
use crate::source::aws::s3::S3Scope;
use crate::source::estate::Problem;
use crate::source::filter::Filter;

/// The attribute of a resource that says in plain words what of it AWS gives to nobody.
pub(super) const WITHHELD: &str = "withheld";
/// Where nothing names a region.
pub(super) const REGION_DEFAULT: &str = "us-east-1";
const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(60);

/// What to look at, and as whom.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccountSettings {
    /// What the user calls it.
    pub label: String,
    /// Profile of the AWS tools; their default where there is none.
    pub profile: Option<String>,
    /// The role that is assumed with these credentials, by its ARN.
    pub role: Option<Role>,
    /// Whether names in the layout say which account they are of.
    pub naming: Naming,
    /// Regions; that of the environment or profile where there are none.
    pub regions: Vec<String>,
    /// A service of one's own instead of AWS's.
    pub endpoint: Option<String>,
    /// Part of what AWS allows that is taken, of 1.
    pub share: Option<f64>,
    /// What is left out.
    pub filter: Option<Arc<Filter>>,
    /// What of functions is wanted.
    pub lambda: FunctionScope,
    /// What of buckets is wanted.
    pub s3: S3Scope,
    /// What of tables is wanted.
    pub tables: TableSettings,
}

/// A role that is assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What it demands to hear from strangers.
    pub external_id: Option<String>,
}

/// How the names of an account stand in the layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Plain, as of the one account or the home account.
    #[default]
    Home,
    /// With the account.
    Foreign,
}

/// An account that is asked who it is when the first source wants to know, once.
#[derive(Debug)]
pub struct Connection {
    settings: AccountSettings,
    given: Option<SharedCredentialsProvider>,
    account: OnceCell<Result<Account, Problem>>,
}

impl Connection {
    /// Nothing is sent yet.
    pub fn new(settings: AccountSettings) -> Self {
        Self { settings, given: None, account: OnceCell::new() }
    }

    /// With credentials that someone else gives; asked again when they expire.
    pub fn with_credentials(settings: AccountSettings, provider: SharedCredentialsProvider) -> Self {
        Self { settings, given: Some(provider), account: OnceCell::new() }
    }

    /// The account, or why nobody knows it.
    pub(super) async fn account(&self) -> Result<&Account, Problem> {
        let account = self.account.get_or_init(|| Account::connect(&self.settings, self.given.clone())).await;
        account.as_ref().map_err(Clone::clone)
    }

    /// The account, if it is known by now.
    pub(super) fn known(&self) -> Option<&Account> {
        self.account.get().and_then(|account| account.as_ref().ok())
    }

    pub(super) fn settings(&self) -> &AccountSettings {
        &self.settings
    }

    /// What is worth telling of a service once it was asked: members of its answers that no shape knows.
    pub(super) fn notes(&self, service: &str) -> Vec<String> {
        let Some(account) = self.known() else { return Vec::new() };
        let unknown = account.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let members: Vec<&str> =
            unknown.iter().filter(|(of, _)| of == service).map(|(_, member)| member.as_str()).collect();
        if members.is_empty() {
            return Vec::new();
        }
        let members = members.join(", ");
        vec![format!("answers of {service} have members that this version does not know, kept all the same: {members}")]
    }
}

/// How the AWS tools would be set up, with these settings.
pub(super) fn loader(settings: &AccountSettings) -> ConfigLoader {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        // One floor of retries, ours, which knows the pace.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder().connect_timeout(CONNECT_TIME_MAX).read_timeout(ATTEMPT_TIME_MAX).build(),
        );
    if let Some(profile) = &settings.profile {
        // Who names a profile means it, whatever credentials stand in variables, as the AWS tools have it.
        let named = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(named);
    }
    if let Some(endpoint) = &settings.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(region) = settings.regions.first() {
        loader = loader.region(Region::new(region.clone()));
    }
    loader
}

/// An account with credentials that are good.
#[derive(Debug)]
pub(super) struct Account {
    /// Its twelve digits.
    pub(super) id: String,
    /// `aws`, `aws-cn`, …
    pub(super) partition: String,
    /// The regions that are looked at, the home region first.
    pub(super) regions: Vec<String>,
    pub(super) endpoint: Option<String>,
    pub(super) pace: Pace,
    naming: Naming,
    pub(super) credentials: Arc<Renewed>,
    configs: BTreeMap<String, SdkConfig>,
    /// Members that no shape knows, by service.
    unknown: Mutex<BTreeSet<(String, String)>>,
}

impl Account {
    /// Finds out whose the credentials are.
    async fn connect(settings: &AccountSettings, given: Option<SharedCredentialsProvider>) -> Result<Self, Problem> {
        let giver = given.map_or_else(|| Giver::Chain(settings.clone()), Giver::Given);
        let credentials = Arc::new(Renewed::new(giver));
        // Kept by us, who hear when they have expired.
        let provider: Arc<dyn ProvideCredentials> = Arc::clone(&credentials) as _;
        let provider = SharedCredentialsProvider::new(provider);
        let loader = loader(settings).credentials_provider(provider).identity_cache(IdentityCache::no_cache());
        let shared = loader.load().await;
        let home = shared.region().map_or(REGION_DEFAULT, Region::as_ref).to_owned();
        let mut regions = settings.regions.clone();
        if regions.is_empty() {
            regions.push(home.clone());
        }
        let config =
            |region: &String| (region.clone(), shared.to_builder().region(Region::new(region.clone())).build());
        let mut account = Self {
            id: String::new(),
            partition: "aws".to_owned(),
            endpoint: settings.endpoint.clone().or_else(|| shared.endpoint_url().map(str::to_owned)),
            pace: settings.share.map_or_else(Pace::default, Pace::with_share),
            naming: settings.naming,
            configs: regions.iter().chain([&home, &REGION_DEFAULT.to_owned()]).map(config).collect(),
            regions,
            credentials,
            unknown: Mutex::default(),
        };
        let identity = account.identity(&home).await?;
        account.id = text(&identity, "Account").to_owned();
        account.partition = text(&identity, "Arn").split(':').nth(1).unwrap_or("aws").to_owned();
        Ok(account)
    }

    async fn identity(&self, home: &str) -> Result<Value, Refusal> {
        let calls = Calls { account: self, service: "sts", region: home };
        let client = aws_sdk_sts::Client::new(self.config(home));
        ask!(calls, "GetCallerIdentity", client.get_caller_identity()).await
    }

    /// The settings of the SDK for a region.
    pub(super) fn config(&self, region: &str) -> &SdkConfig {
        self.configs
            .get(region)
            .or_else(|| self.configs.values().next())
            .expect("because there is one for the home region")
    }

    /// The settings of the SDK for any region, also one that is not looked at: buckets are where they are.
    pub(super) fn config_in(&self, region: &str) -> SdkConfig {
        self.config(region).to_builder().region(Region::new(region.to_owned())).build()
    }

    /// A region that names need not say.
    pub(super) fn home(&self) -> &str {
        &self.regions[0]
    }

    /// A name in the layout: as it is in the home region of the home account, with account and region elsewhere.
    pub(super) fn name(&self, name: &str, region: &str) -> String {
        match self.naming {
            Naming::Home if region == self.home() => name.to_owned(),
            Naming::Home => format!("{name}@{region}"),
            Naming::Foreign => format!("{name}@{}:{region}", self.id),
        }
    }

    /// The same of what belongs to no region.
    pub(super) fn global_name(&self, name: &str) -> String {
        match self.naming {
            Naming::Home => name.to_owned(),
            Naming::Foreign => format!("{name}@{}", self.id),
        }
    }

    /// Remembers what the shapes do not know of an answer.
    pub(super) fn note_unknown(&self, service: &str, operation: &str, members: Vec<String>) {
        if !members.is_empty() {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.extend(members.into_iter().map(|member| (service.to_owned(), format!("{operation}{member}"))));
        }
    }
}
