//! DynamoDB: `dynamodb-tables/<table>/items.jsonl`, sorted by primary key, and `table-schema.json` with all that belongs to
//! the table.
//!
//! A scan is no point in time: the table's record says when it began and ended.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::BackupTypeFilter;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata};
use crate::resource::Resource;
use crate::source::aws::account::{Account, Connection};
use crate::source::aws::call::{Calls, Refusal, ask, list, or_absent, text, token};
use crate::source::aws::document::Document;
use crate::source::aws::dynamodb::capacity::Capacity;
use crate::source::aws::dynamodb::items::{Lines, Scan};
use crate::source::aws::dynamodb::pages::Table;
use crate::source::aws::dynamodb::sorted::{Budget, Sorter};
use crate::source::aws::listing::sorted;
use crate::source::estate::{Body, Discovery, EntrySink, Problem, Source, Stopped, resource};

mod capacity;
mod items;
mod order;
mod pages;
mod sorted;

const NAME: &str = "dynamodb";
const FOLDER: &str = "dynamodb-tables";
const ITEMS: &str = "items.jsonl";
const SCHEMA: &str = "table-schema.json";
/// The word for "there is no such table", and that for "it has no policy".
const GONE: &str = "ResourceNotFoundException";
const NO_POLICY: &[&str] = &["PolicyNotFoundException"];
/// Memory for items, of all tables together, and the step in which a table takes it.
const MEMORY: usize = 64 << 20;
const MEMORY_STEP: usize = 1 << 20;
/// Pages at once, of all tables together, until they are lines.
const PAGES_AT_ONCE: usize = 6;

/// Which items of tables are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Items {
    /// All of them.
    #[default]
    All,
    /// The first so many that the service gives.
    Sample(u64),
    /// Not one.
    None,
}

/// How tables are captured.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSettings {
    /// Which items.
    pub items: Items,
    /// The part of a provisioned table's read capacity that a scan takes, of 1.
    pub read_share: f64,
    /// Where items go, sealed, that memory does not hold while they are sorted.
    pub folder: PathBuf,
}

impl Default for TableSettings {
    fn default() -> Self {
        Self { items: Items::All, read_share: 0.25, folder: std::env::temp_dir() }
    }
}

/// The tables of an account.
pub(super) struct DynamoDb {
    connection: Arc<Connection>,
    settings: TableSettings,
    budget: Budget,
    pages_at_once: Arc<Semaphore>,
}

impl DynamoDb {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        let settings = connection.settings().tables.clone();
        let pages_at_once = Arc::new(Semaphore::new(PAGES_AT_ONCE));
        Self { connection, settings, budget: Budget::new(MEMORY, MEMORY_STEP), pages_at_once }
    }
}

fn calls<'a>(account: &'a Account, region: &'a str) -> (Calls<'a>, Client) {
    (Calls { account, service: NAME, region }, Client::new(account.config(region)))
}

async fn tables(account: &Account, region: &str) -> Result<Vec<Value>, Refusal> {
    let (calls, client) = calls(account, region);
    let next = token("/LastEvaluatedTableName");
    list!(&calls, "ListTables", next, "/TableNames", |start| {
        client.list_tables().set_exclusive_start_table_name(start)
    })
    .await
}

#[async_trait]
impl Source for DynamoDb {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let mut found = Discovery::default();
        let account = self.connection.account().await?;
        let (id, partition) = (account.id.as_str(), account.partition.as_str());
        for region in &account.regions {
            match tables(account, region).await {
                Ok(tables) => found.resources.extend(tables.iter().filter_map(Value::as_str).map(|name| {
                    let arn = format!("arn:{partition}:dynamodb:{region}:{id}:table/{name}");
                    let path = format!("{FOLDER}/{}", account.name(name, region));
                    resource(NAME, path, [("account", id), ("arn", &arn), ("name", name), ("region", region)])
                })),
                Err(refusal) => found.unknown.push((account.name(FOLDER, region), refusal.into_problem())),
            }
        }
        Ok(found)
    }

    async fn capture(&self, resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let of = |name: &str| resource.attributes.get(name).map(String::as_str).unwrap_or_default();
        let account = self.connection.account().await?;
        let (calls, client) = calls(account, of("region"));
        let described = ask!(calls, "DescribeTable", client.describe_table().table_name(of("name"))).await;
        if let Err(refusal) = &described
            && refusal.code == GONE
        {
            return Err(Stopped::Gone(refusal.clone().into()));
        }
        let mut schema = Document::new(sink, SCHEMA);
        let table = described.as_ref().map(|answer| &answer["Table"]).unwrap_or(&Value::Null);
        describe((of("name"), of("arn")), table, (&calls, &client), &mut schema).await?;
        match &described {
            Ok(answer) => self.capture_items(of("region"), &answer["Table"], sink).await?,
            // Nobody knows the key that items are sorted by.
            Err(refusal) => sink.gap(ITEMS, refusal.clone().into_problem()).await?,
        }
        members(&mut schema, described).await?;
        schema.send().await
    }
}

