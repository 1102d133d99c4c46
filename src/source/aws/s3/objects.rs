//! The objects of a bucket as a reader sees them now, in the order of their keys, sent as pages come.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object, OptionalObjectAttributes};
use tokio::sync::mpsc;

use crate::source::aws::call::{Calls, Refusal};
use crate::source::aws::s3::detail;
use crate::source::aws::s3::keys::{Order, key};
use crate::source::aws::s3::object::{Listed, Place};
use crate::source::aws::wire::WholeXml;
use crate::source::estate::{EntrySink, Stopped};

const ACTION: &str = "ListObjectsV2";

/// Pages that wait for their turn, while the one before them is sent and the one after them is asked for.
const PAGES_WAITING: usize = 1;

/// A page, or why there is none.
type Page = Result<ListObjectsV2Output, Refusal>;

/// Sends every object of the bucket. Pages are asked for one after another, as only each tells how it goes on, but while the one
/// before is sent.
pub(super) async fn capture(place: &Arc<Place>, calls: &Calls<'_>, sink: &EntrySink) -> Result<(), Stopped> {
    let (sender, pages) = mpsc::channel(PAGES_WAITING);
    let mut listing = pin!(list(place, calls, sender));
    let mut sending = pin!(send(place, calls, sink, pages));
    let mut is_listed = false;
    poll_fn(|context| {
        is_listed = is_listed || listing.as_mut().poll(context).is_ready();
        sending.as_mut().poll(context)
    })
    .await
}

/// Asks for page after page until the last, the first that cannot be had, or nobody wants more.
async fn list(place: &Place, calls: &Calls<'_>, pages: mpsc::Sender<Page>) {
    let order = Order::new(calls, ACTION);
    let mut token: Option<String> = None;
    loop {
        let request = place.client.list_objects_v2().bucket(&place.bucket).encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let request = request.set_continuation_token(token);
        let send = || request.clone().customize().interceptor(WholeXml).send();
        let mut page = calls.typed(ACTION, send).await;
        let next = match &mut page {
            Ok(page) => order.next(page.is_truncated, page.next_continuation_token.take()),
            Err(_) => Ok(None),
        };
        if pages.send(page).await.is_err() {
            return;
        }
        token = match next {
            Ok(Some(token)) => Some(token),
            Ok(None) => return,
            Err(refusal) => {
                let _nobody_wants_more = pages.send(Err(refusal)).await;
                return;
            }
        };
    }
}

async fn send(
    place: &Arc<Place>,
    calls: &Calls<'_>,
    sink: &EntrySink,
    mut pages: mpsc::Receiver<Page>,
) -> Result<(), Stopped> {
    let mut order = Order::new(calls, ACTION);
    while let Some(page) = pages.recv().await {
        let page = page?;
        let is_encoded = page.encoding_type() == Some(&EncodingType::Url);
        let objects = page.contents.unwrap_or_default().into_iter();
        let mut objects: Vec<Listed> = objects.map(|object| listed(object, is_encoded)).collect();
        order.begin_page(objects.is_empty())?;
        detail::ask_all(objects.iter_mut(), place, sink).await?;
        for object in objects {
            order.take(object.key.as_bytes())?;
            object.send(place, sink).await?;
        }
    }
    Ok(())
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
