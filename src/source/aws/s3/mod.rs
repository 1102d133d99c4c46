//! S3: `s3-buckets/<bucket>/<key>`, `s3-buckets/<bucket>@settings.json` and, by choice, every version in
//! `s3-versions/<bucket>/<key>@<version>`.
//!
//! Buckets are asked in their own region, whatever regions are looked at, as their names are the whole world's. `settings`
//! asks for all that belongs to a bucket, `objects` and `versions` list, `object` fetches one. Two sources bear the name, so
//! that settings do not wait behind objects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};

use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, ask, list, text, token};
use crate::source::aws::s3::object::Place;
use crate::source::aws::wire::Headers;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

mod detail;
mod keys;
mod object;
mod objects;
mod settings;
mod versions;

const NAME: &str = "s3";
const FOLDER: &str = "s3-buckets";
const FOLDER_OF_VERSIONS: &str = "s3-versions";
/// The word for "there is no such bucket".
const GONE: &str = "NoSuchBucket";
/// Where buckets are that name no region, in the partition that has it.
const REGION_UNNAMED: &str = "us-east-1";
const PARTITION_UNNAMED: &str = "aws";
/// An old word for a region.
const REGION_OLD: (&str, &str) = ("EU", "eu-west-1");

/// Objects that are fetched at once, of all buckets: each takes a connection, and a process has only so many.
const FETCHES_MAX: usize = 128;

/// What of buckets is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct S3Scope {
    /// Which versions of objects.
    pub versions: Versions,
    /// What is asked of an object beside itself.
    pub detail: Detail,
}

/// Which versions of the objects of a bucket are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// What a reader sees now.
    #[default]
    Latest,
    /// Those before it and delete markers too, each by its id.
    All,
}

/// What is asked of an object beside its body, headers and tags, which cost no call where there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing.
    #[default]
    Fast,
    /// Its tags again, which may change without it, and its access control list, where the bucket has such.
    Full,
}

/// Both sources of an account.
pub(super) fn sources(connection: &Arc<Connection>) -> [Arc<dyn Source>; 2] {
    let buckets = Arc::new(Buckets {
        connection: Arc::clone(connection),
        listed: OnceCell::new(),
        clients: Mutex::default(),
        turns: Arc::new(Semaphore::new(FETCHES_MAX)),
    });
    [Arc::new(Objects { buckets: Arc::clone(&buckets) }), Arc::new(Settings { buckets })]
}

/// The buckets of an account, listed once, each found once.
struct Buckets {
    connection: Arc<Connection>,
    listed: OnceCell<Result<BTreeMap<String, Bucket>, Problem>>,
    /// One for each region.
    clients: Mutex<BTreeMap<String, Client>>,
    /// For each object that is asked for at this moment.
    turns: Arc<Semaphore>,
}

/// A bucket as the list has it, and where it is.
struct Bucket {
    listed: Value,
    location: OnceCell<Location>,
}

/// Where a bucket is, and what the service said when it was asked.
struct Location {
    region: String,
    answer: Result<Value, Refusal>,
}

impl Buckets {
    async fn account(&self) -> Result<&Account, Problem> {
        self.connection.account().await
    }

    async fn listed(&self) -> Result<&BTreeMap<String, Bucket>, Problem> {
        let listed = self.listed.get_or_init(|| self.list()).await;
        listed.as_ref().map_err(Clone::clone)
    }

    async fn list(&self) -> Result<BTreeMap<String, Bucket>, Problem> {
        let account = self.account().await?;
        let region = account.home();
        let (calls, client) = (Calls { account, service: NAME, region }, self.client(account, region));
        // Never with a limit: there are services that take it for the end of the list.
        let buckets = list!(&calls, "ListBuckets", token("/ContinuationToken"), "/Buckets", |token| {
            client.list_buckets().set_continuation_token(token)
        });
        let named =
            |bucket: Value| (text(&bucket, "Name").to_owned(), Bucket { listed: bucket, location: OnceCell::new() });
        Ok(buckets.await.map_err(Refusal::into_problem)?.into_iter().map(named).collect())
    }

    /// The bucket of a resource.
    async fn bucket(&self, resource: &Resource) -> Result<(&str, &Bucket), Problem> {
        let name = resource.attributes.get("name").map(String::as_str).unwrap_or_default();
        let found = self.listed().await?.get_key_value(name).map(|(name, bucket)| (name.as_str(), bucket));
        found.ok_or_else(|| Problem { reason: format!("there is no bucket {name}"), ..Problem::default() })
    }

