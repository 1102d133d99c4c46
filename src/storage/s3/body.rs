//! What a request sends: an object in small frames, so that it is seen how far it got.
//!
//! Given as one frame, a whole pack would be handed to the connection at once, and nobody could tell a slow line from a
//! dead one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

const FRAME_SIZE: usize = 64 << 10;

/// Counts the frames that a connection took. Shared between a request and whoever waits for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Movement(Arc<AtomicU64>);

impl Movement {
    /// Frames so far.
    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Frames {
    rest: Bytes,
    movement: Movement,
}

/// The body of a put; `movement` grows as it is sent.
pub(super) fn body_of(content: Bytes, movement: &Movement) -> ByteStream {
    ByteStream::new(SdkBody::from_body_1_x(Frames { rest: content, movement: movement.clone() }))
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        self.movement.0.fetch_add(1, Ordering::Relaxed);
        let size = self.rest.len().min(FRAME_SIZE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