impl DynamoDb {
    async fn capture_items(&self, region: &str, table: &Value, sink: &EntrySink) -> Result<(), Stopped> {
        let sample = match self.settings.items {
            Items::All => None,
            Items::Sample(count) => {
                sink.attribute("items", format!("sample {count}")).await?;
                Some(count)
            }
            Items::None => return sink.attribute("items", "none".to_owned()).await,
        };
        let capacity = Capacity::of(table, self.settings.read_share);
        let pages = Table {
            connection: Arc::clone(&self.connection),
            region: region.to_owned(),
            name: text(table, "TableName").to_owned(),
        };
        let scan = Scan::new(Box::new(pages), table, capacity, sample, &self.pages_at_once);
        let sorter = Sorter::new(self.budget.clone(), self.settings.folder.clone());
        sink.attribute("scan-began", Timestamp::now().to_string()).await?;
        let scanned = scan.run(sorter).await;
        sink.attribute("scan-ended", Timestamp::now().to_string()).await?;
        let sorted = match scanned {
            Ok(sorted) => sorted,
            Err(problem) => return sink.gap(ITEMS, problem).await,
        };
        let entry = Entry {
            path: EntryPath::from(ITEMS),
            kind: EntryKind::Object,
            metadata: Metadata::None,
            token: None,
            content: Content::Empty,
        };
        sink.found(entry, Body::Remote(Box::new(Lines::new(sorted)))).await
    }
}

/// All that belongs to a table beside what describes it. (Its scaling is another service's to say.)
async fn describe(
    (name, arn): (&str, &str),
    table: &Value,
    (calls, client): (&Calls<'_>, &Client),
    schema: &mut Document<'_>,
) -> Result<(), Stopped> {
    members(schema, ask!(calls, "DescribeTimeToLive", client.describe_time_to_live().table_name(name)).await).await?;
    let continuous = client.describe_continuous_backups().table_name(name);
    members(schema, ask!(calls, "DescribeContinuousBackups", continuous).await).await?;
    let tags = list!(calls, "ListTagsOfResource", token("/NextToken"), "/Tags", |next| {
        client.list_tags_of_resource().resource_arn(arn).set_next_token(next)
    });
    schema.part("Tags", tags.await.map(|tags| sorted(tags, "/Key"))).await?;
    let policy = ask!(calls, "GetResourcePolicy", client.get_resource_policy().resource_arn(arn)).await;
    schema.part("ResourcePolicy", or_absent(policy, NO_POLICY)).await?;
    if let Some(stream) = table["LatestStreamArn"].as_str() {
        let policy = ask!(calls, "GetResourcePolicy", client.get_resource_policy().resource_arn(stream)).await;
        schema.part("StreamResourcePolicy", or_absent(policy, NO_POLICY)).await?;
    }
    let insights = client.describe_contributor_insights().table_name(name);
    schema.part("ContributorInsights", ask!(calls, "DescribeContributorInsights", insights).await).await?;
    schema.part("IndexContributorInsights", index_insights(name, table, calls, client).await).await?;
    let streaming = client.describe_kinesis_streaming_destination().table_name(name);
    let streaming = ask!(calls, "DescribeKinesisStreamingDestination", streaming).await;
    schema.part("KinesisStreamingDestination", streaming.map(in_order)).await?;
    let backups = list!(calls, "ListBackups", token("/LastEvaluatedBackupArn"), "/BackupSummaries", |start| {
        let request = client.list_backups().table_name(name).backup_type(BackupTypeFilter::All);
        request.set_exclusive_start_backup_arn(start)
    });
    schema.part("Backups", backups.await.map(|backups| sorted(backups, "/BackupArn"))).await
}

/// Insights of each index, by its name.
async fn index_insights(name: &str, table: &Value, calls: &Calls<'_>, client: &Client) -> Result<Value, Refusal> {
    let mut insights = json!({});
    for index in table["GlobalSecondaryIndexes"].as_array().into_iter().flatten() {
        let index = text(index, "IndexName");
        let request = client.describe_contributor_insights().table_name(name).index_name(index);
        insights[index] = ask!(calls, "DescribeContributorInsights", request).await?;
    }
    Ok(insights)
}

/// Streams in the order of their names, whatever order they came in.
fn in_order(mut answer: Value) -> Value {
    if let Some(Value::Array(streams)) = answer.get_mut("KinesisDataStreamDestinations").map(Value::take) {
        answer["KinesisDataStreamDestinations"] = sorted(streams, "/StreamArn");
    }
    answer
}

/// Each member of an answer as a part of its own.
async fn members(schema: &mut Document<'_>, answer: Result<Value, Refusal>) -> Result<(), Stopped> {
    match answer {
        Ok(Value::Object(members)) => {
            for (name, value) in members {
                schema.part(&name, Ok(value)).await?;
            }
            Ok(())
        }
        Ok(_) => Ok(()),
        refused => schema.part("", refused).await,
    }
}