    /// Where a bucket is.
    async fn location<'b>(&self, account: &Account, name: &str, bucket: &'b Bucket) -> &'b Location {
        bucket.location.get_or_init(|| self.locate(account, name, bucket)).await
    }

    async fn locate(&self, account: &Account, name: &str, bucket: &Bucket) -> Location {
        // This region answers for most others; where there is no such region, one's own does.
        let region = if account.partition == PARTITION_UNNAMED { REGION_UNNAMED } else { account.home() };
        let answer = self.ask_location(account, region, name).await;
        let listed = text(&bucket.listed, "BucketRegion");
        let stated = match (listed, answer.as_ref().ok()) {
            ("", Some(answer)) => text(answer, "LocationConstraint").to_owned(),
            ("", None) => self.region_by_header(account, region, name).await,
            (region, _) => region.to_owned(),
        };
        let region = match stated.as_str() {
            "" => region.to_owned(),
            old if old == REGION_OLD.0 => REGION_OLD.1.to_owned(),
            _ => stated,
        };
        match answer {
            Err(_) => Location { answer: self.ask_location(account, &region, name).await, region },
            answer => Location { region, answer },
        }
    }

    async fn ask_location(&self, account: &Account, region: &str, bucket: &str) -> Result<Value, Refusal> {
        let (calls, client) = (Calls { account, service: NAME, region }, self.client(account, region));
        ask!(calls, "GetBucketLocation", client.get_bucket_location().bucket(bucket)).await
    }

    /// The region that any answer about a bucket names, also one that refuses; nothing where there is none.
    async fn region_by_header(&self, account: &Account, region: &str, bucket: &str) -> String {
        let (calls, client) = (Calls { account, service: NAME, region }, self.client(account, region));
        let headers = Headers::default();
        let request = client.head_bucket().bucket(bucket);
        let send = || request.clone().customize().interceptor(headers.clone()).send();
        let _refused_or_not = calls.typed("HeadBucket", send).await;
        let region = headers.take().into_iter().find(|(name, _)| name == "x-amz-bucket-region");
        region.map(|(_, region)| region).unwrap_or_default()
    }

    fn client(&self, account: &Account, region: &str) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients.entry(region.to_owned()).or_insert_with(|| {
            let settings = Builder::from(&account.config_in(region));
            // A service of one's own has no name for each bucket.
            Client::from_conf(settings.force_path_style(account.endpoint.is_some()).build())
        });
        client.clone()
    }

    /// The resources of all buckets: what a bucket's folder and path end with, by bucket.
    async fn discover(&self, paths: impl Fn(&str) -> Vec<String>) -> Result<Discovery, Problem> {
        let account = self.account().await?;
        let mut found = Discovery::default();
        for name in self.listed().await?.keys() {
            let arn = format!("arn:{}:s3:::{name}", account.partition);
            let attributes = [("account", account.id.as_str()), ("arn", arn.as_str()), ("name", name.as_str())];
            found.resources.extend(paths(name).into_iter().map(|path| resource(NAME, path, attributes)));
        }
        Ok(found)
    }
}

/// What belongs to buckets beside their objects.
struct Settings {
    buckets: Arc<Buckets>,
}

#[async_trait]
impl Source for Settings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.buckets.connection.notes(NAME)
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        self.buckets.discover(|bucket| vec![format!("{FOLDER}/{bucket}@settings.json")]).await
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.buckets.account().await?;
        let (name, bucket) = self.buckets.bucket(resource).await?;
        let Location { region, answer } = self.buckets.location(account, name, bucket).await;
        if let Err(refusal) = answer
            && refusal.code == GONE
        {
            return Err(Stopped::Gone(refusal.clone().into()));
        }
        sink.attribute("region", region.clone()).await?;
        let calls = Calls { account, service: NAME, region };
        let client = self.buckets.client(account, region);
        settings::capture(
            name,
            [("Bucket", Ok(bucket.listed.clone())), ("Location", answer.clone())],
            (&calls, &client),
            sink,
        )
        .await
    }
}

/// The objects of buckets.
struct Objects {
    buckets: Arc<Buckets>,
}

#[async_trait]
impl Source for Objects {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        match self.buckets.connection.settings().s3.versions {
            Versions::Latest => vec![FOLDER.to_owned()],
            Versions::All => vec![FOLDER.to_owned(), FOLDER_OF_VERSIONS.to_owned()],
        }
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let folders = self.folders();
        self.buckets.discover(|bucket| folders.iter().map(|folder| format!("{folder}/{bucket}")).collect()).await
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.buckets.account().await?;
        let (name, bucket) = self.buckets.bucket(resource).await?;
        let region = &self.buckets.location(account, name, bucket).await.region;
        sink.attribute("region", region.clone()).await?;
        let client = self.buckets.client(account, region);
        let calls = Calls { account, service: NAME, region };
        let detail = self.buckets.connection.settings().s3.detail;
        let is_owner_enforced = detail == Detail::Full && settings::is_owner_enforced(name, &calls, &client).await;
        let place = Arc::new(Place {
            connection: Arc::clone(&self.buckets.connection),
            client,
            region: region.clone(),
            bucket: name.to_owned(),
            detail,
            is_owner_enforced,
            turns: Arc::clone(&self.buckets.turns),
        });
        match resource.path.starts_with(FOLDER_OF_VERSIONS.as_bytes()) {
            true => versions::capture(&place, &calls, sink).await,
            false => objects::capture(&place, &calls, sink).await,
        }
        .map_err(|stopped| match stopped {
            Stopped::Problem(problem) if problem.code == GONE => Stopped::Gone(problem),
            other => other,
        })
    }

    fn is_large(&self, _resource: &Resource) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        3
    }
}
