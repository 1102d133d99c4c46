//! The SDK's client and the runtime it lives on; what is decided about reaching a store stands here.
//!
//! Credentials come from the SDK's standard chain (variables, profile, SSO, web identity, container, instance), which
//! renews them before they expire. Where the store says that they have expired all the same, the chain is asked afresh,
//! once, until a request has succeeded again.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
    StalledStreamProtectionConfig,
};
use tokio::runtime::Runtime;

use crate::storage::StorageErrorKind;
use crate::storage::s3::address::{BucketStyle, S3Address};
use crate::storage::s3::error::{Credentials, Pressure, Trouble};
use crate::storage::s3::gate::Gate;

/// They drive the connections, TLS among it; requests are made by the threads that call.
const RUNTIME_THREADS: usize = 2;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
/// Where nothing names a region; stores other than AWS's mostly take any.
const REGION_DEFAULT: &str = "us-east-1";

/// A client for one address.
pub(super) struct Connection {
    address: S3Address,
    credentials: Option<SharedCredentialsProvider>,
    gate: Gate,
    current: RwLock<Current>,
    runtime: Option<Runtime>,
}

/// A client, and whether its credentials were ever good.
#[derive(Clone)]
struct Current {
    client: Client,
    generation: u64,
    is_proven: Arc<AtomicBool>,
}

impl Connection {
    /// Makes a client. Nothing is sent yet, though the region may be asked of the instance this runs on.
    pub(super) fn new(address: S3Address, credentials: Option<SharedCredentialsProvider>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("s3")
            .enable_all()
            .build()?;
        let client = runtime.block_on(client(&address, credentials.as_ref()));
        let current = RwLock::new(Current { client, generation: 0, is_proven: Arc::default() });
        Ok(Self { address, credentials, gate: Gate::new(), current, runtime: Some(runtime) })
    }

    /// Makes one request, or a few that belong together, and waits for the answer; `size` bytes are sent or come back.
    pub(super) fn run<T>(
        &self,
        size: u64,
        request: impl AsyncFnOnce(Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let pressure = |answer: &Result<T, Trouble>| answer.as_ref().err().map_or(Pressure::Unknown, |t| t.pressure);
        let answer = self.gate.pass(size, || self.runtime().block_on(request(current.client.clone())), pressure);
        match answer {
            Err(trouble) if trouble.credentials == Credentials::Expired => Err(self.renew(&current, trouble)),
            answer => {
                current.is_proven.fetch_or(answer.is_ok(), Ordering::Relaxed);
                answer
            }
        }
    }

    /// Asks the chain afresh, unless another thread did or what it gave last was never good; then it is lasting.
    fn renew(&self, used: &Current, trouble: Trouble) -> Trouble {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.generation == used.generation {
            if !used.is_proven.load(Ordering::Relaxed) {
                return trouble;
            }
            current.client = self.runtime().block_on(client(&self.address, self.credentials.as_ref()));
            current.generation += 1;
            current.is_proven = Arc::default();
        }
        Trouble { kind: StorageErrorKind::Unreachable, ..trouble }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("because only drop takes it")
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A look-up of a name may hang for minutes; nobody waits for it.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn client(address: &S3Address, credentials: Option<&SharedCredentialsProvider>) -> Client {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = &address.profile {
        // Who names a profile means it, whatever credentials stand in variables, as the AWS tools have it.
        let named = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(named);
    }
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    if let Some(endpoint) = &address.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if address.region.is_some() || address.endpoint.is_some() {
        // Without the question to an instance's own service, which is not there beside a store of one's own.
        let mut profile = ProfileFileRegionProvider::builder();
        if let Some(name) = &address.profile {
            profile = profile.profile_name(name);
        }
        let chain = RegionProviderChain::first_try(address.region.clone().map(Region::new))
            .or_else(EnvironmentVariableRegionProvider::new())
            .or_else(profile.build())
            .or_else(REGION_DEFAULT);
        loader = loader.region(chain);
    }
    let shared = loader.load().await;
    let is_custom = shared.endpoint_url().is_some();
    let style = address.style.unwrap_or(if is_custom { BucketStyle::Path } else { BucketStyle::Host });
    let mut builder = Builder::from(&shared)
        .force_path_style(style == BucketStyle::Path)
        // One floor of retries, not two multiplied, and only one that knows what a repeated put means.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIME_MAX).build())
        // The SDK would send its own as trailers, which many stores do not know; ours stand in the headers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if shared.region().is_none() {
        builder = builder.region(Region::new(REGION_DEFAULT));
    }
    Client::from_conf(builder.build())
}
