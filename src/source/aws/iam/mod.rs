//! IAM: `iam-config` with roles, policies, trust, users and groups, what identifies others (providers, certificates), and
//! the account's own settings.
//!
//! One list tells most of it (GetAccountAuthorizationDetails); what that lacks is asked for beside it and put into the same
//! objects. Policies are stored as JSON, not as text within text. Secret keys, passwords and private keys are never told.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_iam::Client;

use crate::resource::Resource;
use crate::source::aws::account::{Connection, WITHHELD};
use crate::source::aws::call::Calls;
use crate::source::estate::{Discovery, EntrySink, Problem, Source, Stopped, resource};

mod authorization;
mod policy;
mod providers;
mod users;

const NAME: &str = "iam";
const FOLDER: &str = "iam-config";
/// Global: signed for this region.
const REGION: &str = "us-east-1";
/// The word for "there is none of this".
const ABSENT: &[&str] = &["NoSuchEntity"];

/// The identities of an account.
pub(super) struct Iam {
    connection: Arc<Connection>,
}

impl Iam {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }
}

/// What is asked, and where its answers go.
struct Asked<'a> {
    calls: Calls<'a>,
    client: Client,
    sink: &'a EntrySink,
}

#[async_trait]
impl Source for Iam {
    fn name(&self) -> &'static str {
        NAME
    }

    fn folders(&self) -> Vec<String> {
        vec![FOLDER.to_owned()]
    }

    fn notes(&self) -> Vec<String> {
        self.connection.notes(NAME)
    }

    async fn discover(&self) -> Result<Discovery, Problem> {
        let account = self.connection.account().await?;
        let resources = vec![resource(NAME, account.global_name(FOLDER), [("account", account.id.as_str())])];
        Ok(Discovery { resources, unknown: Vec::new() })
    }

    async fn capture(&self, _resource: &Resource, sink: &EntrySink) -> Result<(), Stopped> {
        let account = self.connection.account().await?;
        let calls = Calls { account, service: NAME, region: REGION };
        let asked = Asked { calls, client: Client::new(account.config(REGION)), sink };
        sink.attribute(
            WITHHELD,
            "secret access keys, passwords, seeds of MFA, private keys of certificates".to_owned(),
        )
        .await?;
        asked.capture_authorization().await?;
        asked.capture_providers().await?;
        asked.capture_account().await
    }
}
