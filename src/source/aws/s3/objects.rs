//! The objects of a bucket as a reader sees them now, in the order of their keys, sent as pages come.

use std::sync::Arc;

use aws_sdk_s3::types::{EncodingType, Object, OptionalObjectAttributes};

use crate::source::aws::call::Calls;
use crate::source::aws::s3::detail;
use crate::source::aws::s3::keys::{Order, key};
use crate::source::aws::s3::object::{Listed, Place};
use crate::source::aws::wire::WholeXml;
use crate::source::estate::{EntrySink, Stopped};

const ACTION: &str = "ListObjectsV2";

/// Sends every object of the bucket. It is one stretch of keys; where stretches are listed side by side, they are sent one
/// after another from here.
pub(super) async fn capture(place: &Arc<Place>, calls: &Calls<'_>, sink: &EntrySink) -> Result<(), Stopped> {
    let mut order = Order::new(calls, ACTION);
    let mut token: Option<String> = None;
    loop {
        let request = place.client.list_objects_v2().bucket(&place.bucket).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let request = request.set_continuation_token(token);
        let send = || request.clone().customize().interceptor(WholeXml).send();
        let page = calls.typed(ACTION, send).await?;
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        let objects = page.contents.unwrap_or_default().into_iter();
        let mut objects: Vec<Listed> = objects.map(|object| listed(object, is_encoded)).collect();
        order.begin_page(objects.is_empty())?;
        detail::ask_all(objects.iter_mut(), place, sink).await?;
        for object in objects {
            order.take(object.key.as_bytes())?;
            object.send(place, sink).await?;
        }
        token = order.next(page.is_truncated, page.next_continuation_token)?;
        if token.is_none() {
            return Ok(());
        }
    }
}

fn listed(object: Object, is_encoded: bool) -> Listed {
    Listed {
        key: key(object.key, is_encoded),
        version: None,
        etag: object.e_tag,
        size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        modified: object.last_modified,
        class: object.storage_class.map(|class| class.as_str().to_owned()).unwrap_or_default(),
        is_brought_back: object.restore_status.is_some_and(|status| status.restore_expiry_date.is_some()),
        known: None,
    }
}
