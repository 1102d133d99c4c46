//! An AWS account: one file each service, all asked the same way.
//!
//! The answer of a service is the record: kept as it came, unknown members too, as the JSON that the AWS CLI prints
//! (`shape`). `call` makes calls in their turn (`pace`) and tells refusals apart; `account` knows names and regions.
//! Services without a crate are called by `generic`, and most of them are tables (`tail`).

use std::sync::Arc;

use crate::source::aws::account::Connection;
use crate::source::aws::apigateway::ApiGateway;
use crate::source::aws::cloudfront::CloudFront;
use crate::source::aws::dynamodb::DynamoDb;
use crate::source::aws::iam::Iam;
use crate::source::aws::lambda::Lambda;
use crate::source::aws::route53::Route53;
use crate::source::aws::scoped::Scoped;
use crate::source::aws::tagged::Tagged;
use crate::source::aws::tail::Tail;
use crate::source::aws::tail::services::TABLES;
use crate::source::estate::Source;

pub mod account;
mod apigateway;
mod call;
pub mod catalogue;
mod cloudfront;
mod credentials;
mod document;
mod download;
pub mod dynamodb;
mod generic;
mod iam;
pub mod lambda;
mod listing;
pub mod names;
mod pace;
mod permission;
pub mod policy;
mod route53;
pub mod s3;
mod scoped;
mod shape;
mod tagged;
mod tail;
mod verified;
mod wire;

/// Every service, in the order in which they are shown; a new one is a line here.
pub const SERVICES: &[&str] = &[
    "acm",
    "apigateway",
    "application-autoscaling",
    "cloudfront",
    "cloudwatch",
    "cognito-identity",
    "cognito-idp",
    "dynamodb",
    "events",
    "iam",
    "lambda",
    "logs",
    "route53",
    "s3",
    "s3control",
    "scheduler",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
    "states",
    "tagging",
    "wafv2",
];

/// The sources of these services of an account.
pub fn sources(account: &Arc<Connection>, services: &[&str]) -> Vec<Arc<dyn Source>> {
    let mut all: Vec<Arc<dyn Source>> = vec![
        Arc::new(ApiGateway::new(Arc::clone(account))),
        Arc::new(CloudFront::new(Arc::clone(account))),
        Arc::new(DynamoDb::new(Arc::clone(account))),
        Arc::new(Iam::new(Arc::clone(account))),
        Arc::new(Lambda::new(Arc::clone(account))),
        Arc::new(Route53::new(Arc::clone(account))),
        Arc::new(Tagged::new(Arc::clone(account))),
    ];
    all.extend(s3::sources(account));
    all.extend(TABLES.iter().map(|table| Arc::new(Tail::new(Arc::clone(account), table)) as Arc<dyn Source>));
    let wanted = all.into_iter().filter(|source| services.contains(&source.name()));
    wanted.map(|source| Arc::new(Scoped { source, connection: Arc::clone(account) }) as Arc<dyn Source>).collect()
}
