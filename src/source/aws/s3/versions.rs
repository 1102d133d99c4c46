//! Every version of the objects of a bucket, and delete markers: `<key>@<version>`.
//!
//! Listings are in the order of keys, and entries in the order of paths, which is another: `a@1` comes after all of `a.b@1`
//! and `a/b@1`. So what a key has is held back while keys come that begin with it and go on with less than `@`.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType, ObjectVersion, OptionalObjectAttributes};

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata};
use crate::source::aws::call::Calls;
use crate::source::aws::s3::detail;
use crate::source::aws::s3::keys::{Order, key};
use crate::source::aws::s3::object::{Listed, Place, timestamp};
use crate::source::aws::wire::WholeXml;
use crate::source::estate::{Body, EntrySink, Stopped};

const ACTION: &str = "ListObjectVersions";

/// What stands at a path.
enum Version {
    Object(Listed),
    Marker(ObjectMetadata),
}

/// What was listed and waits for its place.
struct Held<'h> {
    place: &'h Arc<Place>,
    sink: &'h EntrySink,
    order: Order<'h>,
    waiting: Waiting<Version>,
}

/// What waits, by path. There are services whose pages begin with what the one before ended with; it waits once.
struct Waiting<V>(BTreeMap<Vec<u8>, V>);

impl<V> Waiting<V> {
    /// The first of what comes before a key: all its paths, and those of all keys to come, are after it. Or of everything.
    fn pop_before(&mut self, key: Option<&[u8]>) -> Option<(Vec<u8>, V)> {
        let first = self.0.first_entry()?;
        let is_before = key.is_none_or(|key| first.key().as_slice() < key);
        is_before.then(|| first.remove_entry())
    }
}

/// Sends every version.
pub(super) async fn capture(place: &Arc<Place>, calls: &Calls<'_>, sink: &EntrySink) -> Result<(), Stopped> {
    let mut held = Held { place, sink, order: Order::new(calls, ACTION), waiting: Waiting(BTreeMap::new()) };
    let mut next: Option<(String, Option<String>)> = None;
    loop {
        let request = place.client.list_object_versions().bucket(&place.bucket).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let (marker, version) = next.clone().unzip();
        let request = request.set_key_marker(marker).set_version_id_marker(version.flatten());
        let send = || request.clone().customize().interceptor(WholeXml).send();
        let page = calls.typed(ACTION, send).await?;
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        held.order.begin_page(page.versions().is_empty() && page.delete_markers().is_empty())?;
        let versions = page.versions.unwrap_or_default().into_iter();
        let mut versions: Vec<Listed> = versions.map(|version| listed(version, is_encoded)).collect();
        detail::ask_all(versions.iter_mut(), place, sink).await?;
        for version in versions {
            held.waiting.0.insert(version.path(), Version::Object(version));
        }
        for marker in page.delete_markers.unwrap_or_default() {
            let (key, metadata) = (key(marker.key.clone(), is_encoded), metadata(marker));
            let marker = Listed { key, version: metadata.version_id.clone(), ..Listed::default() };
            held.waiting.0.insert(marker.path(), Version::Marker(metadata));
        }
        let version_marker = page.next_version_id_marker;
        let after = page.next_key_marker.map(|marker| (key(Some(marker), is_encoded), version_marker));
        let Some(next_page) = held.order.next(page.is_truncated, after)? else { return held.send_before(None).await };
        if next.as_ref() == Some(&next_page) {
            return Err(held.order.endless().into());
        }
        held.send_before(Some(next_page.0.as_bytes())).await?;
        next = Some(next_page);
    }
}

impl Held<'_> {
    /// Sends what comes before a key, or everything.
    async fn send_before(&mut self, key: Option<&[u8]>) -> Result<(), Stopped> {
        while let Some((path, version)) = self.waiting.pop_before(key) {
            self.order.take(&path)?;
            match version {
                Version::Object(version) => version.send(self.place, self.sink).await?,
                Version::Marker(metadata) => {
                    let entry = Entry {
                        path: EntryPath(path),
                        kind: EntryKind::Object,
                        metadata: Metadata::Object(Box::new(metadata)),
                        token: None,
                        content: Content::Empty,
                    };
                    self.sink.found(entry, Body::None).await?;
                }
            }
        }
        Ok(())
    }
}

/// A version's id; those of before there were versions are called so.
fn version_id(stated: Option<String>) -> String {
    stated.unwrap_or_else(|| "null".to_owned())
}

fn listed(version: ObjectVersion, is_encoded: bool) -> Listed {
    Listed {
        key: key(version.key, is_encoded),
        version: Some(version_id(version.version_id)),
        etag: version.e_tag,
        size: version.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified: version.last_modified,
        class: version.storage_class.map(|class| class.as_str().to_owned()).unwrap_or_default(),
        is_brought_back: version.restore_status.is_some_and(|status| status.restore_expiry_date.is_some()),
        known: None,
    }
}

fn metadata(marker: DeleteMarkerEntry) -> ObjectMetadata {
    ObjectMetadata {
        modified: marker.last_modified.as_ref().map(timestamp).unwrap_or_default(),
        version_id: Some(version_id(marker.version_id)),
        delete_marker: true,
        ..ObjectMetadata::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Listed, Waiting};

    fn path_of(key: &str, version: &str) -> Vec<u8> {
        Listed { key: key.to_owned(), version: Some(version.to_owned()), ..Listed::default() }.path()
    }

    /// Keys one after another, as listed, a page each; the paths as they are sent.
    fn sent(keys: &[&str]) -> Vec<String> {
        let (mut waiting, mut sent) = (Waiting(BTreeMap::new()), Vec::new());
        for (at, key) in keys.iter().enumerate() {
            for version in ["2", "1"] {
                waiting.0.insert(path_of(key, version), ());
            }
            let next = keys.get(at + 1).map(|key| key.as_bytes());
            while let Some((path, ())) = waiting.pop_before(next) {
                sent.push(String::from_utf8(path).expect("because it was text"));
            }
        }
        assert!(waiting.0.is_empty());
        sent
    }

    #[test]
    fn versions_come_in_the_order_of_their_paths() {
        let keys = ["a", "a!", "a!b", "a/b", "a/b/c", "a0", "a@", "a@1", "a@1@2", "aa", "b", "b.c", "c"];
        let paths = sent(&keys);
        assert_eq!(paths.len(), 2 * keys.len());
        assert!(paths.is_sorted(), "{paths:?}");
    }

    #[test]
    fn what_no_key_to_come_can_precede_does_not_wait() {
        let mut waiting = Waiting(BTreeMap::from([(path_of("a", "null"), ()), (path_of("b", "null"), ())]));
        assert_eq!(waiting.pop_before(Some(b"b")), Some((b"a@null".to_vec(), ())));
        assert_eq!(waiting.pop_before(Some(b"b")), None);
    }
}
