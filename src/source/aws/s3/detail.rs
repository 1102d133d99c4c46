//! What headers do not tell of an object: its tags, and who may do what with it.
//!
//! Neither moves anything that a listing shows. So where it is wanted in full, it is asked for while listing and is part of
//! what tells that the object did not change.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::source::aws::call::{Calls, Refusal, ask, text};
use crate::source::aws::s3::object::{Listed, Place};
use crate::source::aws::s3::{Detail, NAME};
use crate::source::estate::{EntrySink, Problem, Stopped};

/// It, as far as it could be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Sorted by key.
    pub(super) tags: Vec<(String, String)>,
    /// As JSON.
    pub(super) acl: Option<String>,
}

impl Known {
    /// Another value, other bytes.
    pub(super) fn digest(&self) -> Vec<u8> {
        digest(&SHA256, format!("{self:?}").as_bytes()).as_ref().to_vec()
    }
}

/// Asks for it, if it is wanted in full, of all objects of a page side by side.
pub(super) async fn ask_all<'l>(
    page: impl Iterator<Item = &'l mut Listed>,
    place: &Arc<Place>,
    sink: &EntrySink,
) -> Result<(), Stopped> {
    if place.detail == Detail::Fast {
        return Ok(());
    }
    let page: Vec<&mut Listed> = page.collect();
    let mut asked = JoinSet::new();
    for (at, listed) in page.iter().enumerate() {
        let (place, key, version) = (Arc::clone(place), listed.key.clone(), listed.version.clone());
        asked.spawn(async move { (at, ask_one(&place, &key, version.as_deref()).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(at, _)| *at);
    for (listed, (_, (known, problems))) in page.into_iter().zip(answers) {
        let path = String::from_utf8_lossy(&listed.path()).into_owned();
        for problem in problems {
            sink.gap(&path, problem).await?;
        }
        listed.known = Some(known);
    }
    Ok(())
}

async fn ask_one(place: &Place, key: &str, version: Option<&str>) -> (Known, Vec<Problem>) {
    let account = match place.connection.account().await {
        Ok(account) => account,
        Err(problem) => return (Known::default(), vec![problem]),
    };
    let _turn = place.turns.acquire().await;
    let calls = Calls { account, service: NAME, region: &place.region };
    let (mut known, mut problems) = (Known::default(), Vec::new());
    match tags(place, &calls, key, version).await {
        Ok(tags) => known.tags = tags,
        Err(refusal) => problems.push(refusal.into_problem()),
    }
    if !place.is_owner_enforced {
        match acl(place, &calls, key, version).await {
            Ok(acl) => known.acl = Some(acl),
            Err(refusal) => problems.push(refusal.into_problem()),
        }
    }
    (known, problems)
}

/// The tags of an object, sorted by key.
pub(super) async fn tags(
    place: &Place,
    calls: &Calls<'_>,
    key: &str,
    version: Option<&str>,
) -> Result<Vec<(String, String)>, Refusal> {
    let request = place.client.get_object_tagging().bucket(&place.bucket).key(key);
    let answer = ask!(calls, "GetObjectTagging", request.set_version_id(version.map(str::to_owned))).await?;
    let set = answer["TagSet"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |tag: &Value| (text(tag, "Key").to_owned(), text(tag, "Value").to_owned());
    let mut tags: Vec<_> = set.iter().map(pair).collect();
    tags.sort();
    Ok(tags)
}

async fn acl(place: &Place, calls: &Calls<'_>, key: &str, version: Option<&str>) -> Result<String, Refusal> {
    let request = place.client.get_object_acl().bucket(&place.bucket).key(key);
    let answer = ask!(calls, "GetObjectAcl", request.set_version_id(version.map(str::to_owned))).await?;
    Ok(answer.to_string())
}
