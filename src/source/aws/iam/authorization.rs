//! Roles, policies, users and groups: what one list tells of all of them, and what it lacks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::source::aws::call::{Pages, Refusal, ask, list, text};
use crate::source::aws::iam::Asked;
use crate::source::aws::iam::policy::parse_policies;
use crate::source::aws::listing::{at, in_order};
use crate::source::estate::Stopped;
use aws_sdk_iam::types::EntityType;

/// The entities that are the account's own.
const KINDS: [EntityType; 4] = [EntityType::User, EntityType::Role, EntityType::Group, EntityType::LocalManagedPolicy];
/// The lists of an answer, and the document that each becomes.
const LISTS: [(&str, &str); 4] = [
    ("UserDetailList", "users.json"),
    ("RoleDetailList", "roles.json"),
    ("GroupDetailList", "groups.json"),
    ("Policies", "policies.json"),
];
const TRUST: &str = "trust-relationships.json";

/// The token of the next page, also of pages that are not full. None where there should be one comes back as the first
/// page, and then as an error.
pub(super) fn next_marker(page: &Value) -> Option<String> {
    (page["IsTruncated"] == Value::Bool(true)).then(|| text(page, "Marker").to_owned())
}

/// Takes what is told elsewhere of the same thing, where nothing is known yet.
fn complete(known: &mut Value, other: Value) {
    if let (Some(known), Value::Object(other)) = (known.as_object_mut(), other) {
        for (name, value) in other {
            known.entry(name).or_insert(value);
        }
    }
}

impl Asked<'_> {
    pub(super) async fn capture_authorization(&self) -> Result<(), Stopped> {
        let mut lists = match self.authorization().await {
            Ok(lists) => lists,
            Err(refusal) => {
                for path in LISTS.iter().map(|(_, path)| *path).chain([TRUST]) {
                    self.sink.gap(path, refusal.clone().into_problem()).await?;
                }
                return Ok(());
            }
        };
        let mut of = |name| lists.remove(name).unwrap_or_default();
        self.capture_roles(in_order(of("RoleDetailList"), "/RoleName")).await?;
        self.capture_policies(in_order(of("Policies"), "/Arn")).await?;
        self.capture_users(in_order(of("UserDetailList"), "/UserName")).await?;
        let groups = in_order(of("GroupDetailList"), "/GroupName");
        self.sink.document("groups.json", &Value::Array(groups)).await
    }

    /// All entities, by the name of their list.
    async fn authorization(&self) -> Result<BTreeMap<&'static str, Vec<Value>>, Refusal> {
        const ACTION: &str = "GetAccountAuthorizationDetails";
        let mut lists: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
        let mut pages = Pages::new(next_marker);
        while let Some(marker) = pages.wanted(&self.calls, ACTION)? {
            let request = self.client.get_account_authorization_details();
            let request = request.set_filter(Some(KINDS.to_vec())).set_marker(marker);
            let mut page = ask!(self.calls, "GetAccountAuthorizationDetails", request).await?;
            parse_policies(&mut page);
            for (name, _) in LISTS {
                if let Some(Value::Array(items)) = page.get_mut(name).map(Value::take) {
                    lists.entry(name).or_default().extend(items);
                }
            }
            pages.take(page, "");
        }
        Ok(lists)
    }

    async fn capture_roles(&self, mut roles: Vec<Value>) -> Result<(), Stopped> {
        let listed = list!(&self.calls, "ListRoles", next_marker, "/Roles", |marker| {
            self.client.list_roles().set_marker(marker)
        });
        self.complete_all("roles.json", &mut roles, "RoleName", listed.await).await?;
        let trust: Map<String, Value> = roles
            .iter()
            .map(|role| (text(role, "RoleName").to_owned(), role["AssumeRolePolicyDocument"].clone()))
            .collect();
        self.sink.document("roles.json", &Value::Array(roles)).await?;
        self.sink.document(TRUST, &Value::Object(trust)).await
    }

    /// Their versions stand in the list; what they are for, only where each is asked for.
    async fn capture_policies(&self, mut policies: Vec<Value>) -> Result<(), Stopped> {
        for policy in &mut policies {
            let request = self.client.get_policy().policy_arn(text(policy, "Arn"));
            match ask!(self.calls, "GetPolicy", request).await {
                Ok(mut answer) => complete(policy, answer["Policy"].take()),
                Err(refusal) => self.sink.gap("policies.json", refusal.into_problem()).await?,
            }
        }
        self.sink.document("policies.json", &Value::Array(policies)).await
    }

    async fn capture_users(&self, mut users: Vec<Value>) -> Result<(), Stopped> {
        let listed = list!(&self.calls, "ListUsers", next_marker, "/Users", |marker| {
            self.client.list_users().set_marker(marker)
        });
        self.complete_all("users.json", &mut users, "UserName", listed.await).await?;
        for user in &mut users {
            let name = at(user, "/UserName").to_owned();
            self.add_credentials(&name, user).await?;
        }
        self.sink.document("users.json", &Value::Array(users)).await
    }

    /// Completes things by what another list tells of those of the same name.
    async fn complete_all(
        &self,
        path: &str,
        known: &mut [Value],
        name: &str,
        listed: Result<Vec<Value>, Refusal>,
    ) -> Result<(), Stopped> {
        let mut listed = match listed {
            Ok(listed) => Value::Array(listed),
            Err(refusal) => return self.sink.gap(path, refusal.into_problem()).await,
        };
        parse_policies(&mut listed);
        let mut by_name: BTreeMap<String, Value> = BTreeMap::new();
        for item in listed.as_array_mut().into_iter().flatten() {
            by_name.insert(text(item, name).to_owned(), item.take());
        }
        for item in known {
            if let Some(other) = by_name.remove(text(item, name)) {
                complete(item, other);
            }
        }
        Ok(())
    }
}
