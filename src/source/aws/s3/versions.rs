//! Every version of the objects of a bucket, and delete markers: `<key>@<version>`.
//!
//! Listings are in the order of keys, and entries in the order of paths, which is another: `a@1` comes after all of `a.b@1`
//! and `a/b@1`. So what a key has is held back while keys come that begin with it and go on with less than `@`.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_s3::types::{DeleteMarkerEntry, EncodingType, ObjectVersion, OptionalObjectAttributes};

use crate::entry::{Content, Entry, EntryKind, EntryPath, Metadata, ObjectMetadata};
use crate::source::aws::call::{Calls, Refusal};
use crate::source::aws::s3::keys::{Order, key};
use crate::source::aws::s3::object::{Listed, Place, timestamp};
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
    waiting: BTreeMap<Vec<u8>, Version>,
}

/// Sends every version.
pub(super) async fn capture(place: &Arc<Place>, calls: &Calls<'_>, sink: &EntrySink) -> Result<(), Stopped> {
    let mut held = Held { place, sink, order: Order::new(calls, ACTION), waiting: BTreeMap::new() };
    let mut next: Option<(String, Option<String>)> = None;
    loop {
        let request = place.client.list_object_versions().bucket(&place.bucket).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let (marker, version) = next.clone().unzip();
        let request = request.set_key_marker(marker).set_version_id_marker(version.flatten());
        let page = calls.typed(ACTION, || request.clone().send()).await?;
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        held.order.begin_page(page.versions().is_empty() && page.delete_markers().is_empty())?;
        for version in page.versions.unwrap_or_default() {
            let listed = listed(version, is_encoded);
            held.take(path_of(&listed.key, listed.version.as_deref()), Version::Object(listed))?;
        }
        for marker in page.delete_markers.unwrap_or_default() {
            let path = path_of(&key(marker.key.clone(), is_encoded), marker.version_id.as_deref());
            held.take(path, Version::Marker(metadata(marker)))?;
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
    fn take(&mut self, path: Vec<u8>, version: Version) -> Result<(), Refusal> {
        match self.waiting.insert(path, version) {
            None => Ok(()),
            Some(_) => Err(self.order.endless()),
        }
    }

    /// Sends what comes before a key, of which all paths are after it as of all keys to come; or everything.
    async fn send_before(&mut self, key: Option<&[u8]>) -> Result<(), Stopped> {
        while let Some(first) = self.waiting.first_entry() {
            if key.is_some_and(|key| first.key().as_slice() >= key) {
                return Ok(());
            }
            let (path, version) = first.remove_entry();
            self.order.take(&path)?;
            match version {
                Version::Object(listed) => listed.send(path, self.place, self.sink).await?,
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

fn path_of(key: &str, version: Option<&str>) -> Vec<u8> {
    format!("{key}@{}", version.unwrap_or("null")).into_bytes()
}

fn listed(version: ObjectVersion, is_encoded: bool) -> Listed {
    Listed {
        key: key(version.key, is_encoded),
        version: version.version_id,
        etag: version.e_tag,
        size: version.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified: version.last_modified,
        class: version.storage_class.map(|class| class.as_str().to_owned()).unwrap_or_default(),
        is_brought_back: version.restore_status.is_some_and(|status| status.restore_expiry_date.is_some()),
    }
}

fn metadata(marker: DeleteMarkerEntry) -> ObjectMetadata {
    ObjectMetadata {
        modified: marker.last_modified.as_ref().map(timestamp).unwrap_or_default(),
        version_id: marker.version_id,
        delete_marker: true,
        ..ObjectMetadata::default()
    }
}
