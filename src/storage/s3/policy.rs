//! What a role may do with a repository in S3, as IAM policies: the least that its work needs.
//!
//! A writer only ever creates, and S3 can demand that: `s3:PutObject` is allowed only where the request carries
//! `If-None-Match`, which S3 honours by refusing to replace anything, and nothing is allowed to be deleted. So who steals a
//! writer's credentials can add snapshots, and take none away. What neither may ever touch is nobody's here.

use serde_json::{Value, json};

use crate::storage::name::{ObjectName, Prefix};
use crate::storage::s3::address::S3Address;

/// Whose policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Makes snapshots.
    Writer,
    /// Restores and checks.
    Reader,
    /// Forgets and prunes; also whatever a writer does.
    Pruner,
}

/// Where a writer creates.
const WRITTEN: [Prefix; 4] = [Prefix::Packs, Prefix::Sessions, Prefix::Index, Prefix::Cells];
/// Where a pruner creates too.
const PRUNED: [Prefix; 3] = [Prefix::Forgets, Prefix::Generations, Prefix::Base];
/// Where a pruner deletes: everywhere but in `g/`, of which nothing is ever deleted, and `keys/`.
const DELETED: [Prefix; 6] =
    [Prefix::Packs, Prefix::Sessions, Prefix::Index, Prefix::Cells, Prefix::Forgets, Prefix::Base];

/// The policy of a role for the repository at an address.
pub fn policy(address: &S3Address, role: Role) -> Value {
    let arns = Arns::of(address);
    let mut statements = vec![
        json!({
            "Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject", "Resource": arns.object("*"),
        }),
        arns.list(),
    ];
    let below = |prefixes: &[Prefix]| prefixes.iter().map(|prefix| arns.below(*prefix)).collect::<Vec<_>>();
    let reserve = arns.object(ObjectName::reserve().as_str());
    match role {
        Role::Reader => {}
        Role::Writer => {
            statements.push(create(&below(&WRITTEN)));
            statements.push(never_replace(&arns));
            // Whatever else these credentials may do elsewhere, and whoever attaches more to them.
            statements.push(json!({
                "Sid": "NeverDelete", "Effect": "Deny",
                "Action": ["s3:DeleteObject", "s3:DeleteObjectVersion"], "Resource": arns.object("*"),
            }));
        }
        Role::Pruner => {
            let mut created = below(&WRITTEN);
            created.extend(below(&PRUNED));
            created.push(reserve.clone());
            // Put again with its own bytes, to see that the store honours the condition.
            created.push(arns.object(ObjectName::config().as_str()));
            let mut deleted = below(&DELETED);
            deleted.push(reserve);
            statements.push(create(&created));
            statements.push(never_replace(&arns));
            statements.push(json!({
                "Sid": "Prune", "Effect": "Allow", "Action": "s3:DeleteObject", "Resource": deleted,
            }));
        }
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn create(resources: &[String]) -> Value {
    json!({
        "Sid": "Create", "Effect": "Allow", "Action": "s3:PutObject", "Resource": resources,
        "Condition": { "Null": { "s3:if-none-match": "false" } },
    })
}

fn never_replace(arns: &Arns) -> Value {
    json!({
        "Sid": "NeverReplace", "Effect": "Deny", "Action": "s3:PutObject", "Resource": arns.object("*"),
        "Condition": { "Null": { "s3:if-none-match": "true" } },
    })
}

/// How the parts of a repository are named in policies.
struct Arns {
    bucket: String,
    /// What the keys begin with; with `/` at its end unless it is empty.
    start: String,
}

impl Arns {
    fn of(address: &S3Address) -> Self {
        let region = address.region.as_deref().unwrap_or_default();
        let partition = match region.split('-').next() {
            Some("cn") => "aws-cn",
            _ if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self { bucket: format!("arn:{partition}:s3:::{}", address.bucket), start: address.key("") }
    }

    fn object(&self, name: &str) -> String {
        format!("{}/{}{name}", self.bucket, self.start)
    }

    fn below(&self, prefix: Prefix) -> String {
        self.object(&format!("{}*", prefix.as_str()))
    }

    fn list(&self) -> Value {
        let mut statement = json!({
            "Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.bucket,
        });
        if !self.start.is_empty() {
            // `IfExists`: without the right to list, S3 answers a question for an object that is not there as if it were
            // forbidden, and such a question has no prefix.
            statement["Condition"] = json!({ "StringLikeIfExists": { "s3:prefix": format!("{}*", self.start) } });
        }
        statement
    }
}
