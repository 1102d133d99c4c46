//! An AWS account: one file each service, all asked the same way.
//!
//! The answer of a service is the record: kept as it came, unknown members too, as the JSON that the AWS CLI prints
//! (`shape`). `call` makes calls in their turn (`pace`) and tells refusals apart; `account` knows names and regions.

use std::sync::Arc;

use crate::source::aws::account::Connection;
use crate::source::aws::lambda::Lambda;
use crate::source::aws::route53::Route53;
use crate::source::estate::Source;

pub mod account;
mod call;
mod document;
mod download;
mod lambda;
mod pace;
mod permission;
mod route53;
pub mod s3;
mod shape;
mod verified;
mod wire;

/// Every service, in the order in which they are shown; a new one is a line here.
pub const SERVICES: &[&str] = &["lambda", "route53", "s3"];

/// The sources of these services of an account.
pub fn sources(account: &Arc<Connection>, services: &[&str]) -> Vec<Arc<dyn Source>> {
    let all: [Arc<dyn Source>; 2] =
        [Arc::new(Lambda::new(Arc::clone(account))), Arc::new(Route53::new(Arc::clone(account)))];
    all.into_iter().chain(s3::sources(account)).filter(|source| services.contains(&source.name())).collect()
}
